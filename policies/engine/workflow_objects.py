"""The objects that templates of Argo workflows create with `resource`, which passes a manifest to kubectl.

Sources: https://argo-workflows.readthedocs.io/en/latest/fields/#resourcetemplate, and for the arguments of kubectl
https://github.com/argoproj/argo-workflows/blob/v3.7.3/workflow/executor/resource.go (getKubectlArguments)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kernel.paths import Path, look_up
from kernel.values import ABSENT, UNKNOWN
from policies.engine.findings import Props
from policies.engine.workflow_templates import WorkflowTemplate, find_templates
from policies.engine.workflow_texts import read_documents

# The actions that leave no object behind. The others are create, apply, replace and patch.
_HARMLESS: Final = ("get", "delete")


@dataclass(frozen=True)
class WorkflowObject:
    """An object that a workflow creates, or a patch of one; `content` is UNKNOWN if the object is not known."""

    path: Path
    content: Any
    is_patch: bool


def find_workflow_objects(props: Props) -> Iterator[WorkflowObject]:
    """The objects that a workflow, or a template of workflows, creates."""
    for template in find_templates(props):
        resource = look_up(template.content, "resource")
        # A template that is not known is already reported for its pod.
        if template.content is not UNKNOWN and resource is not ABSENT:
            yield from _find_objects(template, resource)


def _find_objects(template: WorkflowTemplate, resource: Any) -> Iterator[WorkflowObject]:
    action = look_up(resource, "action")
    if action in _HARMLESS:
        return
    key = "manifestFrom" if look_up(resource, "manifest") is ABSENT else "manifest"
    path = (*template.path, "resource", key)
    # Without a manifest, the flags of kubectl determine the object.
    documents = read_documents(_find_text(resource)) or (UNKNOWN,)
    for index, document in enumerate(documents):
        content = document if isinstance(document, Mapping) else UNKNOWN
        yield WorkflowObject((*path, index) if len(documents) > 1 else path, content, action == "patch")


def _find_text(resource: Any) -> Any:
    """The manifest, or the raw artifact that contains it; UNKNOWN for other artifacts, which are stored elsewhere."""
    manifest = look_up(resource, "manifest")
    return look_up(resource, "manifestFrom.artifact.raw.data", UNKNOWN) if manifest is ABSENT else manifest
