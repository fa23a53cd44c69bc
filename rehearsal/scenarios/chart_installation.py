"""Installs the charts that models need in a cluster and no stack installs yet: KServe and the Gateway API.

They are pinned in `charts.yaml`. Their controllers run as real processes where the rehearsal knows them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from rehearsal.console import UserError
from rehearsal.helm import charts, cli
from rehearsal.helm.charts import Chart, ChartUnavailableError
from rehearsal.kubernetes.client import ApiClient, NoKindMatchError
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.scenarios.waiting import TIMEOUT, wait_for_step

FIELD_MANAGER = "groundwork-rehearsal"

ChartPin: TypeAlias = Mapping[str, Any]
"""An entry of charts.yaml."""


def load_pins() -> Mapping[str, ChartPin]:
    """The charts by name, in the order of their installation."""
    pins: Mapping[str, ChartPin] = yaml.safe_load(Path(__file__).with_name("charts.yaml").read_text())
    return pins


def obtain_packages() -> Mapping[str, Path]:
    """The charts' packages by name. Raises UserError for one that is not available."""
    return {name: _obtain_package(name, pin) for name, pin in load_pins().items()}


def install_chart(plane: ControlPlane, name: str, package: Path) -> None:
    """Install one chart, or only its CustomResourceDefinitions, and wait until it is ready.

    Raises UserError with Helm's error.
    """
    pin = load_pins()[name]
    values = pin.get("values", {})
    if "kinds" in pin:
        _apply_definitions(plane, name, package, values)
        wait_for_step(lambda: _is_served(plane.api, **pin["kinds"]), f"The kinds of {name} are not served")
    else:
        options = ["-n", pin["namespace"], "--create-namespace", "--wait"]
        _run_helm(plane, ["upgrade", "--install", name, str(package), *options], values)


def create_gateway_class(plane: ControlPlane) -> None:
    """Create the class of KServe's gateway; its controller is simulated."""
    manifest = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "envoy"},
        "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
    }
    plane.api.apply(manifest, FIELD_MANAGER)


def _obtain_package(name: str, pin: ChartPin) -> Path:
    repository = pin["repository"]
    address = f"{repository}/{name}" if repository.startswith("oci://") else name
    try:
        return charts.fetch_package(Chart(address, pin["version"], repository))
    except ChartUnavailableError as error:
        raise UserError(
            f"The chart {name} {pin['version']} is not available: {error}. Set {charts.FOLDER_VARIABLE} to a "
            f"folder that contains {name}-{pin['version']}.tgz, or make {repository} reachable."
        ) from None


def _apply_definitions(plane: ControlPlane, name: str, package: Path, values: Mapping[str, Any]) -> None:
    """Not as a Helm release: the record of the Gateway API's would exceed the size limit of a Secret."""
    arguments = ["template", name, str(package), "--include-crds", "--kube-version", plane.version]
    rendered = _run_helm(plane, arguments, values)
    for manifest in yaml.load_all(rendered, yaml.CSafeLoader):  # megabytes: the pure Python loader takes half a minute
        if manifest and manifest["kind"] == "CustomResourceDefinition":
            plane.api.apply(manifest, FIELD_MANAGER)


def _run_helm(plane: ControlPlane, arguments: list[str], values: Mapping[str, Any]) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(dict(values), file)
        file.flush()
        process = cli.run([*arguments, "--values", file.name, "--kubeconfig", str(plane.kubeconfig)], TIMEOUT)
    if process.returncode != 0:
        raise UserError(f"`helm {arguments[0]}` of {arguments[1]} failed: {cli.last_line(process.stderr)}")
    return process.stdout


def _is_served(api: ApiClient, apiVersion: str, kind: str) -> bool:  # noqa: N803 the key in charts.yaml and manifests
    try:
        return bool(api.discover(apiVersion, kind))
    except NoKindMatchError:
        return False
