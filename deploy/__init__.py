"""Runs Pulumi for a stack on its real cloud, once everything that it needs is there."""
