"""Mutations of the program: each leaves out one declared thing, and a check has to notice it.

`make mutate` runs them. docs/mutations.md has the figures of the last run, and what they mean.
"""
