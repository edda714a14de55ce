"""What people see of a forecast: the terminal summary, plots and tables."""
