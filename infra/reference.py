"""Writes what is generated from code: docs/settings.md and docs/access-matrix.md.

`python -m infra.reference` prints them, `--write` writes them; a test fails when they are stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from infra.access import WORKLOADS, Store
from infra.core.settings import Cloud, Environment, Settings

DOCS = Path(__file__).resolve().parents[1] / "docs"

_EXAMPLE = {"organization": "acme", "owner": "ml"}
_LOCATIONS = {Cloud.AZURE: "westeurope", Cloud.AWS: "eu-west-1"}


def documents() -> dict[str, str]:
    """File name -> text, for every generated document of this package."""
    return {"settings.md": settings_reference(), "access-matrix.md": access_matrix()}


def settings_reference() -> str:
    rows = [f"| `{path}` | {_rule(field)} | {_default(path)} |" for path, field in _settings(Settings)]
    return "\n".join(
        [
            "# Settings",
            "",
            "What `stacks/Pulumi.<cloud>-<environment>.yaml` may say, under `groundwork:`. Generated from "
            "`infra/core/settings.py` by `make docs`.",
            "",
            "| setting | what it is | default |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def access_matrix() -> str:
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
            "Who may do what, on both clouds. Generated from `infra/access.py` by `make docs`; cloud roles, key "
            "grants, service accounts and network egress are made from the same table.",
            "",
            f"| workload | namespace / service account | {header} |",
            "|---|---|" + "---|" * len(Store),
            *rows,
            "",
        ]
    )


def _settings(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting with its path; sections are walked into."""
    for field in section.model_fields.values():
        path = f"{prefix}{field.alias}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, f"{path}.")
        else:
            yield path, field


def _rule(field: FieldInfo) -> str:
    bounds = [text for item in field.metadata if (text := _bound(item))]
    return f"{field.description} ({', '.join(bounds)})" if bounds else str(field.description)


def _bound(item: Any) -> str:
    match item:
        case Ge():
            return f"at least {item.ge}"
        case Le():
            return f"at most {item.le}"
        case MinLen():
            return f"{item.min_length} character or more"
        case MaxLen():
            return f"{item.max_length} characters at most"
        case _:
            return ""


def _default(path: str) -> str:
    """The default, or one per cloud or environment where these differ."""
    found = {(cloud, environment): _value(cloud, environment, path) for cloud in Cloud for environment in Environment}
    values = list(dict.fromkeys(found.values()))
    if path.split(".")[0] in ("cloud", "environment", "location", *_EXAMPLE):
        return "required"
    if len(values) == 1:
        return values[0]
    stacks = {value: [f"{c}-{e}" for (c, e), each in found.items() if each == value] for value in values}
    return "; ".join(f"{value} ({', '.join(names)})" for value, names in stacks.items())


def _value(cloud: Cloud, environment: Environment, path: str) -> str:
    raw = {**_EXAMPLE, "cloud": cloud.value, "environment": environment.value, "location": _LOCATIONS[cloud]}
    value: Any = Settings.model_validate(raw).model_dump(by_alias=True, mode="json")
    for step in path.split("."):
        value = value[step]
    return f"`{value}`" if value not in ("", []) else "none"


def main() -> None:
    for name, text in documents().items():
        if "--write" in sys.argv:
            (DOCS / name).write_text(text)
        else:
            print(text)


if __name__ == "__main__":
    main()
