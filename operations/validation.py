"""Checks whether the stack that serves has what was backed up, and whether its standby could take over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from deploy.errors import DeployError
from deploy.findings import Finding, Status, missing, ok
from operations import backup, engine_state, health
from operations.backup import Backup
from operations.database import find_database
from operations.pair import Pair, read_pair
from operations.store import find_artifacts
from operations.target import Target
from operations.timeline import RPO


def validate(name: str) -> list[Finding]:
    """Everything that is present and missing. Raises DeployError if the stack has no standby."""
    pair = read_pair(name)
    active = pair.read_active()
    serving, other = (pair.standby, pair.primary) if active.stack == pair.standby.name else (pair.primary, pair.standby)
    findings = [ok("serves", f"{serving.name}{f', since {active.since}' if active.since else ''}")]
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "health": lambda: _check_well(serving),
        "preview": lambda: _check_state(serving),
        "models": lambda: _check_models(serving, _require_reference(pair, serving, active.since)),
        "backup": lambda: _check_backup(serving, _require_reference(pair, serving, active.since)),
        "standby": lambda: _check_other(pair, other),
    }
    for subject, check in checks.items():
        findings += _guard(subject, check)
    return findings


def _require_reference(pair: Pair, serving: Target, since: str) -> Backup:
    """What the stack should have: its own newest backup or, if it has none yet, the backup that it was filled from."""
    own = backup.find_newest(backup.find_store(serving))
    # Both are in whole seconds: a backup of the second in which it took over has the content from before.
    is_filled = serving is pair.standby and (own is None or own.time <= datetime.fromisoformat(since))
    return backup.require_newest(pair.store) if is_filled or own is None else own


def _guard(subject: str, check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(check())
    except DeployError as error:
        return [missing(subject, str(error))]


def _check_well(target: Target) -> Iterator[Finding]:
    ill = [each for each in health.check(target) if each.status is Status.MISSING]
    yield from ill or [ok("health", "everything that runs is healthy")]


def _check_state(target: Target) -> Iterator[Finding]:
    if changes := engine_state.find_changes(target):
        yield missing("preview", f"the stack is not as declared:\n{changes}", f"`make up STACK={target.name}`")
    else:
        yield ok("preview", "nothing would change")


def _check_models(target: Target, newest: Backup) -> Iterator[Finding]:
    """Check the versions and files of a backup."""
    database = find_database(target)
    versions = {(each.model, each.number) for each in database.list_versions()}
    absent = [f"{each.model}/{each.number}" for each in newest.versions if (each.model, each.number) not in versions]
    if absent:
        yield missing(
            "registry", f"versions of the backup {newest.name} are missing: {', '.join(absent)}", "restore it"
        )
    else:
        yield ok("registry", f"all {len(newest.versions)} versions of the backup {newest.name}")
    digests = backup.digest_models(target, database.root, find_artifacts(target), database.list_versions())
    differing = [each for each, digest in newest.digests.items() if digests.get(each, digest) != digest]
    if differing:
        yield missing("models", f"files differ from the backup {newest.name}: {', '.join(differing)}", "restore them")
    else:
        yield ok("models", f"the files of all {len(digests)} versions with an alias have the digest of the backup")


def _check_backup(target: Target, newest: Backup) -> Iterator[Finding]:
    age = (datetime.now(UTC) - newest.time).total_seconds()
    text = f"the newest is {newest.name}, {age / 60:.0f} min old"
    if age > RPO:
        yield missing(
            "backup",
            f"{text}, which is more than the {RPO / 60:.0f} min of the RPO",
            f"`make backup STACK={target.name}`",
        )
    else:
        yield ok("backup", text)


def _check_other(pair: Pair, other: Target) -> Iterator[Finding]:
    """Check whether the stack that does not serve could."""
    api = health.check_api(other)
    yield missing("standby", api.text, api.remedy) if api.remedy else ok("standby", f"{other.name} answers")
    domains = {each.settings.gateway.domain for each in (pair.primary, pair.standby)}
    if len(domains) > 1:
        yield missing(
            "names",
            f"gateway.domain is {' and '.join(sorted(map(repr, domains)))}: the routes of models have one of them",
            "set one domain in both stacks",
        )
