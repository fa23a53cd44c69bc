"""Continuous training: what starts a training run of a model, and what people hear of its end."""
