"""Reads constraints on inputs from the clouds' own descriptions of their APIs, for the simulated clouds."""
