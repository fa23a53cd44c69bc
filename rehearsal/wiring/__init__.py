"""Checks of connections by name: identities, grants, keys, routes, alerts, logs, references, order of creation.

Every rule relates two things that exist and are valid by themselves: a service account and the identity that trusts it,
an alarm and the sender of its metric. No cloud rejects a missing connection; what needs it fails later, or silently.
"""

from rehearsal.wiring.checks import check_graph, find_problems
from rehearsal.wiring.graph import StackResources, Wiring

__all__ = ["StackResources", "Wiring", "check_graph", "find_problems"]
