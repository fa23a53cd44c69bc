"""Generates docs/settings.md, docs/access-matrix.md and docs/parity.md from the code.

`python -m infra.reference` prints them, `--write` writes them. A test fails if they are out of date.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from infra.access import EKS_CONTROLLERS, RETRAINING, WORKLOADS, Controller, Store, Workload
from infra.core.settings import Cloud, Environment, Settings
from infra.core.settings.catalogue import (
    NAMESPACE,
    Commented,
    describe_section,
    describe_values,
    find_example,
    format_content,
    format_scalar,
    list_sections,
    list_settings,
)
from infra.core.settings.changes import CHANGES
from infra.core.settings.limits import LOCATIONS
from infra.core.settings.transitions import MEANINGS, Effect
from infra.parity import format_parity
from infra.people import ROLES, Service

DOCS = Path(__file__).resolve().parents[1] / "docs"

_HEADER = """\
# Settings

What a stack's file, `stacks/Pulumi.<stack>.yaml`, may contain under `config:`. Generated from `infra/core/settings/` by
`make docs`. A setting that the file does not contain has its default. The examples show how each setting is written on
Azure, and what differs on AWS; not all of them can be combined. Quote text that looks like a number or a date.
`pulumi config set --path 'groundwork:cluster.userPool.minimum' 3` writes a setting of a section.
"""

_EXAMPLE = {"organization": "acme", "owner": "ml"}
_WAYS_TO_THE_API = ("cluster.authorizedRanges", "cluster.privateAccessFrom")
_LOCATIONS = {Cloud.AZURE: "westeurope", Cloud.AWS: "eu-west-1"}


def documents() -> dict[str, str]:
    """The text of each generated document, keyed by file name."""
    return {
        "settings.md": format_settings(),
        "access-matrix.md": format_access_matrix(),
        "parity.md": format_parity(),
    }


def format_settings() -> str:
    return "\n".join(
        [_HEADER, *_format_effects(), *(line for section in list_sections() for line in _format_section(section)), ""]
    )


def _format_effects() -> list[str]:
    rows = [f"| {effect} | {meaning} |" for effect, meaning in MEANINGS.items()]
    return [
        "The last column says what changing a setting does to a deployed stack. `make rehearse`, `make preview` and",
        "`make up` report it before anything starts: they compare the settings with those of the last deployment, in",
        "the stack's state. Plain `pulumi` does not compare them.",
        "",
        "| effect | meaning |",
        "|---|---|",
        *rows,
        "",
        "A change that loses data is confirmed with `CONFIRM=<setting>`; separate several of them by commas.",
        "",
    ]


def _format_section(section: str) -> list[str]:
    """A section's settings as a table, and an example of its lines in a stack's file."""
    settings = {path: field for path, field in list_settings().items() if path.rpartition(".")[0] == section}
    if not settings:
        return []
    meaning = describe_section(section) if section else ""
    rows = [
        f"| `{path}` | {field.description} | {describe_values(field)} | {_default(path)} | {_describe_change(path)} |"
        for path, field in settings.items()
    ]
    return [
        f"## {f'`{section}`' if section else 'The stack'}",
        "",
        *([meaning, ""] if meaning else []),
        "| setting | description | values | default | changing it |",
        "|---|---|---|---|---|",
        *rows,
        "",
        "```yaml",
        *format_content(_nest({path: _example(path) for path in settings})),
        "```",
        "",
        *([] if section else _format_locations()),
    ]


def _format_locations() -> list[str]:
    """The regions that a stack can be in."""
    return [
        "The regions with three availability zones that `location` can be:",
        "",
        *(f"- {cloud}: {', '.join(f'`{location}`' for location in LOCATIONS[cloud])}" for cloud in Cloud),
        "",
    ]


def _describe_change(path: str) -> str:
    azure, aws = (str(CHANGES[path][cloud]) for cloud in (Cloud.AZURE, Cloud.AWS))
    return azure if azure == aws else f"Azure: {azure}<br>AWS: {aws}"


def _example(path: str) -> Any:
    """A setting's example, with the one for AWS as a comment if it differs."""
    azure, aws = (find_example(path, cloud) for cloud in (Cloud.AZURE, Cloud.AWS))
    return (
        azure if azure == aws or isinstance(azure, list | dict) else Commented(azure, f"on AWS: {format_scalar(aws)}")
    )


