"""Reads what the clouds' own descriptions of their APIs say of inputs, for the simulated clouds."""
