"""The last lines of a rehearsal: the outcome, its reason and what to do next."""

from __future__ import annotations

from rehearsal.outcome import Outcome

FILE = "stacks/Pulumi.aws-dev.yaml"


def test_a_rehearsal_that_passed_names_its_time_and_the_next_commands() -> None:
    lines = Outcome("aws-dev", (), "", 54.2, 0.4).render(FILE).strip().splitlines()
    assert lines[0] == "PASSED in 54 s. aws-dev is up on simulated clouds, and a second preview changes nothing."
    assert [line.split()[0] for line in lines[1:]] == ["look", "change", "discard"]
    assert "make shell STACK=aws-dev" in lines[1]
    assert FILE in lines[2]


def test_builds_are_counted_separately_from_the_stack() -> None:
    assert "PASSED in 54 s, after 412 s of builds. " in Outcome("aws-dev", (), "", 54.2, 411.8).render(FILE)


def test_a_failed_rehearsal_names_where_it_failed() -> None:
    text = Outcome("aws-dev", ("its charts", "its cluster"), "the reasons are above", 9.0, 0).render(FILE)
    reason = "The rehearsal of aws-dev failed at its charts and its cluster; the reasons are above."
    assert f"FAILED in 9 s. {reason}" in text
