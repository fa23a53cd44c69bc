"""Tags that a stack adds: what each cloud allows, and the message for an invalid one.

The tests of each cloud prove that every resource has them.
"""

from __future__ import annotations

from typing import Any

import pytest

from infra.core.settings import Cloud, Settings
from infra.core.stack_config import check, parse
from kernel import stack_file
from tests.support.recording import stack_context

AZURE, AWS = Cloud.AZURE, Cloud.AWS


def parse_tags(cloud: Cloud, tags: Any) -> Settings:
    location = {AZURE: "westeurope", AWS: "eu-west-1"}[cloud]
    cluster = {"authorizedRanges": ["203.0.113.0/24"]}
    raw = {"cloud": cloud.value, "environment": "dev", "location": location, "organization": "acme", "owner": "ml"}
    return parse({**raw, "cluster": cluster, "tags": tags}, "sandbox")


def number_tags(number: int) -> dict[str, str]:
    return {f"tag-{index}": "x" for index in range(number)}


@pytest.mark.parametrize(
    ("cloud", "tags"),
    [
        (AZURE, {"team": "R&D #1, Zürich", "Data-Class_2": "x" * 256, "t" * 128: "y"}),
        (AZURE, number_tags(8)),
        (AWS, {"acme:team": "r+d = 1", "2nd/level key@x": "Zürich", "k" * 128: "v" * 256}),
        (AWS, number_tags(41)),
    ],
)
def test_tags_within_the_limits_are_accepted(cloud: Cloud, tags: dict[str, str]) -> None:
    assert parse_tags(cloud, tags).tags == tags


@pytest.mark.parametrize(
    ("cloud", "tags", "problem", "remedy"),
    [
        (AZURE, {"acme:team": "x"}, "groundwork:tags.acme:team is not a key of a tag on azure", "rename it"),
        (AZURE, {"two words": "x"}, "groundwork:tags.two words is not a key of a tag on azure", "rename it"),
        (AZURE, {"1st": "x"}, "it must start with a letter", "rename it"),
        (AZURE, {"k" * 129: "x"}, "at most 128 letters", "rename it"),
        (AZURE, {"Microsoft-team": "x"}, "has a prefix that Azure reserves", "another key"),
        (AZURE, number_tags(9), "has 9 tags, but azure allows 8 in addition to the project's", "remove 1"),
        (
            AZURE,
            {"Owner": "x"},
            "groundwork:tags.Owner is a tag that the project sets itself",
            "have their own settings",
        ),
        (AZURE, {"team": "x", "Team": "y"}, "groundwork:tags.Team: differs from tags.team only in case", "keep one"),
        (
            AZURE,
            {"team": "x" * 257},
            "must be one line of 1 to 256 characters",
            "such as ml-platform",
        ),
        (AZURE, {"team": "two\nlines"}, "must be one line", "such as ml-platform"),
        (AZURE, {"team": ""}, "must be one line of 1 to 256", "such as ml-platform"),
        (AZURE, {"number": 4711}, "groundwork:tags.number = 4711: must be text, but is read", "put it in quotes"),
        (AZURE, {"team": ["x"]}, "groundwork:tags.team: must be one value, not a list", "team: recommendations"),
        (
            AZURE,
            {"team": {"x": "y"}},
            "groundwork:tags.team: must be one value, not a section",
            "team: recommendations",
        ),
        (AZURE, ["team"], "groundwork:tags: must be a section with a text for each key", "team: recommendations"),
        (AZURE, "team", "groundwork:tags: must be a section with a text for each key", "team: recommendations"),
        (AWS, {"name": "x"}, "groundwork:tags.name is a tag that the project sets itself", "another key"),
        (AWS, {"R&D": "x"}, "groundwork:tags.R&D is not a key of a tag on aws", "rename it"),
        (AWS, {"team": "R&D #1"}, "groundwork:tags.team = 'R&D #1': has characters that a tag cannot have", "without"),
        (AWS, {"AWS:team": "x"}, "has a prefix that AWS and Kubernetes reserve", "another key"),
        (AWS, {"kubernetes.io/role/elb": "1"}, "has a prefix that AWS and Kubernetes reserve", "another key"),
        (AWS, {"karpenter.k8s.io/discovery": "x"}, "has a prefix that AWS and Kubernetes reserve", "another key"),
        (AWS, number_tags(42), "has 42 tags, but aws allows 41 in addition to the project's", "remove 1"),
    ],
)
def test_a_tag_that_the_cloud_would_refuse_is_reported(cloud: Cloud, tags: Any, problem: str, remedy: str) -> None:
    with pytest.raises(ValueError, match="nothing has been changed") as raised:
        parse_tags(cloud, tags)
    message = str(raised.value)
    assert problem in message
    assert remedy in message


def test_all_faults_of_tags_are_reported_at_once_with_their_lines() -> None:
    lines = ["cloud: aws", "environment: dev", "location: eu-west-1", "organization: acme", "owner: ml"]
    lines += ["cluster: {authorizedRanges: [203.0.113.0/24]}", "tags:", "  stack: mine", "  team: R&D", "  aws:x: y"]
    text = "config:\n" + "\n".join(f"  {line}" for line in lines)
    with pytest.raises(ValueError, match="nothing has been changed") as raised:
        check(stack_file.parse(text.encode(), "groundwork", "Pulumi.sandbox.yaml"), "sandbox")
    for line, key in ((9, "stack"), (10, "team = 'R&D'"), (11, "aws:x")):
        assert f"groundwork:tags.{key} (line {line})" in str(raised.value)


def test_added_tags_never_replace_the_projects_own() -> None:
    tags = stack_context("azure", tags={"team": "x"}).naming.tags
    assert {**tags, **stack_context("azure").naming.tags, "team": "x"} == tags
