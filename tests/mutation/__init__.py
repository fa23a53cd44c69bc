"""Mutations of the program: each leaves out one thing that is declared, and some check has to notice.

`make mutate` runs it. docs/mutations.md has the figures of the last run, and what they mean.
"""
