"""How good forecasts would have been: cases, simple methods to beat, and scores."""
