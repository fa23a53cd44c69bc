"""Serving: one registered model behind KServe's protocols and /predict. `python -m lifecycle.serving` runs it."""
