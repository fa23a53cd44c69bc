"""Whether what is connected by names really is: identities, grants, keys, routes, alerts, logs, references, order.

Every rule relates two things that exist, each by itself without fault: an account and the identity that trusts it, an
alarm and who sends its metric. Nothing refuses a connection that is missing; what needs it fails later, or is silent.
"""

from rehearsal.wiring.graph import StackResources, Wiring
from rehearsal.wiring.judgement import find_problems, judge_graph

__all__ = ["StackResources", "Wiring", "find_problems", "judge_graph"]
