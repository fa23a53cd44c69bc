"""How a preflight's findings are printed, and which part of a program's output is the reason of a failure."""

from __future__ import annotations

import pytest

from deploy.findings import missing, note, ok, render
from deploy.programs import Answer


def test_findings_are_a_table_with_remedies_below() -> None:
    findings = [ok("pulumi", "v3"), missing("settings", "first\n  - second", "correct it"), note("quota", "small")]
    assert render(findings).splitlines() == [
        "  ok       pulumi    v3",
        "  missing  settings  first",
        "                       - second",
        "                     Remedy: correct it.",
        "  note     quota     small",
    ]


def test_long_texts_are_wrapped_between_words() -> None:
    command = "aws-service-quotas-request-service-quota-increase"
    lines = render([missing("quota", "word " * 40 + command, "ask for more")]).splitlines()
    assert max(len(line) for line in lines) <= 120
    assert sum(command in line for line in lines) == 1


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("warning: old\nerror: no stack named 'x' found\n", "no stack named 'x' found"),
        ("ERROR: AADSTS700082: expired.\nPlease run:\naz login --scope x\n", "AADSTS700082: expired"),
        ("Error: token file cannot be empty\nUsage:\n  kubelogin get-token [flags]\n", "token file cannot be empty"),
        ("\nAn error occurred (ExpiredToken) when calling\n", "An error occurred (ExpiredToken) when calling"),
        ("", "it ended with code 3"),
    ],
    ids=["pulumi", "az", "kubelogin", "aws", "silent"],
)
def test_the_reason_of_a_failure_is_the_programs_error_line(printed: str, reason: str) -> None:
    assert Answer(3, "", printed).reason == reason
