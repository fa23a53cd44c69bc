"""The simulated `kubernetes` provider: Pulumi's provider protocol in front of a real API server.

Objects go to the API server (`objects`), Helm releases to the real Helm (`releases`). Only what runs in the pods is
simulated.
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

from kernel.values import UNKNOWN
from rehearsal.helm.releases import resources as helm_releases
from rehearsal.helm.releases.resources import Releases
from rehearsal.kubernetes.client import ApiError, ApiUnreachableError
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.provider.objects import InitializationError, ObjectRequest, Objects, Settings, format_error
from rehearsal.kubernetes.provider.projection import look_up_path, redact
from rehearsal.simulator import offline_kubernetes
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.provider import build_diff_response, type_from_urn
from rehearsal.simulator.core.simulation import Difference
from rehearsal.simulator.core.values import Values

RELEASE = offline_kubernetes.RELEASE

Journal = Callable[[str, str, str, str], None]  # operation, type token, URN, outcome


class _ReleaseResources:
    """Releases in the form of resources: what `Objects` is for objects."""

    def __init__(self, releases: Releases) -> None:
        self._releases = releases

    def check(self, asked: ObjectRequest) -> tuple[Values, list[str]]:
        return asked.inputs, self._releases.check(asked.inputs.plain)

    def diff(self, asked: ObjectRequest) -> Difference:
        return self._releases.diff(asked.old_inputs.plain, asked.inputs.plain)

    def create(self, asked: ObjectRequest) -> tuple[str, Values]:
        inputs = asked.inputs
        if asked.preview:
            return "", _guarded(self._releases.preview(inputs.plain), inputs)
        id_ = helm_releases.release_id(inputs.plain)
        with _remembered(id_, inputs):
            return id_, _guarded(self._releases.install(inputs.plain, asked.timeout), inputs)

    def read(self, asked: ObjectRequest) -> tuple[Values, Values] | None:
        if not asked.old_inputs.plain:
            raise CloudError(f"the release {asked.id} cannot be imported: what it was made from is not in the cluster")
        found = self._releases.read(asked.old_inputs.plain)
        return None if found is None else (asked.old_inputs, _guarded(found, asked.old_inputs))

    def update(self, asked: ObjectRequest) -> Values:
        inputs = asked.inputs
        if asked.preview:
            return _guarded(self._releases.preview(inputs.plain), inputs)
        with _remembered(asked.id, inputs):
            return _guarded(self._releases.upgrade(inputs.plain, asked.old_inputs.plain, asked.timeout), inputs)

    def delete(self, asked: ObjectRequest) -> None:
        self._releases.uninstall(asked.old_inputs.plain or asked.old_outputs.plain, asked.timeout)

    def cancel(self) -> None:
        self._releases.cancel()


class KubernetesProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Translates the protocol; what is answered is decided by the API server and by Helm."""

    def __init__(self, plane: ControlPlane, releases: Releases, journal: Journal) -> None:
        self._plane = plane
        self._stop = threading.Event()
        self._objects = Objects(plane.api, self._stop)
        self._releases = _ReleaseResources(releases)
        self._journal = journal

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 the protocol's names
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        # The engine compares it with the SDK's version, so that is the one to give.
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi-kubernetes"))

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        old, new = Values.from_wire(request.old_inputs).plain, Values.from_wire(request.news).plain
        return build_diff_response(_config_difference(old, new))

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        variables = Values.from_wire(request.args).plain
        with self._answering(context):
            offline_kubernetes.CLOUD.configure(variables)
        self._objects.settings = Settings.of(variables)
        self._stop.clear()  # a Cancel was meant for the run before
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        asked = _asked(request, inputs=request.news, old_inputs=request.olds, seed=request.randomSeed)
        with self._answering(context, asked):
            inputs, reasons = self._resources(asked).check(asked)
        failures = [provider_pb2.CheckFailure(reason=redact(reason, asked.inputs)) for reason in reasons]
        return provider_pb2.CheckResponse(inputs=inputs.to_wire(), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        asked = _asked_to_change(request)
        with self._answering(context, asked):
            found = self._resources(asked).diff(asked)
        return build_diff_response(found)

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        asked = _asked(request, inputs=request.properties)
        with self._answering(context, asked, "" if request.preview else "create"):
            id_, outputs = self._resources(asked).create(asked)
        return provider_pb2.CreateResponse(id=id_, properties=outputs.to_wire())

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        asked = _asked(request, old_inputs=request.inputs, old_outputs=request.properties)
        with self._answering(context, asked):
            found = self._resources(asked).read(asked)
        if found is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(id=request.id, inputs=found[0].to_wire(), properties=found[1].to_wire())

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        asked = _asked_to_change(request)
        with self._answering(context, asked, "" if request.preview else "update"):
            outputs = self._resources(asked).update(asked)
        return provider_pb2.UpdateResponse(properties=outputs.to_wire())

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        asked = _asked(request, old_inputs=request.old_inputs, old_outputs=request.properties)
        with self._answering(context, asked, "delete"):
            self._resources(asked).delete(asked)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._answering(context):
            raise CloudError(f"the function {request.tok} is not simulated by the rehearsal's kubernetes provider")

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        self._stop.set()
        self._releases.cancel()
        return empty_pb2.Empty()

    def _resources(self, asked: ObjectRequest) -> Objects | _ReleaseResources:
        return self._releases if asked.type == RELEASE else self._objects

    @contextmanager
    def _answering(self, context: Any, asked: ObjectRequest | None = None, operation: str = "") -> Iterator[None]:
        """Turn a failure into the protocol's answer, and write into the journal what `operation` came to."""
        asked = asked or ObjectRequest("", "")
        try:
            yield
        except (CloudError, ApiError, ApiUnreachableError) as error:
            message = redact(self._told(error), asked.inputs, asked.old_inputs, asked.old_outputs)
            if operation:
                self._journal(operation, asked.type, asked.urn, f"refused: {message}")
            if isinstance(error, InitializationError):
                _abort_unfinished(context, error, message)
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, message)
        if operation:
            self._journal(operation, asked.type, asked.urn, "done")

    def _told(self, error: Exception) -> str:
        faults = self._plane.problems() if isinstance(error, ApiUnreachableError) else []
        return ". ".join([format_error(error), *faults])


