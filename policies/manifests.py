"""Applies controls to Kubernetes manifests that no program declares, as the pack does to a program's objects."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kernel.paths import look_up
from kernel.reviewed_entries import find_today
from policies.contents import controls, evaluate_manifest, manifest_type
from policies.engine.control import Control
from policies.engine.exceptions import ReviewedException, Subject
from policies.engine.findings import Finding, Props
from policies.engine.stack import Resource


@dataclass(frozen=True)
class ManifestFinding:
    """A finding of a control on one of several manifests; `index` is the manifest's position among them."""

    index: int
    control: Control
    finding: Finding


def evaluate_manifests(
    manifests: Sequence[Props],
    configuration: Mapping[str, str] | None = None,
    exceptions: Sequence[ReviewedException] = (),
) -> list[ManifestFinding]:
    """The findings on manifests that are deployed together, except those that an exception covers by `metadata.name`.

    `configuration` is as in `evaluate_manifest`.
    """
    single = [
        ManifestFinding(index, control, finding)
        for index, manifest in enumerate(manifests)
        for control, finding in evaluate_manifest(manifest, configuration)
    ]
    today = find_today()
    return [
        each
        for each in (*single, *_evaluate_together(manifests))
        if not any(item.covers(each.control.id, _subject(manifests[each.index]), today) for item in exceptions)
    ]


def _evaluate_together(manifests: Sequence[Props]) -> Iterator[ManifestFinding]:
    stack = [
        Resource(manifest_type(manifest), _subject(manifest).name, str(index), manifest)
        for index, manifest in enumerate(manifests)
    ]
    for control in controls():
        if control.over_stack and any(control.applies_to(resource.type) for resource in stack):
            for resource, finding in control.evaluate_stack(stack):
                yield ManifestFinding(int(resource.urn), control, finding)


def _subject(manifest: Props) -> Subject:
    return Subject(str(look_up(manifest, "metadata.name", "")), manifest_type(manifest))
