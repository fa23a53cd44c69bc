"""Continuous training: triggers that start a training run of a model, and notices of its end."""
