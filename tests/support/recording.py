"""Runs Pulumi programs without the engine and records the resources they declare.

Pulumi's mocks pass every resource to the simulated clouds, so that unit tests validate against the same resource
models as a rehearsal. The SDK's work for each resource whose result only an engine reads is left out: it would take
half of the time.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from unittest import mock

import pulumi
from google.protobuf import json_format, struct_pb2
from pulumi.runtime import stack as sdk

from infra.core.component import StackContext
from infra.core.naming import Naming
from infra.core.settings import Settings
from rehearsal.engine.program_runner import wait_for_outputs
from rehearsal.simulator.clouds import create_simulations
from rehearsal.simulator.core.circumstances import USUAL, Circumstances
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values

T = TypeVar("T")


@dataclass(frozen=True)
class RecordedResource:
    """A resource that the program declared: its inputs, with their wire names, and the cloud's outputs."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    id: str = ""


class Recorder(pulumi.runtime.Mocks):
    """Creates every resource in an in-memory state and records it.

    A program that runs again with the same recorder updates the existing resources, like the second deployment of a
    stack; it fails if that would replace a resource.

    state     of the clouds, which tests may pass in, or change between two runs
    requests  to the engine, with the resource options, keyed by type and name
    stack     its name in the resources' URNs, which differs between two stacks of one account
    """

    def __init__(
        self, circumstances: Circumstances = USUAL, state: StateStore | None = None, stack: str = "test"
    ) -> None:
        self.stack = stack
        self.resources: list[RecordedResource] = []
        self.state = state or StateStore(":memory:")
        self.requests: dict[tuple[str, str], Any] = {}
        self.circumstances = circumstances
        self._deployed: dict[str, tuple[str, Values, Values]] = {}
        self.simulations = create_simulations(self.state, circumstances=circumstances)

    def of_type(self, type_: str) -> list[RecordedResource]:
        """The resources with this type token."""
        return [resource for resource in self.resources if resource.type == type_]

    def single(self, type_: str) -> RecordedResource:
        """The only resource of its type; fails if there is none or more than one."""
        (found,) = self.of_type(type_)
        return found

    def list_dependencies(self, type_: str, name: str) -> set[tuple[str, str]]:
        """The types and names of all resources that are created before this one because it depends on them."""
        found: set[tuple[str, str]] = set()
        open_ends = {(type_, name)}
        while open_ends:
            urns = {urn for end in open_ends for urn in self.requests[end].dependencies}
            open_ends = {_split_urn(urn) for urn in urns} - found
            found |= open_ends
        return found

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        values = _values(args.inputs)
        inputs = values.plain
        urn = f"urn:pulumi:{self.stack}::groundwork::{args.typ}::{args.name}"
        if args.typ.startswith(("pulumi:", "groundwork:")):
            if args.typ.startswith("pulumi:providers:"):
                self.simulations[args.typ.rsplit(":", 1)[-1]].configure(inputs)
            self.resources.append(RecordedResource(args.typ, args.name, inputs, inputs))
            return f"{args.name}-id", inputs
        simulation = self.simulations[args.typ.split(":", 1)[0]]
        if urn in self._deployed:
            _reset_ignored(values, self._deployed[urn][1], self.requests[args.typ, args.name].ignoreChanges)
        former = self._deployed[urn][1] if urn in self._deployed else None
        complete, problems = simulation.check(urn, args.typ, values, former)
        if problems:
            raise CloudError(f"{args.typ} {args.name}: {'; '.join(problems)}")
        id_, outputs = self._apply(urn, args.typ, complete)
        self._deployed[urn] = id_, complete, outputs
        self.resources.append(RecordedResource(args.typ, args.name, inputs, outputs.plain, id_))
        return id_, json_format.MessageToDict(outputs.to_wire())

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        package = args.token.split(":", 1)[0]
        return self.simulations[package].invoke(args.token, _values(args.args)).plain, []

    def _apply(self, urn: str, type_: str, values: Values) -> tuple[str, Values]:
        simulation = self.simulations[type_.split(":", 1)[0]]
        if urn not in self._deployed:
            return simulation.create(urn, type_, values, preview=False)
        id_, old, outputs = self._deployed[urn]
        difference = simulation.diff(urn, type_, id_, old, values)
        if difference.replaces:
            raise CloudError(f"{urn} would be replaced: {', '.join(difference.replaces)} changed")
        return id_, simulation.update(
            urn, type_, id_, values, outputs, preview=False
        ) if difference.changed else outputs


