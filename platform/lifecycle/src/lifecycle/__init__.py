"""A model's way to production: train, gate, register, promote, serve, roll out, roll back."""