def _asked(request: Any, **given: Any) -> ObjectRequest:
    """A request as `Objects` understands it; structs are decoded."""
    decoded: dict[str, Any] = {
        name: Values.from_wire(each) if isinstance(each, struct_pb2.Struct) else each for name, each in given.items()
    }
    return ObjectRequest(
        urn=request.urn,
        type=type_from_urn(request.urn),
        id=getattr(request, "id", ""),
        timeout=getattr(request, "timeout", 0) or None,
        preview=getattr(request, "preview", False),
        **decoded,
    )


def _asked_to_change(request: Any) -> ObjectRequest:
    return _asked(
        request,
        inputs=request.news,
        old_inputs=request.old_inputs,
        old_outputs=request.olds,
        ignored=tuple(request.ignoreChanges),
    )


def _abort_unfinished(context: Any, error: InitializationError, message: str) -> None:
    """Tell the engine that the object exists all the same, so that the next run updates it.

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


def _config_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    """What a change of the provider's configuration means: another cluster replaces the provider, and all beneath it.

    Which cluster it is, `clusterIdentifier` says, and without it the kubeconfig's entry of it.
    Source: https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/provider.go (DiffConfig)
    """
    changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    identifiers = old.get("clusterIdentifier"), new.get("clusterIdentifier")
    if all(identifiers):
        return Difference(changed, [key for key in changed if key == "clusterIdentifier"])
    other = "kubeconfig" in changed and _cluster(old.get("kubeconfig")) != _cluster(new.get("kubeconfig"))
    return Difference(changed, ["kubeconfig"] if other else [])


def _cluster(kubeconfig: Any) -> Any:
    """The kubeconfig's first cluster; itself, where it is not known or not to be read."""
    if kubeconfig is UNKNOWN:
        return UNKNOWN
    try:
        return look_up_path(yaml.safe_load(str(kubeconfig)), ("clusters", 0, "cluster"))
    except yaml.YAMLError:
        return kubeconfig


@contextmanager
def _remembered(id_: str, inputs: Values) -> Iterator[None]:
    """A release that failed and is there all the same, in the form in which the state comes to remember it."""
    try:
        yield
    except helm_releases.PartialReleaseError as error:
        raise InitializationError(str(error), id_, _guarded(error.outputs, inputs)) from None


def _guarded(outputs: Mapping[str, Any], inputs: Values) -> Values:
    """Outputs of a release: what went in secret stays secret."""
    there = {path for path in inputs.secrets if look_up_path(outputs, path) is not None}
    return Values(dict(outputs), there)
