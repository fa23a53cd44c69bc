"""How a shell that belongs to a rehearsal is told from one that works on real clouds."""

REHEARSED_STACK = "GROUNDWORK_REHEARSAL"
"""Variable that names the stack whose rehearsal a shell belongs to; not set in any other."""
