"""Checks of the model against the embedded data, written to ``docs/validation.md``.

Run as ``python -m escalation_forecast.validation --out docs``.
"""
