"""Runs Pulumi programs without the engine and records the resources they declare.

Pulumi's mocks pass every resource to the simulated clouds, so that unit tests validate against the same resource
models as a rehearsal.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pulumi
from google.protobuf import json_format, struct_pb2

from infra.core.component import StackContext
from infra.core.naming import Naming
from infra.core.settings import Settings
from rehearsal.simulator.clouds import create_simulations
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values

T = TypeVar("T")


@dataclass(frozen=True)
class RecordedResource:
    """A resource that the program declared: its inputs, under their wire names, and the outputs of the cloud."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


class Recorder(pulumi.runtime.Mocks):
    """Creates every resource in an in-memory state and records it."""

    def __init__(self) -> None:
        self.resources: list[RecordedResource] = []
        self._state = StateStore(":memory:")
        self._simulations = create_simulations(self._state)

    def of_type(self, type_: str) -> list[RecordedResource]:
        """The resources with this type token."""
        return [resource for resource in self.resources if resource.type == type_]

    def single(self, type_: str) -> RecordedResource:
        """The only resource of its type; fails if there is none or more than one."""
        (found,) = self.of_type(type_)
        return found

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        values = _values(args.inputs)
        inputs = values.plain
        if args.typ.startswith(("pulumi:", "groundwork:")):
            if args.typ.startswith("pulumi:providers:"):
                self._simulations[args.typ.rsplit(":", 1)[-1]].configure(inputs)
            self.resources.append(RecordedResource(args.typ, args.name, inputs, inputs))
            return f"{args.name}-id", inputs
        simulation = self._simulations[args.typ.split(":", 1)[0]]
        urn = f"urn:pulumi:test::groundwork::{args.typ}::{args.name}"
        problems = simulation.check(urn, args.typ, values)
        if problems:
            raise CloudError(f"{args.typ} {args.name}: {'; '.join(problems)}")
        id_, outputs = simulation.create(urn, args.typ, values, preview=False)
        self.resources.append(RecordedResource(args.typ, args.name, inputs, outputs.plain))
        return id_, json_format.MessageToDict(outputs.to_wire())

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        package = args.token.split(":", 1)[0]
        return self._simulations[package].invoke(args.token, _values(args.args)).plain, []


def _values(properties: Mapping[str, Any]) -> Values:
    """The properties of a mock call as the engine would send them: integers as integers, secrets marked."""
    return Values.from_wire(json_format.ParseDict(dict(properties), struct_pb2.Struct()))


def stack_context(cloud: str, environment: str = "dev", **settings: Any) -> StackContext:
    """The context of a stack with the smallest valid settings; `settings` adds to them, under their wire names."""
    location = {"azure": "westeurope", "aws": "eu-west-1"}[cloud]
    raw = {"cloud": cloud, "environment": environment, "location": location, "organization": "acme", "owner": "ml"}
    # Without a way to the Kubernetes API no settings are valid.
    cluster = {"privateAccessFrom": ["10.0.0.0/24"], **settings.pop("cluster", {})}
    if "authorizedRanges" in cluster:
        del cluster["privateAccessFrom"]
    valid = Settings.model_validate({**raw, "cluster": cluster, **settings})
    return StackContext(valid, Naming(valid))


def record_program(declare: Callable[[], T], stack: str = "azure-dev") -> tuple[Recorder, T]:
    """Run `declare` as a Pulumi program, wait for all its resources, and return the record and the result."""
    recorder = Recorder()
    asyncio.set_event_loop(asyncio.new_event_loop())
    pulumi.runtime.set_mocks(recorder, project="groundwork", stack=stack, preview=False)
    results: list[T] = []

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> None:
        results.append(declare())

    # As in rehearsals: garbage collection would traverse the SDK's objects many times.
    gc.disable()
    try:
        program()
    finally:
        gc.enable()
    return recorder, results[0]


def resolve(output: pulumi.Output[T]) -> T:
    """The value of an output, after the program has run."""
    return asyncio.get_event_loop().run_until_complete(output.future())  # type: ignore[return-value]


def is_secret(output: pulumi.Output[Any]) -> bool:
    return asyncio.get_event_loop().run_until_complete(output.is_secret())
