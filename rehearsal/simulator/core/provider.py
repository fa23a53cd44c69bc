"""A server of Pulumi's provider protocol for one simulated cloud; PULUMI_DEBUG_PROVIDERS attaches the engine to it.

Source: https://github.com/pulumi/pulumi/blob/master/proto/pulumi/provider.proto
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc

from kernel.paths import parse_path
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.naming import NamingHints
from rehearsal.simulator.core.simulation import Difference, Simulation
from rehearsal.simulator.core.values import Values

_PROVIDER_TYPE = "pulumi:providers:"


def _find_sdk_version(package: str) -> str:
    """The version of a package's SDK, which Pulumi or its community publishes."""
    try:
        return metadata.version(f"pulumi-{package}")
    except metadata.PackageNotFoundError:
        return metadata.version(f"pulumiverse-{package}")


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Translates between the protocol and the simulation, which computes every response."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._instances: dict[str, Simulation] = {}
        self._engine = ""

    def _instance(self, context: Any) -> Simulation:
        """The simulation for one instance of the provider, such as the default one.

        Requests do not name their instance, but the engine opens one connection for each instance.
        """
        return self._instances.setdefault(context.peer(), self._simulation.with_own_configuration())

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 the protocol's names
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, supports_autonaming_configuration=True)

    def Attach(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        self._engine = request.address
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        # The engine expects the version of the SDK that the program uses.
        return plugin_pb2.PluginInfo(version=_find_sdk_version(self._simulation.cloud.name))

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self.Diff(request, context)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        variables = Values.from_wire(request.args).plain
        _respond(context, lambda: self._instance(context).configure(variables))
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        type_ = type_from_urn(request.urn)
        news, olds = Values.from_wire(request.news), Values.from_wire(request.olds)
        inputs, reasons = self._instance(context).check(request.urn, type_, news, olds, NamingHints.from_check(request))
        failures = [provider_pb2.CheckFailure(reason=reason) for reason in reasons]
        return provider_pb2.CheckResponse(inputs=inputs.to_wire(), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        type_ = type_from_urn(request.urn)
        old, new = Values.from_wire(request.old_inputs), Values.from_wire(request.news)
        if type_.startswith(_PROVIDER_TYPE):
            return build_diff_response(Difference(changed=[] if old.plain == new.plain else ["config"]))
        self._remember(request.urn, request.olds)
        difference = _respond(context, lambda: self._instance(context).diff(request.urn, type_, request.id, old, new))
        return build_diff_response(difference)

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        type_, inputs = type_from_urn(request.urn), Values.from_wire(request.properties)
        if request.preview and not self._simulation.has_model(type_):
            self._report_error(request.urn, self._simulation.describe_missing(type_))
        id_, outputs = _respond(
            context, lambda: self._instance(context).create(request.urn, type_, inputs, preview=request.preview)
        )
        return provider_pb2.CreateResponse(id=id_, properties=outputs.to_wire())

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        type_ = type_from_urn(request.urn)
        inputs, outputs = Values.from_wire(request.inputs), Values.from_wire(request.properties)
        self._remember(request.urn, request.properties)
        resource = _respond(context, lambda: self._instance(context).read(type_, request.id, inputs, outputs))
        if resource is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(id=request.id, inputs=resource[0].to_wire(), properties=resource[1].to_wire())

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        type_, instance = type_from_urn(request.urn), self._instance(context)
        inputs, old = Values.from_wire(request.news), Values.from_wire(request.olds)
        outputs = _respond(
            context, lambda: instance.update(request.urn, type_, request.id, inputs, old, preview=request.preview)
        )
        return provider_pb2.UpdateResponse(properties=outputs.to_wire())

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        type_ = type_from_urn(request.urn)
        self._remember(request.urn, request.properties)
        _respond(context, lambda: self._instance(context).delete(request.urn, type_, request.id))
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        arguments = Values.from_wire(request.args)
        result = _respond(context, lambda: self._instance(context).invoke(request.tok, arguments))
        return provider_pb2.InvokeResponse(**{"return": result.to_wire()})

    def _remember(self, urn: str, outputs: Any) -> None:
        """Have the simulation remember the secrets that it generated in an earlier command."""
        type_ = type_from_urn(urn)
        if self._simulation.generates_secrets(type_):
            self._simulation.remember(urn, type_, Values.from_wire(outputs))

    def _report_error(self, urn: str, message: str) -> None:
        """Have the engine show an error of a resource and continue."""
        if self._engine:
            severity = engine_pb2.LogSeverity.ERROR
            with grpc.insecure_channel(self._engine) as channel:
                engine_pb2_grpc.EngineStub(channel).Log(
                    engine_pb2.LogRequest(severity=severity, message=message, urn=urn)
                )

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return empty_pb2.Empty()


def type_from_urn(urn: str) -> str:
    """The type token in a URN: the last type in `urn:pulumi:stack::project::parent$type::name`."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def _respond(context: Any, operation: Callable[[], Any]) -> Any:
    """The result of an operation; a CloudError ends the request with its message."""
    try:
        return operation()
    except CloudError as error:
        return context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))


def build_diff_response(difference: Difference) -> Any:
    kinds = provider_pb2.PropertyDiff
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if difference.changed else provider_pb2.DiffResponse.DIFF_NONE,
        replaces=difference.replaces,
        diffs=sorted({str(parse_path(path)[0]) for path in difference.changed}),
        deleteBeforeReplace=difference.delete_before_replace,
        hasDetailedDiff=True,
        detailedDiff={
            path: kinds(kind=kinds.UPDATE_REPLACE if path in difference.replaces else kinds.UPDATE, inputDiff=True)
            for path in difference.changed
        },
    )
