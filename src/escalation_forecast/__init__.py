"""Bayesian forecasts of an East Asian arms race and of a wider war."""
