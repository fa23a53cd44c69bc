"""Drift: the inference log as Parquet, and how it differs from what the model was trained on."""
