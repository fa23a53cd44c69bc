"""Groundwork's policy pack: every control is one decorated function in the module of its service."""
