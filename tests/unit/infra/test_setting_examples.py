"""Every setting has a description and a valid example, and any invalid value gets a message of this project.

The settings are those of the catalogue; test_setting_messages proves the messages of each rule.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from infra.core.settings import Cloud
from infra.core.settings.catalogue import describe_values, find_example, find_unit, format_setting, list_settings
from infra.core.stack_config import check
from kernel import stack_file
from tests.support.every_case import check_every
from tests.support.setting_texts import parse

ODD: tuple[Any, ...] = ("nonsense", -1, 1.5, True, None, "", [], {}, ["nonsense"], [1], {"a": 1})


def test_each_setting_has_a_description_and_a_valid_example() -> None:
    check_every(list_settings(), _check_description)


def _check_description(setting: str) -> None:
    field = list_settings()[setting]
    assert field.description
    assert describe_values(field)
    assert field.examples
    assert find_unit(field) or field.annotation is not int


@pytest.mark.slow
def test_no_message_of_the_validator_is_shown() -> None:
    """Any value of a setting is either accepted, or rejected with a message of this project."""
    check_every(product(list_settings(), ODD), _check_refusal)


def _check_refusal(case: tuple[str, Any]) -> None:
    setting, value = case
    *sections, name = setting.split(".")
    content: dict[str, Any] = {name: value}
    for section in reversed(sections):
        content = {section: content}
    first, inner = next(iter(content.items()))
    raw = {"cloud": "azure", "environment": "dev", "location": "westeurope", "organization": "acme", "owner": "ml"}
    raw["cluster"] = {"privateAccessFrom": ["10.0.0.0/24"]}  # type: ignore[assignment]
    if first == "cluster":
        inner = {**raw["cluster"], **inner}  # type: ignore[dict-item]
    text = stack_file.format_content({"config": {**raw, first: inner}})
    try:
        check(stack_file.parse(text.encode(), "groundwork", "stacks/Pulumi.test.yaml"), "test")
    except ValueError as error:
        message = str(error)
    else:
        return
    assert "nothing has been changed" in message
    assert "Input should" not in message
    assert "valid string" not in message


# Other settings that the example of a setting requires.
_REPOSITORY = "repository: https://git.example.com/acme/models.git"
NEEDED_BY_EXAMPLES = {
    "cost.monthlyBudget": "\ntelemetry: {alertEmail: ml-oncall@example.com}",
    "retraining.scheduled": "\n  models: [churn]",
    "gitops.path": f"\n  {_REPOSITORY}",
    "gitops.tokenSecret": f"\n  {_REPOSITORY}",
    "pipelines.enabled": f"\ngitops:\n  {_REPOSITORY}",
    "lifecycle.pullRequests": f"\ngitops:\n  {_REPOSITORY}",
}


def test_the_example_of_each_setting_is_allowed() -> None:
    check_every(product(list_settings(), Cloud), _check_example)


def _check_example(case: tuple[str, Cloud]) -> None:
    setting, cloud = case
    if setting in {Cloud.AZURE: ("account",), Cloud.AWS: ("subscription", "tenant", "training.outboundHosts")}[cloud]:
        return  # refused on the other cloud
    first, *inner = setting.split(".")
    text = "\n".join(format_setting([first, *inner], find_example(setting, cloud))).replace("groundwork:", "")
    if setting == "cluster.gpuPool.maximum":
        text += f"\n    size: {find_example('cluster.gpuPool.size', cloud)}"
    if first == "cluster" and not setting.endswith(("authorizedRanges", "privateAccessFrom")):
        text += "\n  privateAccessFrom: [10.0.0.0/24]"
    if first == "sso":  # each needs the others
        section = {name: find_example(name, cloud) for name in list_settings() if name.startswith("sso.")}
        text = "\n".join(format_setting(["sso"], {name.removeprefix("sso."): value for name, value in section.items()}))
        text = text.replace("groundwork:", "")
    if setting.startswith("alerting.smtp"):
        section = {name: find_example(f"alerting.{name}", cloud) for name in ("smtpHost", "smtpUser", "smtpPassword")}
        text = "\n".join(format_setting(["alerting"], section)).replace("groundwork:", "")
        text += "\ntelemetry: {alertEmail: ml-oncall@example.com}"
    if setting.startswith("gateway.acme"):  # each needs the others
        section = {name: find_example(f"gateway.{name}", cloud) for name in ("acmeServer", "acmeEmail", "acmeHosts")}
        section |= {"issuer": "acme", "domain": "ml.example.com"}
        text = "\n".join(format_setting(["gateway"], section)).replace("groundwork:", "")
    text += NEEDED_BY_EXAMPLES.get(setting, "")
    if setting == "resilience.standby":
        text += f"\n  backupStore: {find_example('resilience.backupStore', cloud)}"
    if setting == "resilience.multiZoneDatabase":
        text += f"\ndatabase: {{size: {find_example('database.size', cloud)}}}"
    assert parse(text, cloud)
