"""The pods of Argo workflows: one for each template with a container, a script or a set of containers.

Sources: https://argo-workflows.readthedocs.io/en/latest/fields/#workflowspec and #template
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kernel.paths import Path, look_up
from kernel.values import ABSENT, UNKNOWN, as_list
from policies.engine.carried_pod import CarriedPod
from policies.engine.findings import Props
from policies.engine.partial import as_partial
from policies.engine.workflow_templates import WorkflowTemplate, find_spec, find_templates
from policies.engine.workflow_texts import read_documents

# Fields that a workflow sets for the pods of all templates, and a template for its own pod.
_SHARED: Final = ("automountServiceAccountToken", "hostAliases", "hostNetwork", "securityContext", "serviceAccountName")


def find_workflow_pods(props: Props) -> Iterator[CarriedPod]:
    """The pods of a workflow, or of a template of workflows."""
    path, spec = find_spec(props)
    for template in find_templates(props):
        yield from _find_pods(spec, template)
    yield from _find_patch(spec, path)


def _find_pods(spec: Any, template: WorkflowTemplate) -> Iterator[CarriedPod]:
    """The pod of a template, and its patch."""
    if template.content is UNKNOWN:
        yield CarriedPod(template.path, {"spec": UNKNOWN})
        return
    pod = _build_pod(spec, template.content)
    if pod["containers"]:
        yield CarriedPod(template.path, {"metadata": _merge_metadata(spec, template.content), "spec": pod})
    yield from _find_patch(template.content, template.path)


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
    """Add the name that Argo gives to a template's container."""
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
    """The patch of a pod's specification, which is a string of YAML or JSON."""
    patch = look_up(part, "podSpecPatch")
    for content in () if patch is ABSENT else read_documents(patch):
        if isinstance(content, Mapping):
            yield CarriedPod((*path, "podSpecPatch"), as_partial({"spec": content}))
        else:
            yield CarriedPod((*path, "podSpecPatch"), {"spec": UNKNOWN})
