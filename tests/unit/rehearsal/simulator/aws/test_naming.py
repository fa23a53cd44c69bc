"""The names that the `aws` provider generates if a program sets none: their format, and that updates retain them.

Proves it through the provider protocol's Check. Not proven: the random digits, which the engine's seed determines.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from kernel.values import UNKNOWN
from rehearsal.simulator.core.defaults import FILLED_IN
from rehearsal.simulator.core.naming import AutonamingMode, NamingHints
from rehearsal.simulator.core.values import Values
from tests.support.aws_account import BUCKET, DATABASE, LOGS, NODES, POOL, POSTGRES, ROLE, TRUST, Account

TOPIC, ALIAS = "aws:sns/topic:Topic", "aws:kms/alias:Alias"


def check(
    account: Account,
    type_: str,
    name: str,
    inputs: dict[str, Any],
    old: Values | None = None,
    hints: NamingHints = NamingHints(b"seed"),  # noqa: B008 it is immutable
) -> tuple[Values, list[str]]:
    return account.simulation.check(f"urn:pulumi:s::p::{type_}::{name}", type_, Values(inputs), old, hints)


@pytest.mark.parametrize(
    ("type_", "path", "inputs", "pattern"),
    [
        (BUCKET, "bucket", {}, r"reports-[0-9a-f]{7}"),
        (BUCKET, "bucket", {"bucketPrefix": "acme-"}, r"acme-[0-9a-f]{26}"),
        (ROLE, "name", {"assumeRolePolicy": TRUST}, r"Reports-[0-9a-f]{7}"),
        (LOGS, "name", {"namePrefix": UNKNOWN}, UNKNOWN),
        (TOPIC, "name", {"fifoTopic": True}, r"Reports-[0-9a-f]{7}\.fifo"),
        (ALIAS, "name", {"targetKeyId": UNKNOWN}, r"alias/Reports-[0-9a-f]{7}"),
        (NODES, "nodeGroupName", POOL, r"Reports-[0-9a-f]{7}"),
    ],
)
def test_a_generated_name_has_the_format_of_its_type(
    account: Account, type_: str, path: str, inputs: dict[str, Any], pattern: Any
) -> None:
    complete, problems = check(account, type_, "Reports", inputs)
    assert problems == []
    name = complete.plain[path]
    assert name is UNKNOWN if pattern is UNKNOWN else re.fullmatch(pattern, name)


def test_a_database_is_named_without_a_hyphen(account: Account) -> None:
    unnamed = {name: value for name, value in POSTGRES.items() if name != "identifier"}
    complete, problems = check(account, DATABASE, "reports", unnamed)
    assert problems == []
    assert re.fullmatch(r"reports[0-9a-f]{7}", complete.plain["identifier"])


def test_a_name_that_the_program_sets_is_not_changed(account: Account) -> None:
    complete, _ = check(account, BUCKET, "reports", {"bucket": "acme-reports"})
    assert (complete.plain["bucket"], complete.plain[FILLED_IN]) == ("acme-reports", ["region"])


def test_an_update_keeps_the_generated_name_and_changes_nothing(account: Account) -> None:
    first, _ = check(account, BUCKET, "reports", {})
    second, _ = check(account, BUCKET, "reports", {}, old=first, hints=NamingHints(b"another"))
    assert second == first
    assert account.simulation.diff("urn::reports", BUCKET, first.plain["bucket"], first, second).changed == []


def test_a_name_that_the_program_no_longer_sets_is_generated(account: Account) -> None:
    before = Values({"bucket": "acme-reports"})
    complete, _ = check(account, BUCKET, "reports", {}, old=before)
    difference = account.simulation.diff("urn::reports", BUCKET, "acme-reports", before, complete)
    assert difference.replaces == ["bucket"]


def test_a_replacement_with_a_generated_name_is_created_first(account: Account) -> None:
    before, _ = check(account, BUCKET, "reports", {})
    after, _ = check(account, BUCKET, "reports", {"objectLockEnabled": True}, old=before)
    difference = account.simulation.diff("urn::reports", BUCKET, before.plain["bucket"], before, after)
    assert (difference.replaces, difference.delete_before_replace) == (["objectLockEnabled"], False)


def test_a_logical_name_that_is_too_long_for_the_type_is_refused_as_the_provider_refuses_it(account: Account) -> None:
    _, (reason,) = check(account, ROLE, "r" * 60, {"assumeRolePolicy": TRUST})
    assert reason == (
        f"could not make instance of '{ROLE}': name '{'r' * 60}-' plus 7 random chars is longer than maximum length 64"
    )


@pytest.mark.parametrize(
    ("hints", "name", "problems"),
    [
        (NamingHints(mode=AutonamingMode.PROPOSE, proposed="Acme-Reports"), "acme-reports", []),
        (NamingHints(mode=AutonamingMode.ENFORCE, proposed="acme.reports"), "acme.reports", []),
        (NamingHints(mode=AutonamingMode.DISABLE), None, ["automatic naming is disabled but no explicit name was"]),
        (NamingHints(mode=AutonamingMode.PROPOSE, proposed="a" * 64), None, ["exceeds maximum length of 63"]),
    ],
)
def test_the_engines_settings_for_autonaming_take_effect(
    account: Account, hints: NamingHints, name: str | None, problems: list[str]
) -> None:
    complete, reasons = check(account, BUCKET, "reports", {}, hints=hints)
    assert complete.plain.get("bucket") == name
    assert [part for part, reason in zip(problems, reasons, strict=True) if part not in reason] == []
