"""What came of past forecasts: answers, scores, and the probabilities of others."""
