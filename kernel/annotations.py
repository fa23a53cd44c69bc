"""Annotations of Kubernetes objects that one package writes and another reads."""

SETTING = "groundwork/setting"
"""The setting that an object is declared for: `groundwork:lifecycle.gitToken`. Messages about the object name it."""

NODES_ON_DEMAND = "groundwork/nodes-on-demand"
"""`true` on a DaemonSet whose nodes come when other pods need them: it may have none, which otherwise is a mistake."""
