"""Rotates the database's password, from the engine's random generator to MLflow's pods."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.errors import DeployError
from deploy.programs import ROOT
from operations import backup
from operations.database import NAMESPACE, find_database, read_login
from operations.recovery import MLFLOW
from operations.target import Target

_TYPE, _NAME = "random:index/randomPassword:RandomPassword", "database-password"


def rotate_database_password(target: Target, *, is_confirmed: bool) -> str:
    """Replace the password of the login `mlflow`, and restart MLflow one pod after the other; returns what was done.

    Open connections continue with the old password; connections that MLflow opens between the cloud's change and its
    restart fail. Raises DeployError if the stack is not as declared, or the database does not accept the new password.
    """
    urn = _find_urn(target)
    if not is_confirmed and not _is_agreed(target):
        raise DeployError(f"Nothing has been changed. `make rotate-password STACK={target.name} YES=1` does not ask.")
    _, before = read_login(target)
    # Only the password and what depends on it: the server, the store of secrets, the cluster's Secret.
    options = ["--yes", "--skip-preview", f"--target-replace={urn}", "--target-dependents"]
    options += ["--policy-pack", str(ROOT / "policies"), "--stack", target.name]
    target.call("pulumi", "up", *options, "--non-interactive")
    _, now = read_login(target)
    if now == before:
        raise DeployError(
            f"The password of {target.name} has not changed: `make preview STACK={target.name}` shows why."
        )
    target.kubectl("rollout", "restart", MLFLOW, "--namespace", NAMESPACE)
    target.kubectl("rollout", "status", MLFLOW, "--namespace", NAMESPACE, "--timeout=300s")
    return f"The database of {target.name} has another password. {_verify(target, before)}"


def _verify(target: Target, before: str) -> str:
    if not target.programs.find("psql"):
        return "`psql` is not on PATH, so the password has not been tested: `make smoke-test` of the stack does that."
    database = find_database(target)
    fault = database.find_fault()
    if "authentication failed" in fault:
        raise DeployError(
            f"The database of {target.name} refuses the new password, so MLflow cannot log in after its restart. "
            f"Try `make smoke-test STACK={target.name}` again in a minute; if it still fails, rotate once more."
        )
    if fault:
        return f"This machine could not test it ({fault}), but MLflow's pods are ready with it."
    if not database.find_fault(password=before):
        raise DeployError(f"The database of {target.name} still accepts the former password: change it in the cloud.")
    return "It accepts the new one, and refuses the former."


def _find_urn(target: Target) -> str:
    state = json.loads(backup.export_state(target)).get("deployment") or {}
    resources: Sequence[Mapping[str, Any]] = state.get("resources") or []
    for resource in resources:
        if resource["type"] == _TYPE and str(resource["urn"]).endswith(f"::{_NAME}"):
            return str(resource["urn"])
    raise DeployError(
        f"{target.name} has no database whose password could change: `make up STACK={target.name}` first."
    )


def _is_agreed(target: Target) -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return input(f"Restart MLflow of {target.name} with another password? [y/N] ").strip().lower() in ("y", "yes")
