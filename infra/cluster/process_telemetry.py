"""Telemetry of the platform's own processes, in addition to their logs: traces and error reports.

Traces go to Alloy, which every stack has. Errors are reported to an external service, whose address is a secret of the
stack's store. Models are configured by platform/gitops/base, which refers to the secret and to a ConfigMap with the
variables that depend on the stack's settings, both in the models' namespace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.access import get_workload
from infra.cluster import alloy
from infra.cluster.external_secrets import create_external_secret
from infra.cluster.flows import Flow, Place, Pods
from infra.contract import SecretsContract
from infra.core.component import Component, StackContext
from infra.core.settings import Settings

_SERVING = get_workload("serving").namespace
_NAMESPACES = tuple(dict.fromkeys((get_workload("promotion").namespace, _SERVING)))
_CONFIG_MAP = "process-telemetry"  # platform/gitops/base names it
_SECRET, _KEY = "error-tracking", "sentry_dsn"
_FOLDER = "/run/secrets/error-tracking"


@dataclass(frozen=True)
class ErrorTrackingArgs:
    context: StackContext
    secrets: SecretsContract


class ErrorTracking(Component):
    """The Secret with the address that errors are reported to, in each namespace with the platform's processes."""

    layer = "cluster"

    def __init__(self, name: str, args: ErrorTrackingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        keys = {_KEY: args.context.settings.telemetry.error_tracking}
        for namespace in _NAMESPACES:
            create_external_secret(
                args.secrets, _SECRET, namespace, keys, "telemetry.errorTracking", self.child_options()
            )
        self.register_outputs({})


@dataclass(frozen=True)
class ModelTelemetryArgs:
    context: StackContext


class ModelTelemetry(Component):
    """The ConfigMap with the variables of the models' processes, which pods read when they start."""

    layer = "cluster"

    def __init__(self, name: str, args: ModelTelemetryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        ConfigMap(
            _CONFIG_MAP,
            metadata=ObjectMetaArgs(name=_CONFIG_MAP, namespace=_SERVING),
            data=describe_environment(args.context),
            opts=self.child_options(),
        )
        self.register_outputs({})


def list_flows(settings: Settings) -> Iterator[Flow]:
    """Flows to a service that may be in a connected network."""
    if settings.telemetry.error_tracking:
        for namespace in _NAMESPACES:
            for place in (Place.INTERNET, Place.PRIVATE_NETWORK):
                yield Flow(Pods(namespace), place, 443, "reports errors")


def describe_environment(context: StackContext) -> Mapping[str, str]:
    """Environment variables of a process.

    Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    """
    telemetry, environment = context.settings.telemetry, str(context.settings.environment)
    attributes = {"deployment.environment.name": environment, "groundwork.stack": context.naming.stack}
    traces = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": alloy.OTLP_URL,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": f"{telemetry.trace_percent / 100:g}",
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{name}={value}" for name, value in attributes.items()),
    }
    if not telemetry.error_tracking:
        return traces
    return {**traces, "SENTRY_DSN_FILE": f"{_FOLDER}/{_KEY}", "SENTRY_ENVIRONMENT": environment}


def list_mounts(settings: Settings) -> Sequence[Mapping[str, Any]]:
    """Volume mounts of a container whose process reads the address."""
    return [{"name": _SECRET, "mountPath": _FOLDER, "readOnly": True}] if settings.telemetry.error_tracking else []


def list_volumes(settings: Settings) -> Sequence[Mapping[str, Any]]:
    """Volumes of its pod. They are optional, because a process runs without the address too."""
    secret = {"secretName": _SECRET, "optional": True, "defaultMode": 0o440}
    return [{"name": _SECRET, "secret": secret}] if settings.telemetry.error_tracking else []
