"""The resources of the project's stacks for estimates, declared without an engine."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from estimates import Resource
from infra import cluster
from infra.core import stack_config
from infra.core.component import StackContext
from infra.core.naming import Naming
from infra.core.settings import Cloud
from kernel import stack_file
from rehearsal.toolchain import ROOT
from tests.support.recording import Recorder, record_program

STACKS = ("azure-dev", "azure-staging", "azure-prod", "aws-dev", "aws-staging", "aws-prod")


def read_cost_settings(stack: str) -> tuple[float, dict[str, float]]:
    """Budget and assumptions of a stack."""
    budget, usage = stack_config.describe_cost(_read_stack_file(stack), stack)
    return budget, dict(usage)


def record_stack(stack: str) -> list[Resource]:
    """All resources that a stack declares, with the dependencies that the engine would receive."""
    return list(_record(stack))


@cache
def _record(stack: str) -> tuple[Resource, ...]:
    settings = stack_config.check(_read_stack_file(stack), stack)
    context = StackContext(settings, Naming(settings, stack))

    def declare() -> None:
        if settings.cloud is Cloud.AZURE:
            from infra.azure import create_foundation
        else:
            from infra.aws import create_foundation
        cluster.create_platform(context, create_foundation(context))

    recorder, _ = record_program(declare, stack)
    return tuple(_convert(recorder))


def _convert(recorder: Recorder) -> Iterable[Resource]:
    for recorded in recorder.resources:
        request = recorder.requests[recorded.type, recorded.name]
        parent = _shorten(request.parent) if request.parent else ""
        provider = _shorten(request.provider.rpartition("::")[0]) if request.provider else ""
        needs = dict.fromkeys([*map(_shorten, request.dependencies), *filter(None, (parent, provider))])
        yield Resource(f"{recorded.type}::{recorded.name}", recorded.type, recorded.inputs, parent, tuple(needs))


def _shorten(urn: str) -> str:
    """Reduce a URN to type and name: mocks assign another URN to a resource than the one its dependents refer to."""
    *_, types, name = urn.split("::")
    return f"{types.rsplit('$', 1)[-1]}::{name}"


def _read_stack_file(stack: str) -> stack_file.StackFile:
    path = ROOT / "stacks" / f"Pulumi.{stack}.yaml"
    return stack_file.read(path, "groundwork", str(path.relative_to(ROOT)))
