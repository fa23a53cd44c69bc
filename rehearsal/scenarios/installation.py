"""What models need in a cluster beyond the stack: KServe, the Gateway API, Argo CD and its application.

The charts are those of `charts.yaml`. Controllers of theirs that are known to the rehearsal run for real.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from rehearsal.console import UserError
from rehearsal.helm import charts, cli
from rehearsal.helm.charts import Chart, ChartUnavailable
from rehearsal.kubernetes.client import ApiClient, NoKindMatchError
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.controllers.argocd import APPLICATION_CONTROLLER
from rehearsal.toolchain import ROOT

ARGO_CD = "argo-cd"
ARGO_NAMESPACE = "argocd"
_GITOPS = ROOT / "platform" / "gitops"
_APPLICATION = "argoproj.io/v1alpha1"
_MANAGER = "groundwork-rehearsal"
_PATIENCE = 120.0  # seconds; the largest chart takes about twenty
_LOOK = 0.2  # seconds between two looks

Pin = Mapping[str, Any]


def pins() -> Mapping[str, Pin]:
    """The charts by name, in the order in which they are installed."""
    pinned: Mapping[str, Pin] = yaml.safe_load(Path(__file__).with_name("charts.yaml").read_text())
    return pinned


def packages() -> Mapping[str, Path]:
    """The charts' packages. Raises UserError that names one which cannot be had."""
    return {name: _package(name, pin) for name, pin in pins().items()}


def install(plane: ControlPlane, name: str, package: Path) -> None:
    """Install one chart, or its kinds. Raises UserError with Helm's words when it does not become ready."""
    pin = pins()[name]
    values = {**pin.get("values", {}), **_own(name)}
    if "kinds" in pin:
        _apply_kinds(plane, name, package, values)
        until(lambda: _is_served(plane.api, **pin["kinds"]), f"The kinds of {name} are not served")
    else:
        options = ["-n", pin["namespace"], "--create-namespace", "--wait"]
        _helm(plane, ["upgrade", "--install", name, str(package), *options], values)


def gateway_class(plane: ControlPlane) -> None:
    """The class that KServe's gateway is of; its controller is simulated."""
    manifest = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "envoy"},
        "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
    }
    apply(plane, manifest)


def applications(environment: str) -> tuple[str, Collection[Mapping[str, Any]]]:
    """The repository that Argo CD is told of, and the project and the application as they stand in platform/gitops."""
    manifests = [yaml.safe_load((_GITOPS / "argocd" / f"{name}.yaml").read_text()) for name in ("project", environment)]
    return manifests[1]["spec"]["source"]["repoURL"], manifests


def apply(plane: ControlPlane, manifest: Mapping[str, Any]) -> None:
    plane.api.apply(manifest, _MANAGER)


def synced(api: ApiClient, environment: str, revision: str) -> bool:
    """Whether Argo CD has brought a commit into the cluster. Raises UserError with its words when it cannot."""
    status = _status(api, environment)
    operation = status.get("operationState", {})
    if operation.get("phase") in ("Error", "Failed") and operation.get("syncResult", {}).get("revision") == revision:
        raise UserError(f"Argo CD cannot sync {revision[:9]}: {operation.get('message')}")
    sync = status.get("sync", {})
    return bool(sync.get("revision") == revision and sync.get("status") == "Synced")


def differing(api: ApiClient, environment: str) -> str:
    """What Argo CD finds to be otherwise than in git, in words."""
    resources = _status(api, environment).get("resources", ())
    found = [f"{each['kind']} {each['name']}" for each in resources if each.get("status") != "Synced"]
    return f"out of sync: {', '.join(found) or 'nothing'}"


def _status(api: ApiClient, environment: str) -> Mapping[str, Any]:
    found = api.get(_APPLICATION, "Application", f"models-{environment}", ARGO_NAMESPACE) or {}
    status: Mapping[str, Any] = found.get("status", {})
    return status


def until(happened: Callable[[], Any], otherwise: str, why: Callable[[], str] = str) -> None:
    """Wait for something to be so. Raises UserError when it is not in time, with what `why` then says."""
    deadline = time.monotonic() + _PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            raise UserError(f"{otherwise} after {_PATIENCE:g} s. {why()}".rstrip())
        time.sleep(_LOOK)


def _own(name: str) -> Mapping[str, Any]:
    """Argo CD's controllers are built here at one version, which its image has to name."""
    tag = f"v{APPLICATION_CONTROLLER.tool.version}"
    return {"global": {"image": {"tag": tag}}} if name == ARGO_CD else {}


def _package(name: str, pin: Pin) -> Path:
    repository = pin["repository"]
    address = f"{repository}/{name}" if repository.startswith("oci://") else name
    try:
        return charts.fetch_package(Chart(address, pin["version"], repository))
    except ChartUnavailable as error:
        raise UserError(
            f"The chart {name} {pin['version']} is not available: {error}. Set {charts.FOLDER_VARIABLE} to a "
            f"folder that contains {name}-{pin['version']}.tgz, or make {repository} reachable."
        ) from None


def _apply_kinds(plane: ControlPlane, name: str, package: Path, values: Mapping[str, Any]) -> None:
    """Without Helm's record, which for the Gateway API's is larger than a Secret may be."""
    rendered = _helm(plane, ["template", name, str(package), "--include-crds", "--kube-version", plane.version], values)
    for manifest in yaml.load_all(rendered, yaml.CSafeLoader):  # megabytes: PyYAML's own loader takes half a minute
        if manifest and manifest["kind"] == "CustomResourceDefinition":
            apply(plane, manifest)


def _helm(plane: ControlPlane, arguments: list[str], values: Mapping[str, Any]) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(dict(values), file)
        file.flush()
        reply = cli.run([*arguments, "--values", file.name, "--kubeconfig", str(plane.kubeconfig)], _PATIENCE)
    if reply.returncode != 0:
        raise UserError(f"`helm {arguments[0]}` of {arguments[1]} failed: {cli.last_line(reply.stderr)}")
    return reply.stdout


def _is_served(api: ApiClient, apiVersion: str, kind: str) -> bool:  # noqa: N803 (as manifests spell it)
    try:
        return bool(api.discover(apiVersion, kind))
    except NoKindMatchError:
        return False
