"""The order of deployments by environment, and the stacks that are rejected because they cannot be ordered."""

from __future__ import annotations

from pathlib import Path

import pytest

from delivery.environments import list_backed_up, order_stacks
from delivery.errors import DeliveryError
from deploy.programs import ROOT


def test_the_shipped_stacks_are_ordered_by_their_environments() -> None:
    ordered = order_stacks(ROOT / "stacks", ["aws-prod", "azure-dev", "aws-dev", "azure-staging"])
    assert ordered == {"dev": ["azure-dev", "aws-dev"], "staging": ["azure-staging"], "prod": ["aws-prod"]}


def test_without_stacks_there_are_no_deployments() -> None:
    assert order_stacks(ROOT / "stacks", []) == {"dev": [], "staging": [], "prod": []}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["aws-dve"], r"There is no stack 'aws-dve'.*Did you mean 'aws-dev'\?"),
        (["aws-dev", "aws-dev"], "listed twice: aws-dev"),
    ],
)
def test_a_stack_that_cannot_be_deployed_is_rejected(names: list[str], message: str) -> None:
    with pytest.raises(DeliveryError, match=message):
        order_stacks(ROOT / "stacks", names)


def test_a_stack_without_an_environment_cannot_be_ordered(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.a.yaml").write_text("config:\n  groundwork:environment: test\n")
    with pytest.raises(DeliveryError, match=r"Pulumi\.a\.yaml has the environment 'test'.*one of dev, staging, prod"):
        order_stacks(tmp_path, ["a"])


@pytest.mark.parametrize(
    ("setting", "is_backed_up"),
    [
        ("groundwork:resilience: {backupStore: 's3://acme-backups/stacks'}", True),
        ('groundwork:resilience: \'{"backupStore": "s3://acme-backups/stacks"}\'', True),
        ("groundwork:resilience: {backupStore: ''}", False),
        ("groundwork:resilience: {deletionProtection: true}", False),
        ("groundwork:resilience: everything", False),
        ("groundwork:location: eu-central-1", False),
    ],
)
def test_a_stack_with_a_backup_store_is_backed_up(tmp_path: Path, setting: str, *, is_backed_up: bool) -> None:
    (tmp_path / "Pulumi.a.yaml").write_text(f"config:\n  groundwork:environment: dev\n  {setting}\n")
    assert list_backed_up(tmp_path, ["a"]) == (["a"] if is_backed_up else [])
