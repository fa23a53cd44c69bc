"""The pull request comment, from findings written by hand.

Proves what it says about each kind of finding, that untrusted names add no markup to it, and its length. The other
tests in this folder and tests/engine/test_report.py prove how findings are collected.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from markdown_it import MarkdownIt

from reporting import comment, data_loss
from reporting.base import Base
from reporting.changes import Kind, PropertyChange, ResourceChange
from reporting.policy_results import Violation
from reporting.sections import LIMIT
from tests.support.report_findings import OPEN_PORT, OPENED_GROUP, RESIZED_POOL, change, cost, duration, findings


def test_a_change_that_opens_a_group_and_resizes_a_pool() -> None:
    schedules: dict[str, Any] = {"duration": duration(), "change_duration": duration(1)}
    text = comment.render(findings(violations=[OPEN_PORT], cost=cost(), **schedules))
    assert text.startswith("## <code>azure-dev</code>: cannot be deployed like this\n")
    assert "0 added, 1 changed, 1 replaced, 0 deleted; 407 unchanged" in text
    assert "204 checks passed, 1 failed" in text
    assert "1,014.50 USD a month (+302.00 USD)" in text
    assert "1 min for what this change creates, 3 min for a new stack" in text
    assert "| ± replaced | <code>cluster-user</code> |" in text
    sizes = "<code>Standard&#95;D4s&#95;v5</code> → <code>Standard&#95;D8s&#95;v5</code>"
    assert f"<code>vmSize</code>: {sizes} (replaces)" in text
    assert "| <code>cluster-user</code> | 302.00 | 604.00 | +302.00 USD |" in text


@pytest.mark.parametrize(
    ("content", "conclusion"),
    [
        ({}, "can be deployed"),
        ({"changes": ()}, "no changes"),
        ({"refusals": {"database": "storage cannot shrink"}}, "cannot be deployed like this"),
        ({"refused_settings": "groundwork:location ..."}, "has to be confirmed, or cannot be deployed like this"),
    ],
    ids=["fine", "nothing", "refused", "settings"],
)
def test_the_conclusion_is_in_the_heading(content: dict[str, object], conclusion: str) -> None:
    assert comment.render(findings(**content)).splitlines()[0].endswith(f": {conclusion}")  # type: ignore[arg-type]


def test_data_loss_has_its_own_section() -> None:
    changes = (change(Kind.DELETED, "azure-native:dbforpostgresql:Server", "database"),)
    text = comment.render(findings(changes, data_losses=data_loss.list_warnings(changes)))
    assert "### Data loss" in text
    assert "- <code>database</code> is deleted, and with it its databases" in text
    assert "warnings of data loss: 1" in text


def test_a_group_that_admits_the_internet_is_named() -> None:
    rule = {"direction": "Inbound", "access": "Allow", "protocol": "Tcp", "destinationPortRange": "443"}
    inputs = {"securityRules": [{**rule, "sourceAddressPrefix": "Internet"}]}
    group = {"urn": OPENED_GROUP.urn, "type": OPENED_GROUP.type, "custom": True, "inputs": inputs}
    assert (
        "### Open to the internet\n\n- <code>network-nodes</code> allows <code>Tcp 443 from Internet</code>\n"
        in comment.render(findings(resources=[group]))
    )


def test_a_new_stack_says_that_nothing_is_compared() -> None:
    text = comment.render(findings(base=None))
    assert "as a new stack: no base to compare with was named" in text
    reason = "main has no stack azure-dev, so all of it is new."
    fresh = comment.render(findings(not_compared=reason))
    assert f"not compared with <code>main</code> (<code>{'b' * 12}</code>): {reason}" in fresh


def test_what_was_not_estimated_or_rehearsed_is_reported() -> None:
    text = comment.render(findings(not_rehearsed=["The chart loki was not rendered: no package"]))
    assert "| Cost | not estimated |" in text
    assert "| Deployment | not estimated |" in text
    assert "| Rehearsal | not run: charts and pods are not checked |" in text
    assert "- The chart loki was not rendered: no package" in text


def test_a_missing_price_is_named() -> None:
    missing = [{"urn": RESIZED_POOL.urn, "what": "nodes", "reason": "no price of Standard_X"}]
    text = comment.render(
        findings(cost=cost(missing=missing, isComplete=False, budget={"usd": 800, "isExceeded": True}))
    )
    assert "| Cost | at least 1,014.50 USD a month (+302.00 USD) |" in text
    assert "| <code>cluster-user</code> | | no price | nodes: no price of Standard&#95;X |" in text
    assert "The budget of 800 USD is exceeded" in text


def test_many_properties_of_a_resource_are_counted() -> None:
    properties = [PropertyChange(f"tags.{number}", "a", "b") for number in range(20)]
    assert "<br>and 12 more |" in comment.render(findings([change(Kind.CHANGED, "a:b:C", "x", *properties)]))


HOSTILE = "x`|</code>@acme/all --> [a](http://e.example) #1 <img src=x>\n\n# h\u202e"


def test_untrusted_names_are_not_markup() -> None:
    hostile = ResourceChange(
        f"urn:pulumi:s::p::a:b:C::{HOSTILE}",
        HOSTILE,
        Kind.CHANGED,
        (PropertyChange(HOSTILE, {HOSTILE: HOSTILE}, [HOSTILE]),),
    )
    text = comment.render(
        findings(
            [hostile] * 40,
            [Violation(HOSTILE, HOSTILE, HOSTILE, is_mandatory=True)],
            base=Base(HOSTILE, "b" * 40),
            refusals={HOSTILE: HOSTILE},
            refused_settings=HOSTILE,
            setting_changes=[HOSTILE],
            data_losses=[(hostile, HOSTILE)],
            not_rehearsed=[HOSTILE],
            cost=cost(missing=[{"urn": HOSTILE, "what": HOSTILE, "reason": HOSTILE}]),
        )
    )
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert set(re.findall(r"<(\w+)", page)) == {
        "br", "code", "details", "h2", "h3", "li", "p", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul"
    }  # fmt: skip
    assert len(re.findall("<h3>", page)) == 8
    assert "\u202e" not in text


@pytest.mark.slow
@pytest.mark.parametrize("limit", [8192, LIMIT])
def test_the_longest_escaped_text_keeps_to_the_limit(limit: int) -> None:
    worst = "&" * 2000
    many = [change(Kind.REPLACED, worst, worst, PropertyChange(worst, worst, worst))] * 500
    text = comment.render(
        findings(
            many,
            [Violation(worst, worst, worst, is_mandatory=number % 2 == 0) for number in range(500)],
            base=Base(worst, "b" * 40),
            not_compared=worst,
            refusals={f"{worst}{number}": worst for number in range(500)},
            refused_settings=f"{worst}\n" * 500,
            setting_changes=[worst] * 500,
            data_losses=[(many[0], worst)] * 500,
            not_rehearsed=[worst] * 500,
            cost=cost(pricesChecked=worst, missing=[{"urn": worst, "what": worst, "reason": worst}] * 500),
            duration=duration(500),
        ),
        limit,
    )
    assert len(text.encode()) <= limit


@pytest.mark.parametrize("count", [31, 5000])
def test_a_long_list_is_folded_and_bounded(count: int) -> None:
    changes = [change(Kind.ADDED, "a:b:C", f"resource-{number}") for number in range(count)]
    text = comment.render(findings([*changes, OPENED_GROUP]))
    assert f"<details><summary>{count + 1} resources</summary>" in text
    assert text.count("<details>") == text.count("</details>") == 1
    assert len(text.encode()) <= LIMIT
    assert ("left out" in text) == (count == 5000)
