"""Moves requests from the champion to the challenger step by step, or back. Each step is a commit: the only state."""
