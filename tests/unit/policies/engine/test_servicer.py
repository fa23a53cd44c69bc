"""The server of the pack reports everything that is undecided in one message.

Proves the responses that the engine would get. That the summary of a rehearsal counts them is proven by
tests/unit/rehearsal/test_summary.py and, with a real engine, by tests/engine.
"""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime import proto
from pulumi_policy import EnforcementLevel

from policies import get_control
from policies.engine.pack import NAME, as_policy
from policies.engine.servicer import PackServicer
from tests.support.policies.analyzer import analyze, analyze_stack
from tests.support.policies.azure_cases import STORAGE
from tests.support.policies.cases import UNKNOWN_TEXT, Declared

BLOB_ACCESS = "azure-storage-anonymous-blobs"


@pytest.fixture
def server() -> PackServicer:
    return PackServicer(NAME, "0.0.1", [as_policy(get_control(BLOB_ACCESS))], EnforcementLevel.ADVISORY)


def account(name: str, public: Any) -> Declared:
    return Declared(STORAGE, {"allowBlobPublicAccess": public}, name)


def test_undecided_checks_are_counted_by_control_and_reported_with_the_stack(server: PackServicer) -> None:
    assert analyze(server, account("one", UNKNOWN_TEXT)) == []
    assert analyze(server, account("two", UNKNOWN_TEXT)) == []
    [found] = analyze_stack(server, ())
    assert found.message.startswith("2 checks depend on values that are not known yet")
    assert f"{BLOB_ACCESS} (2)" in found.message
    assert found.enforcementLevel == proto.ADVISORY


def test_violations_are_reported_where_they_are_found(server: PackServicer) -> None:
    [found] = analyze(server, account("one", True))
    assert "Remedy: " in found.message
    assert analyze_stack(server, ()) == []


def test_the_packs_version_is_the_one_that_the_engine_reads(server: PackServicer) -> None:
    [found] = analyze(server, account("one", True))
    assert found.policyPackVersion == "1.0.0"