def _nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the content of a stack's `config`: sections contain their settings."""
    content: dict[str, Any] = {}
    for path, value in values.items():
        first, *sections = path.split(".")
        place, key = content, f"{NAMESPACE}:{first}"
        for name in sections:
            place, key = place.setdefault(key, {}), name
        place[key] = value
    return content


def format_access_matrix() -> str:
    header = " | ".join(store.value for store in Store)
    rows = [
        f"| `{workload.name}` | `{workload.namespace}` / `{workload.service_account}` | "
        + " | ".join(_describe_access(workload, store) for store in Store)
        + f" | {'call' if workload.calls_mlflow else '-'} |"
        for workload in WORKLOADS
    ]
    controllers = [_format_controller(one) for one in EKS_CONTROLLERS]
    return "\n".join(
        [
            "# Access matrix",
            "",
            "What each workload may access, on both clouds. Generated from `infra/access.py` by `make docs`; cloud "
            "roles, key grants, service accounts and network egress are created from the same table.",
            "",
            f"| workload | namespace / service account | {header} | tracking server |",
            "|---|---|" + "---|" * len(Store) + "---|",
            *rows,
            "",
            "On EKS, two controllers act on the account itself; on AKS, Azure does their work.",
            "",
            "| controller | namespace / service account | may |",
            "|---|---|---|",
            *controllers,
            "",
            "One service starts workloads with the Kubernetes API, and has no identity in the cloud.",
            "",
            "| service | namespace / service account | may |",
            "|---|---|---|",
            _format_controller(RETRAINING),
            "",
            "## People",
            "",
            "What the members of the groups in `sso.adminGroup` and `sso.viewerGroup` may do. Generated from "
            "`infra/people.py`. Without `sso.issuer` each service has one administrator with a generated password.",
            "",
            f"| role | {' | '.join(Service)} |",
            "|---|" + "---|" * len(Service),
            *(f"| {role.name} | {' | '.join(role.permissions[service] for service in Service)} |" for role in ROLES),
            "",
        ]
    )


def _format_controller(one: Controller) -> str:
    return f"| `{one.name}` | `{one.namespace}` / `{one.service_account}` | {one.may} |"


def _describe_access(workload: Workload, store: Store) -> str:
    access = workload.needs.get(store)
    if access is None:
        return "-"
    return f"{access} ({', '.join(workload.tables)})" if store is Store.EXPERIMENTS else access.value


def _default(path: str) -> str:
    """The default; if it depends on cloud or environment, each value with its stacks."""
    defaults = {
        (cloud, environment): _value(cloud, environment, path) for cloud in Cloud for environment in Environment
    }
    if path.split(".")[0] in ("cloud", "environment", "location", *_EXAMPLE):
        return "required"
    if path in _WAYS_TO_THE_API:
        return "one of the two is required"
    values = list(dict.fromkeys(defaults.values()))
    used_on = [cloud for cloud in Cloud if CHANGES[path][cloud].usual.effect is not Effect.NONE]
    if len(values) == 1:
        return values[0] if len(used_on) == len(Cloud) else f"{values[0]} ({', '.join(used_on)})"
    stacks = {value: {stack for stack, default in defaults.items() if default == value} for value in values}
    return "; ".join(f"{value} ({_name_stacks(stacks[value])})" for value in values)


def _name_stacks(stacks: set[tuple[Cloud, Environment]]) -> str:
    """The environments or clouds that make up `stacks`, such as `dev, staging`, or else each combination of both."""
    environments = [one for one in Environment if (Cloud.AZURE, one) in stacks]
    if stacks == set(product(Cloud, environments)):
        return ", ".join(environments)
    clouds = [one for one in Cloud if (one, Environment.DEV) in stacks]
    if stacks == set(product(clouds, Environment)):
        return ", ".join(clouds)
    return ", ".join(
        f"{environment} on {cloud}"
        for cloud, environment in product(Cloud, Environment)
        if (cloud, environment) in stacks
    )


def _value(cloud: Cloud, environment: Environment, path: str) -> str:
    raw = {
        **_EXAMPLE,
        "cloud": cloud.value,
        "environment": environment.value,
        "location": _LOCATIONS[cloud],
        "cluster": {"authorizedRanges": ["203.0.113.0/24"]},
    }
    value: Any = Settings.model_validate(raw).model_dump(by_alias=True, mode="json")
    for step in path.split("."):
        value = value[step]
    if value in ("", [], {}):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def main() -> None:
    for name, text in documents().items():
        if "--write" in sys.argv:
            (DOCS / name).write_text(text)
        else:
            print(text)


if __name__ == "__main__":
    main()
