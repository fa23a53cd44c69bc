"""Durations in Go's notation."""

from __future__ import annotations

import re

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def parse_seconds(text: str) -> float:
    """The seconds of a duration such as `1h30m`; 0 if it is not one. Source: https://pkg.go.dev/time#ParseDuration"""
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+\.?\d*)(ms|h|m|s)", text))
