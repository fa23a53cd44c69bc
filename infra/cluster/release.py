"""Helm releases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_kubernetes.helm.v3 import Release, RepositoryOptsArgs

from infra.cluster.versions import Chart

# An annotation of custom objects with a condition `Ready`: resources that depend on them wait until it is true.
WAIT_UNTIL_READY: Mapping[str, str] = {"pulumi.com/waitFor": "condition=Ready"}


def create_release(
    name: str,
    chart: Chart,
    namespace: str,
    values: Mapping[str, Any],
    opts: pulumi.ResourceOptions,
    *,
    skip_crds: bool = False,
) -> Release:
    """A Helm release with the chart's name; a failed upgrade is rolled back.

    With `skip_crds` another release has the chart's CRDs: Helm installs those in a chart, but never upgrades them.
    `values` contain names of secrets, never their contents: the state stores the values of a release as plain text.
    """
    return Release(
        name,
        name=chart.name,
        namespace=namespace,
        chart=chart.address,
        version=chart.version,
        repository_opts=None if chart.is_in_registry else RepositoryOptsArgs(repo=chart.repository),
        values=values,
        skip_crds=skip_crds or None,
        atomic=True,
        cleanup_on_fail=True,
        timeout=600,  # seconds, for CRDs, hooks and image pulls of a first installation
        opts=opts,
    )
