"""The model card of a run: what it is for, what went in, how well it was checked, and what it cannot do."""

from escalation_forecast.card.card import CARD, Card, model_card, write_card
from escalation_forecast.card.sources import source_records

__all__ = ["CARD", "Card", "model_card", "source_records", "write_card"]
