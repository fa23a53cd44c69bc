"""The templates of Argo workflows, which define their steps.

Sources: https://argo-workflows.readthedocs.io/en/latest/fields/#workflowspec and #template
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kernel.paths import Path, each_value, look_up, parse_path
from kernel.values import ABSENT, UNKNOWN, is_list
from policies.engine.findings import Props

# Templates that are defined where they are used, instead of referred to by name.
_INLINE: Final = ("steps[*][*].inline", "dag.tasks[*].inline")
# Parts of a template that determine its kind. A workflow's defaults of a part apply to the templates that have it.
_KINDS: Final = ("container", "script", "resource")


@dataclass(frozen=True)
class WorkflowTemplate:
    """A template at `path`, with the workflow's defaults; `content` is UNKNOWN if nothing is known of it."""

    path: Path
    content: Any


def find_spec(props: Props) -> tuple[Path, Any]:
    """The specification of a workflow, or of an object that creates workflows, and its path."""
    spec = look_up(props, "spec")
    # A property that a patch omits is neither absent nor present.
    is_nested = isinstance(spec, Mapping) and "workflowSpec" in spec
    return (("spec", "workflowSpec"), look_up(spec, "workflowSpec")) if is_nested else (("spec",), spec)


def find_templates(props: Props) -> Iterator[WorkflowTemplate]:
    """The templates of a workflow, and those that are inline in their steps and tasks."""
    path, spec = find_spec(props)
    templates = look_up(spec, "templates")
    if templates is UNKNOWN:
        yield WorkflowTemplate((*path, "templates"), UNKNOWN)
    for index, template in enumerate(templates if is_list(templates) else ()):
        yield from _find(spec, template, (*path, "templates", index))


def _find(spec: Any, template: Any, path: Path) -> Iterator[WorkflowTemplate]:
    yield WorkflowTemplate(path, _add_defaults(template, look_up(spec, "templateDefaults")))
    for inline in _INLINE if template is not UNKNOWN else ():
        for where, each in each_value(template, inline):
            if each is not ABSENT:
                yield from _find(spec, each, (*path, *parse_path(where)))


def _add_defaults(template: Any, defaults: Any) -> Any:
    """A template with the workflow's defaults for fields that it does not set."""
    if not isinstance(template, Mapping) or not isinstance(defaults, Mapping):
        return template
    parts = {
        key: {**defaults[key], **template[key]}
        for key in _KINDS
        if isinstance(template.get(key), Mapping) and isinstance(defaults.get(key), Mapping)
    }
    others = {key: value for key, value in defaults.items() if key not in _KINDS}
    return {**others, **template, **parts}
