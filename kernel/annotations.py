"""Annotations of Kubernetes objects that one package writes and another reads."""

SETTING = "groundwork/setting"
"""The setting that an object is declared for: `groundwork:lifecycle.gitToken`. Messages about the object name it."""
