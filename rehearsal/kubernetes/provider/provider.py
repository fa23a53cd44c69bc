"""The simulated `kubernetes` provider: Pulumi's provider protocol in front of a real API server.

Objects are applied by the API server (`objects`), Helm releases by the real Helm (`release_resources`). Only the
processes in pods are simulated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import grpc
import yaml
from google.protobuf import any_pb2, empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from kernel.paths import look_up
from kernel.values import UNKNOWN
from rehearsal.helm import charts
from rehearsal.helm.releases.resources import Releases
from rehearsal.kubernetes.client import ApiError, ApiUnreachableError, NoKindMatchError
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.provider.errors import InitializationError, format_error
from rehearsal.kubernetes.provider.object_request import ObjectRequest, ObjectSettings
from rehearsal.kubernetes.provider.objects import Objects
from rehearsal.kubernetes.provider.projection import redact
from rehearsal.kubernetes.provider.release_resources import ReleaseResources
from rehearsal.simulator import offline_kubernetes
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.naming import NamingHints
from rehearsal.simulator.core.provider import build_diff_response, type_from_urn
from rehearsal.simulator.core.simulation import Difference
from rehearsal.simulator.core.values import Values

Journal = Callable[[str, str, str, str], None]  # operation, type token, URN, outcome


class KubernetesProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Translates the protocol; the API server and Helm determine the responses."""

    def __init__(self, plane: ControlPlane, releases: Releases, journal: Journal) -> None:
        self._plane = plane
        self._cancel = threading.Event()
        self._objects = Objects(plane.api, self._cancel)
        self._releases = ReleaseResources(releases)
        self._journal = journal

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 the protocol's names
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, supports_autonaming_configuration=True)

    def Attach(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        # The engine compares the plugin's version with the SDK's.
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi-kubernetes"))

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        old, new = Values.from_wire(request.old_inputs).plain, Values.from_wire(request.news).plain
        return build_diff_response(_diff_config(old, new))

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        variables = Values.from_wire(request.args).plain
        with self._reporting_errors(context):
            offline_kubernetes.CLOUD.configure(variables)
        self._objects.settings = ObjectSettings.from_variables(variables)
        self._cancel.clear()  # an earlier Cancel concerned the previous run
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        hints = NamingHints.from_check(request)
        wanted = _parse_request(request, inputs=request.news, old_inputs=request.olds, hints=hints)
        with self._reporting_errors(context, wanted):
            inputs, reasons = self._resources(wanted).check(wanted)
        failures = [provider_pb2.CheckFailure(reason=redact(reason, wanted.inputs)) for reason in reasons]
        return provider_pb2.CheckResponse(inputs=inputs.to_wire(), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        wanted = _parse_change_request(request)
        with self._reporting_errors(context, wanted):
            difference = self._resources(wanted).diff(wanted)
        return build_diff_response(difference)

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        wanted = _parse_request(request, inputs=request.properties)
        with self._reporting_errors(context, wanted, "" if request.preview else "create"):
            id_, outputs = self._resources(wanted).create(wanted)
        return provider_pb2.CreateResponse(id=id_, properties=outputs.to_wire())

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        wanted = _parse_request(request, old_inputs=request.inputs, old_outputs=request.properties)
        with self._reporting_errors(context, wanted):
            found = self._resources(wanted).read(wanted)
        if found is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(id=request.id, inputs=found[0].to_wire(), properties=found[1].to_wire())

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        wanted = _parse_change_request(request)
        with self._reporting_errors(context, wanted, "" if request.preview else "update"):
            outputs = self._resources(wanted).update(wanted)
        return provider_pb2.UpdateResponse(properties=outputs.to_wire())

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        wanted = _parse_request(request, old_inputs=request.old_inputs, old_outputs=request.properties)
        with self._reporting_errors(context, wanted, "delete"):
            self._resources(wanted).delete(wanted)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._reporting_errors(context):
            raise CloudError(f"the function {request.tok} is not simulated by the rehearsal's kubernetes provider")

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        self._cancel.set()
        self._releases.cancel()
        return empty_pb2.Empty()

    def _resources(self, request: ObjectRequest) -> Objects | ReleaseResources:
        return self._releases if request.type == offline_kubernetes.RELEASE else self._objects

    @contextmanager
    def _reporting_errors(
        self, context: Any, request: ObjectRequest | None = None, operation: str = ""
    ) -> Iterator[None]:
        """Abort the call with the message of an error, and record the outcome of `operation` in the journal."""
        request = request or ObjectRequest("", "")
        try:
            yield
        except (CloudError, ApiError, ApiUnreachableError) as error:
            message = redact(self._format_error(error), request.inputs, request.old_inputs, request.old_outputs)
            if operation:
                self._journal(operation, request.type, request.urn, f"refused: {message}")
            if isinstance(error, InitializationError):
                _abort_initialization(context, error, message)
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, message)
        if operation:
            self._journal(operation, request.type, request.urn, "done")

    def _format_error(self, error: Exception) -> str:
        causes = self._plane.problems() if isinstance(error, ApiUnreachableError) else []
        if isinstance(error, NoKindMatchError) and (missing := charts.list_unavailable()):
            causes = [f"Not rendered, as they are not on this machine and cannot be pulled: {', '.join(missing)}"]
        return ". ".join([format_error(error).rstrip("." if causes else ""), *causes])


def _parse_request(request: Any, **fields: Any) -> ObjectRequest:
    """A message of the protocol as an ObjectRequest with these fields, with decoded structs."""
    decoded: dict[str, Any] = {
        name: Values.from_wire(value) if isinstance(value, struct_pb2.Struct) else value
        for name, value in fields.items()
    }
    return ObjectRequest(
        urn=request.urn,
        type=type_from_urn(request.urn),
        id=getattr(request, "id", ""),
        timeout=getattr(request, "timeout", 0) or None,
        preview=getattr(request, "preview", False),
        **decoded,
    )


def _parse_change_request(request: Any) -> ObjectRequest:
    return _parse_request(
        request,
        inputs=request.news,
        old_inputs=request.old_inputs,
        old_outputs=request.olds,
        ignored=tuple(request.ignoreChanges),
    )


def _abort_initialization(context: Any, error: InitializationError, message: str) -> None:
    """Report to the engine that the object exists nevertheless, so that the next run updates it.

    The form is that of rich errors in gRPC: https://grpc.io/docs/guides/error/
    """
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(id=error.id, properties=error.properties.to_wire(), reasons=[message])
    )
    code = grpc.StatusCode.UNKNOWN
    status = status_pb2.Status(code=code.value[0], message=message, details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, message)


def _diff_config(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    """The difference between two configurations; a change of cluster replaces the provider and all its resources.

    The cluster is identified by `clusterIdentifier`, or else by the kubeconfig's entry of the cluster.
    Source: https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/provider.go (DiffConfig)
    """
    changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    if old.get("clusterIdentifier") and new.get("clusterIdentifier"):
        return Difference(changed, [key for key in changed if key == "clusterIdentifier"])
    is_another = "kubeconfig" in changed and _read_cluster(old.get("kubeconfig")) != _read_cluster(
        new.get("kubeconfig")
    )
    return Difference(changed, ["kubeconfig"] if is_another else [])


def _read_cluster(kubeconfig: Any) -> Any:
    """The kubeconfig's first cluster; the kubeconfig itself if it is unknown or not YAML."""
    if kubeconfig is UNKNOWN:
        return UNKNOWN
    try:
        return look_up(yaml.safe_load(str(kubeconfig)), ("clusters", 0, "cluster"))
    except yaml.YAMLError:
        return kubeconfig
