"""Drift: the inference log as Parquet, and how it differs from the data that the model was trained on."""