class _Monitor(pulumi.runtime.mocks.MockMonitor):
    """Passes resource options to the recorder, which mocks do not receive."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._recorder = recorder

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 the protocol's name
        self._recorder.requests[request.type, request.name] = request
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def _split_urn(urn: str) -> tuple[str, str]:
    """The type and name of a resource."""
    *_, types, name = urn.split("::")
    return types.rsplit("$", 1)[-1], name


def _reset_ignored(new: Values, old: Values, paths: Iterable[str]) -> None:
    """Reset ignored properties to the inputs of the previous run, as the engine does. A list counts as one value."""
    for path in paths:
        *sections, name = path.split("[*]")[0].split(".")
        target, source = new.plain, old.plain
        for section in sections:
            target, source = target[section], source[section]
        target[name] = source[name]


def _values(properties: Mapping[str, Any]) -> Values:
    """The properties of a mock call as the engine would send them: integers as integers, secrets marked."""
    return Values.from_wire(json_format.ParseDict(dict(properties), struct_pb2.Struct()))


def stack_context(cloud: str, environment: str = "dev", stack: str = "", **settings: Any) -> StackContext:
    """The context of a stack with minimal valid settings; `settings` adds to them, with their wire names.

    By default, the stack is named after its cloud and environment.
    """
    location = {"azure": "westeurope", "aws": "eu-west-1"}[cloud]
    raw = {"cloud": cloud, "environment": environment, "location": location, "organization": "acme", "owner": "ml"}
    # Settings are not valid without access to the Kubernetes API.
    cluster = {"privateAccessFrom": ["10.0.0.0/24"], **settings.pop("cluster", {})}
    if "authorizedRanges" in cluster:
        del cluster["privateAccessFrom"]
    valid = Settings.model_validate({**raw, "cluster": cluster, **settings})
    return StackContext(valid, Naming(valid, stack or f"{cloud}-{environment}"))


def record_program(
    declare: Callable[[], T], stack: str = "azure-dev", recorder: Recorder | None = None
) -> tuple[Recorder, T]:
    """Run `declare` as a Pulumi program, wait for all its resources, and return the record and the result.

    With the recorder of an earlier run, this is the next deployment of the same stack.
    """
    recorder = recorder or Recorder()
    recorder.resources.clear()
    asyncio.set_event_loop(asyncio.new_event_loop())
    pulumi.runtime.set_mocks(recorder, "groundwork", stack, preview=False, monitor=_Monitor(recorder))
    results: list[T] = []

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> None:
        results.append(declare())

    with _without_waste():
        program()
    return recorder, results[0]


@contextmanager
def _without_waste() -> Iterator[None]:
    """Leave out the SDK's work that only an engine needs, or that it repeats although once is enough."""
    wait_for_rpcs = sdk.wait_for_rpcs

    async def wait(*arguments: Any) -> None:
        await wait_for_outputs()
        await wait_for_rpcs(*arguments)

    async def find_none(*_: Any) -> list[Any]:
        return []

    replacements: Mapping[str, Callable[..., Any]] = {
        "pulumi.log.debug": lambda *_, **__: None,
        # Former names of resources: each type of Azure has dozens, one for each version of its API.
        "pulumi.resource.collapse_alias_to_urn": lambda *_: "",
        "pulumi.runtime.resource.prepare_aliases": find_none,
        # The line of the program that declares a resource.
        "pulumi.runtime.resource._get_stack_trace": lambda: None,
        "pulumi.runtime.resource._get_source_position": lambda _: None,
        "pulumi.runtime.stack.wait_for_rpcs": wait,
    }
    with ExitStack() as replaced:
        for name, replacement in replacements.items():
            replaced.enter_context(mock.patch(name, replacement))
        # Disabled as in rehearsals: garbage collection would traverse the SDK's objects many times.
        gc.disable()
        try:
            yield
        finally:
            gc.enable()


def resolve(output: pulumi.Output[T]) -> T:
    """The value of an output after the program has run."""
    return asyncio.get_event_loop().run_until_complete(output.future())  # type: ignore[return-value]


def resolve_resources(output: pulumi.Output[Any]) -> set[pulumi.Resource]:
    """The resources that an output depends on after the program has run."""
    return asyncio.get_event_loop().run_until_complete(output.resources())


def is_secret(output: pulumi.Output[Any]) -> bool:
    return asyncio.get_event_loop().run_until_complete(output.is_secret())
