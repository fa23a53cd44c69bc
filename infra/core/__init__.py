"""Shared by every layer of the program: settings, names and tags, and the base class of components."""
