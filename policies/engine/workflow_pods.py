"""The pods of Argo's workflows: one for each template with a container, a script or a set of containers.

Sources: https://argo-workflows.readthedocs.io/en/latest/fields/#workflowspec and #template
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from kernel.paths import Path, each_value, look_up, parse_path
from kernel.values import ABSENT, UNKNOWN, as_list, is_list
from policies.engine.carried_pod import CarriedPod
from policies.engine.findings import Props

# Templates that are written where they are used, instead of by name.
_INLINE: Final = ("steps[*][*].inline", "dag.tasks[*].inline")
# What a workflow says of the pods of all templates, and a template of its own.
_SHARED: Final = ("automountServiceAccountToken", "hostAliases", "hostNetwork", "securityContext", "serviceAccountName")


def find_workflow_pods(props: Props) -> Iterator[CarriedPod]:
    """The pods of a workflow, or of a template of workflows."""
    is_nested = look_up(props, "spec.workflowSpec") is not ABSENT
    path: Path = ("spec", "workflowSpec") if is_nested else ("spec",)
    spec = look_up(props, path)
    templates = look_up(spec, "templates")
    if templates is UNKNOWN:
        yield CarriedPod((*path, "templates"), {"spec": UNKNOWN}, is_partial=False)
    for index, template in enumerate(templates if is_list(templates) else ()):
        yield from _find_pods(spec, template, (*path, "templates", index))
    yield from _find_patch(spec, path)


def _find_pods(spec: Any, template: Any, path: Path) -> Iterator[CarriedPod]:
    """The pods of a template, and of those that are written in its steps and tasks."""
    if template is UNKNOWN:
        yield CarriedPod(path, {"spec": UNKNOWN}, is_partial=False)
        return
    complete = _add_defaults(template, look_up(spec, "templateDefaults"))
    pod = _build_pod(spec, complete)
    if pod["containers"]:
        yield CarriedPod(path, {"metadata": _merge_metadata(spec, complete), "spec": pod}, is_partial=False)
    yield from _find_patch(complete, path)
    for inline in _INLINE:
        for where, each in each_value(template, inline):
            if each is not ABSENT:
                yield from _find_pods(spec, each, (*path, *parse_path(where)))


def _add_defaults(template: Any, defaults: Any) -> Any:
    """A template with what the workflow says of those which do not say it themselves."""
    if not isinstance(template, Mapping) or not isinstance(defaults, Mapping):
        return template
    containers = {
        key: {**defaults[key], **template[key]}
        for key in ("container", "script")
        if isinstance(template.get(key), Mapping) and isinstance(defaults.get(key), Mapping)
    }
    others = {key: value for key, value in defaults.items() if key not in ("container", "script")}
    return {**others, **template, **containers}


def _build_pod(spec: Any, template: Any) -> dict[str, Any]:
    single = [_name_main(each) for key in ("container", "script") if (each := look_up(template, key)) is not ABSENT]
    lists = ("containerSet.containers", "sidecars")
    pod = {
        "containers": [*single, *(each for name in lists for each in as_list(look_up(template, name)))],
        "initContainers": as_list(look_up(template, "initContainers")),
        "volumes": [each for part in (spec, template) for each in as_list(look_up(part, "volumes"))],
    }
    shared = {key: look_up(template, key, look_up(spec, key)) for key in _SHARED}
    return {**pod, **{key: value for key, value in shared.items() if value is not ABSENT}}


def _name_main(container: Any) -> Any:
    """Argo names a template's container."""
    return {"name": "main", **container} if isinstance(container, Mapping) else container


def _merge_metadata(spec: Any, template: Any) -> dict[str, Any]:
    """The labels and annotations of the pods of all templates and of this one."""
    merged = {}
    for key in ("annotations", "labels"):
        parts = [look_up(spec, f"podMetadata.{key}"), look_up(template, f"metadata.{key}")]
        named = [part for part in parts if isinstance(part, Mapping)]
        merged[key] = UNKNOWN if UNKNOWN in parts else {name: value for part in named for name, value in part.items()}
    return merged


def _find_patch(part: Any, path: Path) -> Iterator[CarriedPod]:
    """The patch of a pod's specification, which is the text of one in YAML or JSON."""
    patch = look_up(part, "podSpecPatch")
    if patch is ABSENT:
        return
    content = _parse(patch)
    if isinstance(content, Mapping):
        yield CarriedPod((*path, "podSpecPatch"), {"spec": content}, is_partial=True)
    elif content is not None:
        yield CarriedPod((*path, "podSpecPatch"), {"spec": UNKNOWN}, is_partial=False)


def _parse(patch: Any) -> Any:
    """What a patch says; UNKNOWN where that depends on the workflow's parameters."""
    try:
        return yaml.safe_load(patch) if isinstance(patch, str) else UNKNOWN
    except (yaml.YAMLError, ValueError):
        return UNKNOWN
