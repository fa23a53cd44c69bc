"""The provider's protocol as the tests of it speak: requests from plain values, and answers as plain values."""

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


class Aborted(Exception):
    """What the engine would be told: the message, and what exists all the same."""

    def __init__(self, message: str, remembered: Any | None) -> None:
        super().__init__(message)
        self.remembered = remembered


class Context:
    """As much of gRPC's context as a provider uses."""

    def __init__(self) -> None:
        self._metadata: Sequence[tuple[str, bytes]] = ()

    def set_trailing_metadata(self, metadata: Sequence[tuple[str, bytes]]) -> None:
        self._metadata = metadata

    def abort(self, code: grpc.StatusCode, message: str) -> NoReturn:
        assert code != grpc.StatusCode.OK
        raise Aborted(message, self._remembered())

    def _remembered(self) -> Any | None:
        for name, value in self._metadata:
            assert name == "grpc-status-details-bin"
            status = status_pb2.Status.FromString(value)
            remembered = provider_pb2.ErrorResourceInitFailed()
            assert status.details[0].Unpack(remembered)
            return remembered
        return None


@dataclass
class Resource:
    """One resource as a program declares it, and what the engine's state has of it."""

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
        """Takes the checked inputs over, as the engine does; gives what is wrong with them."""
        request = provider_pb2.CheckRequest(urn=self.urn, news=self.inputs.to_wire(), randomSeed=bytes(32))
        answer = self.provider.Check(request, Context())
        self.inputs = Values.from_wire(answer.inputs)
        return [failure.reason for failure in answer.failures]

    def create(self, *, preview: bool = False, timeout: float = 60) -> Values:
        request = provider_pb2.CreateRequest(
            urn=self.urn, properties=self.inputs.to_wire(), timeout=timeout, preview=preview
        )
        answer = self._take(lambda: self.provider.Create(request, Context()), preview)
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

    def _take(self, ask: Any, preview: bool) -> Any:
        """What the engine does with an object that is there, but not ready: it remembers it."""
        try:
            return ask()
        except Aborted as error:
            if error.remembered is not None and not preview:
                self.id = error.remembered.id
                self.outputs = Values.from_wire(error.remembered.properties)
            raise


@dataclass
class Engine:
    """A provider under test, configured, and its journal."""

    provider: KubernetesProvider
    journal: list[tuple[str, ...]]

    @classmethod
    def on(cls, plane: ControlPlane, settings: Mapping[str, Any] | None = None) -> Engine:
        journal: list[tuple[str, ...]] = []
        provider = KubernetesProvider(plane, Releases(plane), lambda *entry: journal.append(entry))
        engine = cls(provider, journal)
        engine.configure(SETTINGS if settings is None else settings)
        return engine

    def configure(self, settings: Mapping[str, Any]) -> None:
        request = provider_pb2.ConfigureRequest(args=Values(dict(settings)).to_wire())
        self.provider.Configure(request, Context())

    def resource(self, manifest: Mapping[str, Any], *secrets: Path, name: str = "thing") -> Resource:
        """A resource of the kind that the manifest says."""
        api_version = str(manifest["apiVersion"])
        type_ = f"kubernetes:{api_version if '/' in api_version else f'core/{api_version}'}:{manifest['kind']}"
        return Resource(self.provider, type_, Values(dict(manifest), set(secrets)), Values(), name=name)
