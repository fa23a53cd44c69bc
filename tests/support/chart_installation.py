"""Installs charts on the tests' control plane, from the folder that GROUNDWORK_CHARTS names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from rehearsal.helm import charts, cli
from rehearsal.kubernetes.client import NoKindMatchError
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from tests.support.waiting import eventually

_TIMEOUT = 180  # seconds; the largest takes about twenty


def install_chart(plane: ControlPlane, package: str, namespace: str, *values: str) -> None:
    """Install a package such as `kserve-crd-v0.20.0` under its chart's name, and wait until it is ready.

    Skips the test if the package or Helm is not available.
    """
    _helm(plane, "install", *_chart(package, values), "-n", namespace, "--create-namespace", "--wait")


def apply_definitions(
    plane: ControlPlane, package: str, kind: tuple[str, str], *values: str, only_kind: bool = False
) -> None:
    """Apply only a chart's CustomResourceDefinitions, and wait until `kind`, one of them, is served.

    With `only_kind`, apply only that definition.
    """
    rendered = _helm(plane, "template", *_chart(package, values), "--kube-version", plane.version, "--include-crds")
    for manifest in yaml.load_all(rendered, _Loader):  # megabytes: the pure Python loader takes half a minute
        if not manifest or manifest["kind"] != "CustomResourceDefinition":
            continue
        if not only_kind or manifest["spec"]["names"]["kind"] == kind[1]:
            plane.api.apply(manifest, "test")
    eventually(lambda: _served(plane, *kind))


def apply_gateway_api_definitions(plane: ControlPlane) -> None:
    """Apply the Gateway API's standard kinds. Helm cannot install their chart: its record is too large for a Secret."""
    values = ("crds.gatewayAPI.enabled=true", "crds.gatewayAPI.channel=standard")
    apply_definitions(plane, "gateway-crds-helm-v1.9.0", ("gateway.networking.k8s.io/v1", "HTTPRoute"), *values)


def find_condition(found: Any, kind: str) -> Any:
    """A condition of an object, or of a part of its status; {} if there is none."""
    conditions = ((found or {}).get("status") or found or {}).get("conditions") or ()
    return next((item for item in conditions if item["type"] == kind), {})


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: `=` is a string."""


def _text(_: _Loader, node: yaml.ScalarNode) -> str:
    return str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:value", _text)


def _served(plane: ControlPlane, api_version: str, kind: str) -> bool:
    try:
        return bool(plane.api.discover(api_version, kind))
    except NoKindMatchError:
        return False


def _chart(package: str, values: Sequence[str]) -> list[str]:
    folder = os.environ.get(charts.FOLDER_VARIABLE)
    if not folder:
        pytest.skip(f"{charts.FOLDER_VARIABLE} does not name a folder of charts")
    path = Path(folder) / f"{package}.tgz"
    if not path.is_file():
        pytest.skip(f"{path} does not exist")
    return [_name(package), str(path), *(argument for value in values for argument in ("--set", value))]


def _name(package: str) -> str:
    """`kserve-crd` of `kserve-crd-v0.20.0`."""
    return package.rpartition("-")[0]


def _helm(plane: ControlPlane, *arguments: str) -> str:
    if not cli.is_available():
        pytest.skip("Helm is not available")
    reply = cli.run([*arguments, "--kubeconfig", str(plane.kubeconfig)], _TIMEOUT)
    assert reply.returncode == 0, reply.stderr
    return reply.stdout
