"""Clouds, and classes of defaults."""

from __future__ import annotations

from enum import StrEnum


class Cloud(StrEnum):
    AZURE = "azure"
    AWS = "aws"


class Environment(StrEnum):
    DEV = "dev"
    STAGING = "staging"
    PROD = "prod"
