"""Serves one registered model with KServe's protocols and /predict: `python -m lifecycle.serving`."""
