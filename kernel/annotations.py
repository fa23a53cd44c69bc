"""Annotations of Kubernetes objects that one package writes and another reads."""

SETTING = "groundwork/setting"
"""The setting that an object belongs to, such as `groundwork:lifecycle.gitToken`. Messages about the object name it."""

NODES_ON_DEMAND = "groundwork/nodes-on-demand"
"""`true` on a DaemonSet whose nodes are added only when other pods need them.

It may run without any node, which is a mistake for other DaemonSets.
"""
