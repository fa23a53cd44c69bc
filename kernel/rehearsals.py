"""The variable that distinguishes a rehearsal's shell from one that works on real clouds."""

REHEARSED_STACK = "GROUNDWORK_REHEARSAL"
"""Variable with the stack whose rehearsal a shell belongs to; not set in other shells."""
