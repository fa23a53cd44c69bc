"""A client of the provider protocol for tests, in place of the engine, with plain values as inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from pulumi.runtime.proto import provider_pb2, status_pb2

from kernel.paths import Path
from rehearsal.helm.releases.resources import Releases
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.provider.provider import KubernetesProvider
from rehearsal.simulator.core.values import Values

SETTINGS = {"kubeconfig": "clusters: [{name: c}]", "enableConfigMapMutable": "true", "enableSecretMutable": "true"}


class AbortedError(Exception):
    """The provider aborted the call with a message, and with `init_failed` if the object exists nevertheless."""

    def __init__(self, message: str, init_failed: Any | None) -> None:
        super().__init__(message)
        self.init_failed = init_failed


class Context:
    """The part of a gRPC context that a provider uses."""

    def __init__(self) -> None:
        self._metadata: Sequence[tuple[str, bytes]] = ()

    def set_trailing_metadata(self, metadata: Sequence[tuple[str, bytes]]) -> None:
        self._metadata = metadata

    def abort(self, code: grpc.StatusCode, message: str) -> NoReturn:
        assert code != grpc.StatusCode.OK
        raise AbortedError(message, self._read_init_failed())

    def _read_init_failed(self) -> Any | None:
        for name, value in self._metadata:
            assert name == "grpc-status-details-bin"
            status = status_pb2.Status.FromString(value)
            init_failed = provider_pb2.ErrorResourceInitFailed()
            assert status.details[0].Unpack(init_failed)
            return init_failed
        return None


@dataclass
class Resource:
    """A resource as a program declares it, and its outputs in the engine's state."""

    provider: KubernetesProvider
    type: str
    inputs: Values
    outputs: Values
    id: str = ""
    name: str = "thing"

    @property
    def urn(self) -> str:
        return f"urn:pulumi:test::groundwork::{self.type}::{self.name}"

    def check(self) -> list[str]:
        """Replace the inputs by the checked ones, as the engine does; returns the failures' reasons."""
        request = provider_pb2.CheckRequest(urn=self.urn, news=self.inputs.to_wire(), randomSeed=bytes(32))
        answer = self.provider.Check(request, Context())
        self.inputs = Values.from_wire(answer.inputs)
        return [failure.reason for failure in answer.failures]

    def create(self, *, preview: bool = False, timeout: float = 60) -> Values:
        request = provider_pb2.CreateRequest(
            urn=self.urn, properties=self.inputs.to_wire(), timeout=timeout, preview=preview
        )
        answer = self._record(lambda: self.provider.Create(request, Context()), preview)
        outputs = Values.from_wire(answer.properties)
        if not preview:
            self.id, self.outputs = answer.id, outputs
        return outputs

    def diff(self, inputs: Values, ignored: Sequence[str] = ()) -> Any:
        request = provider_pb2.DiffRequest(
            id=self.id,
            urn=self.urn,
            olds=self.outputs.to_wire(),
            old_inputs=self.inputs.to_wire(),
            news=inputs.to_wire(),
            ignoreChanges=ignored,
        )
        return self.provider.Diff(request, Context())

    def update(
        self, inputs: Values, *, preview: bool = False, timeout: float = 60, ignored: Sequence[str] = ()
    ) -> Values:
        request = provider_pb2.UpdateRequest(
            id=self.id,
            urn=self.urn,
            olds=self.outputs.to_wire(),
            old_inputs=self.inputs.to_wire(),
            news=inputs.to_wire(),
            timeout=timeout,
            preview=preview,
            ignoreChanges=ignored,
        )
        outputs = Values.from_wire(self.provider.Update(request, Context()).properties)
        if not preview:
            self.inputs, self.outputs = inputs, outputs
        return outputs

    def read(self) -> Any:
        request = provider_pb2.ReadRequest(
            id=self.id, urn=self.urn, inputs=self.inputs.to_wire(), properties=self.outputs.to_wire()
        )
        return self.provider.Read(request, Context())

    def delete(self, *, timeout: float = 60) -> None:
        request = provider_pb2.DeleteRequest(
            id=self.id,
            urn=self.urn,
            properties=self.outputs.to_wire(),
            old_inputs=self.inputs.to_wire(),
            timeout=timeout,
        )
        self.provider.Delete(request, Context())

    def _record(self, call: Any, preview: bool) -> Any:
        """Call the provider; an object that exists but is not ready is recorded in the state, as the engine does."""
        try:
            return call()
        except AbortedError as error:
            if error.init_failed is not None and not preview:
                self.id = error.init_failed.id
                self.outputs = Values.from_wire(error.init_failed.properties)
            raise


@dataclass
class Engine:
    """A configured provider under test, and its journal."""

    provider: KubernetesProvider
    journal: list[tuple[str, ...]]

    @classmethod
    def create(cls, plane: ControlPlane, settings: Mapping[str, Any] | None = None) -> Engine:
        journal: list[tuple[str, ...]] = []
        provider = KubernetesProvider(plane, Releases(plane), lambda *entry: journal.append(entry))
        engine = cls(provider, journal)
        engine.configure(SETTINGS if settings is None else settings)
        return engine

    def configure(self, settings: Mapping[str, Any]) -> None:
        request = provider_pb2.ConfigureRequest(args=Values(dict(settings)).to_wire())
        self.provider.Configure(request, Context())

    def resource(self, manifest: Mapping[str, Any], *secrets: Path, name: str = "thing") -> Resource:
        """A resource that declares the manifest."""
        api_version = str(manifest["apiVersion"])
        type_ = f"kubernetes:{api_version if '/' in api_version else f'core/{api_version}'}:{manifest['kind']}"
        return Resource(self.provider, type_, Values(dict(manifest), set(secrets)), Values(), name=name)
