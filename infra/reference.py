"""Generates docs/settings.md and docs/access-matrix.md from the code.

`python -m infra.reference` prints them, `--write` writes them. A test fails when they are out of date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from infra.access import WORKLOADS, Store
from infra.core.settings import Cloud, Environment, Settings

DOCS = Path(__file__).resolve().parents[1] / "docs"

_EXAMPLE = {"organization": "acme", "owner": "ml"}
_WAYS_TO_THE_API = ("cluster.authorizedRanges", "cluster.privateAccessFrom")
_LOCATIONS = {Cloud.AZURE: "westeurope", Cloud.AWS: "eu-west-1"}


def documents() -> dict[str, str]:
    """The text of each generated document, by file name."""
    return {"settings.md": format_settings(), "access-matrix.md": format_access_matrix()}


def format_settings() -> str:
    rows = [f"| `{path}` | {_describe(field)} | {_default(path)} |" for path, field in _walk_settings(Settings)]
    return "\n".join(
        [
            "# Settings",
            "",
            "What a stack file, `stacks/Pulumi.<stack>.yaml`, may contain under `groundwork:`. Generated from "
            "`infra/core/settings/` by `make docs`.",
            "",
            "| setting | description | default |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def format_access_matrix() -> str:
    header = " | ".join(store.value for store in Store)
    rows = [
        f"| `{workload.name}` | `{workload.namespace}` / `{workload.service_account}` | "
        + " | ".join(workload.needs[store].value if store in workload.needs else "-" for store in Store)
        + " |"
        for workload in WORKLOADS
    ]
    return "\n".join(
        [
            "# Access matrix",
            "",
            "What each workload may access, on both clouds. Generated from `infra/access.py` by `make docs`; cloud "
            "roles, key grants, service accounts and network egress come from the same table.",
            "",
            f"| workload | namespace / service account | {header} |",
            "|---|---|" + "---|" * len(Store),
            *rows,
            "",
        ]
    )


def _walk_settings(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Each setting of a section and of the sections in it, with its path."""
    for field in section.model_fields.values():
        path = f"{prefix}{field.alias}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _walk_settings(field.annotation, f"{path}.")
        else:
            yield path, field


def _describe(field: FieldInfo) -> str:
    bounds = [text for item in field.metadata if (text := _describe_bound(item))]
    return f"{field.description} ({', '.join(bounds)})" if bounds else str(field.description)


def _describe_bound(item: Any) -> str:
    match item:
        case Ge():
            return f"minimum {item.ge}"
        case Le():
            return f"maximum {item.le}"
        case MinLen():
            return "not empty" if item.min_length == 1 else f"at least {item.min_length} characters"
        case MaxLen():
            return f"at most {item.max_length} characters"
        case _:
            return ""


def _default(path: str) -> str:
    """The default; where it depends on cloud or environment, each value with its stacks."""
    defaults = {
        (cloud, environment): _value(cloud, environment, path) for cloud in Cloud for environment in Environment
    }
    if path.split(".")[0] in ("cloud", "environment", "location", *_EXAMPLE):
        return "required"
    if path in _WAYS_TO_THE_API:
        return "one of the two is required"
    values = list(dict.fromkeys(defaults.values()))
    if len(values) == 1:
        return values[0]
    stacks = {value: {stack for stack, default in defaults.items() if default == value} for value in values}
    return "; ".join(f"{value} ({_name_stacks(stacks[value])})" for value in values)


def _name_stacks(stacks: set[tuple[Cloud, Environment]]) -> str:
    """The environments or clouds that make up `stacks`, or else the stacks' own names: `dev, staging`."""
    environments = [one for one in Environment if (Cloud.AZURE, one) in stacks]
    if stacks == set(product(Cloud, environments)):
        return ", ".join(environments)
    clouds = [one for one in Cloud if (one, Environment.DEV) in stacks]
    if stacks == set(product(clouds, Environment)):
        return ", ".join(clouds)
    return ", ".join(
        f"{cloud}-{environment}" for cloud, environment in product(Cloud, Environment) if (cloud, environment) in stacks
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
    if value in ("", []):
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
