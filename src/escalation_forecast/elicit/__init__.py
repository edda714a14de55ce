"""Priors in a forecaster's hands: stated on outcomes, checked against bounds, seen in plots."""
