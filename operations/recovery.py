"""Failover to the standby in another region, and failback; each step is a command that people could run."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from deploy.errors import DeployError
from estimates import load_steps
from operations import backup, engine_state, health, publication
from operations.backup import Backup
from operations.database import NAMESPACE, Rows, find_database, list_differences
from operations.pair import Active, Pair, read_pair
from operations.store import Store, find_artifacts
from operations.target import Target
from operations.timeline import RPO, Timeline

MLFLOW = "deployment/mlflow"
# A database in which all of these tables are empty holds nothing that could be lost.
_CONTENT = ("runs", "registered_models", "model_versions", "logged_models", "traces", "trace_info")


def fail_over(name: str, *, is_planned: bool) -> None:
    """Have the standby serve from the newest backup of a primary that does not answer.

    is_planned  proceed although the primary answers: stop its MLflow, and back it up once more
    Raises DeployError if the standby already serves, or the primary answers and the failover is not planned.
    """
    pair = read_pair(name)
    _require_active(pair, pair.primary, f"make failback STACK={name}")
    signs = list_signs_of_life(pair.primary)
    if signs and not is_planned:
        raise DeployError(
            f"{name} answers: {'; '.join(signs)}. Two stacks that both accept writes would diverge, so nothing has "
            f"been changed. To move anyway, `make failover STACK={name} PLANNED=1` stops MLflow there and moves its "
            "last write too; if only its models fail, see platform/runbooks/rollback.md."
        )
    timeline = Timeline(load_steps())
    if signs:
        with timeline.step(f"Stop MLflow of {name}, and back it up", "stop-mlflow"):
            _stop_mlflow(pair.primary)
            backup.create(pair.primary)
    newest = backup.require_newest(pair.store)
    lost = datetime.now(UTC) - newest.time
    _report(f"  The newest backup is {newest.name}: writes of the last {lost.total_seconds() / 60:.0f} min are lost.")
    if lost.total_seconds() > RPO and not signs:
        _report(
            f"  That is MORE THAN the {RPO / 60:.0f} min of the RPO: see platform/runbooks/BackupOverdue.md afterwards."
        )
    with timeline.step(f"State of {pair.standby.name} in the engine's backend"):
        _report(f"    {engine_state.require_state(pair.standby)}")
    _fill(pair.standby, pair.primary, pair.store, newest, timeline)
    pair.record_active(pair.standby, newest.name)
    _finish(pair.standby, timeline)


def fail_back(name: str, *, kept: str = "") -> None:
    """Have the primary serve again, with what the standby has written in the meantime.

    kept  the standby's name: rows that only the primary has are saved in a dump, and no longer served
    Raises DeployError if the primary already serves, does not answer, or has writes that the standby does not have.
    """
    pair = read_pair(name)
    active = _require_active(pair, pair.standby, f"make failover STACK={name}")
    engine_state.require_state(pair.primary)
    if fault := _find_fault(pair.primary):
        raise DeployError(
            f"{name} does not answer yet: {fault}. {pair.standby.name} continues to serve. Wait for the region, then "
            f"deploy {name} with `make up STACK={name}`."
        )
    saved = _settle_divergence(pair, active, kept)
    timeline = Timeline(load_steps())
    with timeline.step(f"Stop MLflow of {pair.standby.name}, and back it up", "stop-mlflow"):
        _stop_mlflow(pair.standby)
        newest = backup.create(pair.standby)
    source = backup.find_store(pair.standby)
    _fill(pair.primary, pair.standby, source, newest, timeline)
    pair.record_active(pair.primary, newest.name)
    _start_mlflow(pair.standby)
    if saved:
        _report(f"  What only {name} had is in {saved}.")
    _finish(pair.primary, timeline)


def list_signs_of_life(target: Target) -> list[str]:
    """The parts of a stack that answer; empty if even the engine's state is unavailable."""
    checks = {
        "its Kubernetes API is ready": lambda: not health.check_api(target).remedy,
        "its database accepts logins": lambda: not find_database(target).find_fault(),
    }
    return [sign for sign, check in checks.items() if _holds(check)]


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except DeployError:
        return False


