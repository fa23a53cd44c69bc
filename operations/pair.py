"""A stack and its standby in another region, and which of them serves."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.errors import DeployError
from operations import backup
from operations.store import Store
from operations.target import Target, read_target

_FOLDER, _RECORD = "active", "record.json"


@dataclass(frozen=True)
class Active:
    """
    stack   the one that serves
    backup  name of the backup that it was filled from; empty if it was never filled
    since   when it began to serve, in UTC
    """

    stack: str
    backup: str
    since: str


@dataclass(frozen=True)
class Pair:
    """
    store  of the primary's backups
    """

    primary: Target
    standby: Target
    store: Store

    def read_active(self) -> Active:
        """Which of the two serves; the primary if there was no failover."""
        place = self.store.child(_FOLDER)
        if _RECORD not in place.list_names(_RECORD):
            return Active(self.primary.name, "", "")
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch, _RECORD)
            place.download(_RECORD, file)
            return Active(**json.loads(file.read_text()))

    def record_active(self, target: Target, name: str) -> None:
        record = {"stack": target.name, "backup": name, "since": datetime.now(UTC).isoformat(timespec="seconds")}
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch, _RECORD)
            file.write_text(json.dumps(record))
            self.store.child(_FOLDER).upload(file, _RECORD)


def read_pair(name: str) -> Pair:
    """Raises DeployError if the stack has no standby, or one that would fail together with it."""
    primary = read_target(name)
    settings = primary.settings
    if not settings.resilience.standby:
        raise DeployError(
            f"{name} has no standby: set groundwork:resilience.standby in stacks/{primary.stack.file.name} to a stack "
            "in another region, which `make new-stack` writes and `make up` deploys."
        )
    standby = read_target(settings.resilience.standby)
    other = standby.settings
    if other.location == settings.location:
        raise DeployError(
            f"{standby.name} is in {other.location}, as is {name}, and would be lost with that region: set "
            "groundwork:resilience.standby to a stack in another region."
        )
    if other.cloud != settings.cloud:
        raise DeployError(
            f"{standby.name} is on {other.cloud}, but {name} is on {settings.cloud}: neither cloud's tools can copy "
            "artifacts to the other. Set groundwork:resilience.standby to a stack on the same cloud."
        )
    # With the standby's programs: the primary's identity may be unavailable with its region.
    store = backup.find_store(primary)
    return Pair(primary, standby, Store(standby, store.url))
