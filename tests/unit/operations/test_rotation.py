"""The commands of a rotation to the engine and the cluster, and when it stops; tests/engine has a rehearsed stack."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from deploy.errors import DeployError
from deploy.programs import Answer
from operations import rotation
from tests.support.fake_target import FakeTarget, fake_target

URN = "urn:pulumi:aws-dev::groundwork::random:index/randomPassword:RandomPassword::database-password"
STATE = {"deployment": {"resources": [{"urn": URN, "type": "random:index/randomPassword:RandomPassword"}]}}


def secret(password: str) -> Answer:
    user, encoded = (base64.b64encode(text.encode()).decode() for text in ("mlflow", password))
    return Answer(0, f'{{"data": {{"username": "{user}", "password": "{encoded}"}}}}', "")


def create_target(*passwords: str, **more: Any) -> FakeTarget:
    """A stack whose Secret has these passwords, one after the other."""
    return fake_target(
        {
            "pulumi stack export": STATE,
            "pulumi up": "done",
            "kubectl get secret": [secret(each) for each in passwords],
            "kubectl rollout": "done",
            **more,
        },
        PATH="/nowhere",
    )


def test_only_the_password_and_its_dependents_change() -> None:
    target = create_target("old", "new")
    text = rotation.rotate_database_password(target, is_confirmed=True)
    assert "another password" in text
    (up,) = (line for line in target.commands if line.startswith("pulumi up"))
    assert f"--target-replace={URN} --target-dependents --policy-pack " in up
    restart, status = (line for line in target.commands if line.startswith("kubectl rollout"))
    assert restart == "kubectl rollout restart deployment/mlflow --namespace mlflow"
    assert "status" in status


def test_nothing_changes_without_confirmation() -> None:
    target = create_target("old", "new")
    with pytest.raises(DeployError, match=r"Nothing has been changed. `make rotate-password STACK=aws-dev YES=1`"):
        rotation.rotate_database_password(target, is_confirmed=False)
    assert not any(line.startswith(("pulumi up", "kubectl")) for line in target.commands)


def test_an_unchanged_password_is_reported_before_any_restart() -> None:
    target = create_target("old", "old")
    with pytest.raises(DeployError, match="has not changed"):
        rotation.rotate_database_password(target, is_confirmed=True)
    assert not any("restart" in line for line in target.commands)


def test_a_missing_database_is_reported() -> None:
    with pytest.raises(DeployError, match="has no database whose password could change"):
        rotation.rotate_database_password(
            create_target("old", **{"pulumi stack export": {"deployment": {}}}), is_confirmed=True
        )
