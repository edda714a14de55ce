"""The posterior of `model.build_model` written again in other ways, to measure against."""
