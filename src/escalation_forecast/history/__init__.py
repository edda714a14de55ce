"""Hazards from two centuries of history: fitted once, stored as priors with their provenance."""
