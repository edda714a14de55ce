"""What the program costs, beside other ways of fitting the same posterior; see docs/performance.md."""
