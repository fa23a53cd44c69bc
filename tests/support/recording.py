"""Pulumi's mocks, answered by the simulated clouds: what a unit test builds is checked against the same models as a
rehearsal, only without the engine.
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
    """A resource that the program declared: inputs under their wire names, and what the cloud answered."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


class Recorder(pulumi.runtime.Mocks):
    """Creates every resource in an in-memory state and keeps what was asked."""

    def __init__(self) -> None:
        self.resources: list[RecordedResource] = []
        self._state = StateStore(":memory:")
        self._simulations = create_simulations(self._state)

    def of(self, type_: str) -> list[RecordedResource]:
        """What was declared of one type token."""
        return [resource for resource in self.resources if resource.type == type_]

    def one(self, type_: str) -> RecordedResource:
        """The only resource of its type; fails when there is none or more than one."""
        (found,) = self.of(type_)
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
    """What the mocks were given, as it would come over the wire: whole numbers whole, secrets known."""
    return Values.from_wire(json_format.ParseDict(dict(properties), struct_pb2.Struct()))


def stack_context(cloud: str, environment: str = "dev", **settings: Any) -> StackContext:
    """The context of a stack with the smallest valid settings; `settings` adds to them, under their wire names."""
    location = {"azure": "westeurope", "aws": "eu-west-1"}[cloud]
    raw = {"cloud": cloud, "environment": environment, "location": location, "organization": "acme", "owner": "ml"}
    valid = Settings.model_validate({**raw, **settings})
    return StackContext(valid, Naming(valid))


def record_program(build: Callable[[], T], stack: str = "azure-dev") -> tuple[Recorder, T]:
    """Run `build` as a Pulumi program would run, wait for all it declared, and return what was recorded."""
    recorder = Recorder()
    asyncio.set_event_loop(asyncio.new_event_loop())
    pulumi.runtime.set_mocks(recorder, project="groundwork", stack=stack, preview=False)
    built: list[T] = []

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> None:
        built.append(build())

    # As in a rehearsal's own runs: to collect garbage meanwhile is to walk the SDK's objects over and over.
    gc.disable()
    try:
        program()
    finally:
        gc.enable()
    return recorder, built[0]


def resolve(output: pulumi.Output[T]) -> T:
    """The value of an output, once everything is declared."""
    return asyncio.get_event_loop().run_until_complete(output.future())  # type: ignore[return-value]


def is_secret(output: pulumi.Output[Any]) -> bool:
    return asyncio.get_event_loop().run_until_complete(output.is_secret())