def _fill(target: Target, source: Target, store: Store, newest: Backup, timeline: Timeline) -> None:
    """Restore a backup of the source on the target; everything is compared before the target serves."""
    database = find_database(target)
    with tempfile.TemporaryDirectory() as scratch:
        with timeline.step(f"Stop MLflow of {target.name}", "stop-mlflow"):
            _stop_mlflow(target)
        with timeline.step("Restore the database", "restore-database"):
            database.restore(backup.fetch_dump(store, newest, Path(scratch)))
            database.move(newest.root)
            _require_same("rows", list_differences(newest.rows, database.read_rows()))
        with timeline.step("Copy the artifacts", "copy-artifacts"):
            artifacts = find_artifacts(target)
            Store(target, store.url).child("artifacts").mirror(artifacts)
            digests = backup.digest_models(target, database.root, artifacts, database.list_versions())
            _require_same("models", [name for name, each in newest.digests.items() if digests.get(name) != each])
    with timeline.step("Start MLflow", "start-mlflow"):
        _start_mlflow(target)
    with timeline.step("Declare the models in the GitOps repository", "sync-models"):
        _report(f"    {publication.publish_models(source, target)}")
        publication.ask_for_sync(target)
    timeline.expect("Models start to serve", "serve-models")


def _finish(target: Target, timeline: Timeline) -> None:
    timeline.expect("Names lead to the gateway of the stack: move your DNS", "move-names")
    _report(f"{timeline.render()}\n\n{target.name} serves. Next:")
    domain = target.settings.gateway.domain or "the stack's domain"
    _report(f"  names     have {domain} lead to the gateway: `kubectl get gateway --namespace gateway`")
    _report("  check     `make validate` of the same stack; it also shows a preview, which should be empty")
    _report(
        f"  backups   `make backup STACK={target.name}` now; its pipeline has to name the stack (docs/operations.md)"
    )


def _require_active(pair: Pair, expected: Target, instead: str) -> Active:
    active = pair.read_active()
    if active.stack != expected.name:
        raise DeployError(
            f"{active.stack} already serves{f', since {active.since}' if active.since else ''}: there is nothing to "
            f"move. To move the other way, run `{instead}`."
        )
    return active


def _settle_divergence(pair: Pair, active: Active, kept: str) -> str:
    """Save rows that only the primary has, and return where; empty if there are none.

    Raises DeployError unless `kept` says that the standby's data is to be served.
    """
    database = find_database(pair.primary)
    rows = database.read_rows()
    if not _has_content(rows):
        return ""
    differences = list_differences(_read_rows(pair, active.backup), rows)
    if not differences:
        return ""
    if kept != pair.standby.name:
        lines = "".join(f"\n  {line}" for line in differences)
        raise DeployError(
            f"{pair.primary.name} has rows that {pair.standby.name} does not: they differ from the backup "
            f"{active.backup} that {pair.standby.name} was filled from:{lines}\nThe data has diverged, so nothing has "
            f"been changed. Copy what is needed to {pair.standby.name} first, then `make failback "
            f"STACK={pair.primary.name} KEEP={pair.standby.name}`, which saves a dump of {pair.primary.name} and "
            f"serves the data of {pair.standby.name}."
        )
    name = f"diverged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump"
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, name)
        database.dump(file)
        pair.store.upload(file, name)
    return f"{pair.store.url}/{name}"


def _read_rows(pair: Pair, name: str) -> Rows:
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "manifest.json")
        pair.store.download(f"{backup.FOLDER}/{name}/manifest.json", file)
        return Backup.from_json(file.read_text()).rows


def _has_content(rows: Rows) -> bool:
    return any(table in rows and rows[table].count for table in _CONTENT)


def _find_fault(target: Target) -> str:
    api = health.check_api(target)
    return api.text if api.remedy else find_database(target).find_fault()


def _stop_mlflow(target: Target) -> None:
    """Stop MLflow, and return once no pod is left that could still write."""
    target.kubectl("scale", MLFLOW, "--namespace", NAMESPACE, "--replicas=0")
    place = ["pods", "--namespace", NAMESPACE, "--selector", "app.kubernetes.io/name=mlflow"]
    answer = target.ask_kubectl("wait", *place, "--for=delete", "--timeout=180s")
    if answer.code and "no matching resources found" not in answer.error:
        raise DeployError(f"MLflow of {target.name} does not stop: {answer.reason}. `kubectl get pods` shows why.")


def _start_mlflow(target: Target) -> None:
    replicas = target.settings.resilience.replicas
    target.kubectl("scale", MLFLOW, "--namespace", NAMESPACE, f"--replicas={replicas}")
    target.kubectl("rollout", "status", MLFLOW, "--namespace", NAMESPACE, "--timeout=300s")


def _require_same(what: str, differences: list[str]) -> None:
    if differences:
        raise DeployError(
            f"The restored {what} differ from the backup: {'; '.join(differences)}. MLflow stays stopped. "
            "Use an older backup: remove the newest one's folder from the store, and run the command again."
        )


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
