"""Runs Pulumi for a stack on its real cloud, once everything that the run needs is present."""
