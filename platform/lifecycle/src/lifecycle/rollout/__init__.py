"""From no requests to all of them, step by step, or back: each step is a commit, and nothing else remembers."""
