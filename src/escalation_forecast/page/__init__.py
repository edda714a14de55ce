"""The forecast as one page for people: a single HTML file that needs no network. See docs/page.md."""

from escalation_forecast.page.build import render, write_page

__all__ = ["render", "write_page"]
