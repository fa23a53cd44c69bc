"""How the platform installs a Helm chart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_kubernetes.helm.v3 import Release, RepositoryOptsArgs

from infra.cluster.versions import Chart


def release(chart: Chart, namespace: str, values: Mapping[str, Any], opts: pulumi.ResourceOptions) -> Release:
    """A Helm release named after its chart: hooks run, upgrades are atomic, rollback is Helm's.

    `values` hold names of secrets, never their values: a release's values stand in the state as plain text.
    """
    return Release(
        chart.name,
        name=chart.name,
        namespace=namespace,
        chart=chart.name,
        version=chart.version,
        repository_opts=RepositoryOptsArgs(repo=chart.repository),
        values=values,
        atomic=True,
        cleanup_on_fail=True,
        timeout=600,  # seconds; CRDs, hooks and image pulls of a first installation
        opts=opts,
    )
