"""The fixtures of tests/engine."""

from tests.engine.conftest import control_plane, engine, project, rehearsed_stacks

__all__ = ["control_plane", "engine", "project", "rehearsed_stacks"]
