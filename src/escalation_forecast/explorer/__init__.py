"""Move a prior and look: what an answer becomes, in a notebook or on a page."""

from escalation_forecast.explorer.explorer import Explorer, explore

__all__ = ["Explorer", "explore"]
