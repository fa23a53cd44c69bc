"""Translates the inputs of a Release resource into Helm's command line, and finds the inputs that are not supported.

Each input has the effect that it has in the real provider, which uses Helm 3 as a library: its helmCreate, helmUpdate
and Delete decide which input applies when. Source:
https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/helm_release.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

INSTALL, UPGRADE, UNINSTALL = "install", "upgrade", "uninstall"

DEFAULT_TIMEOUT = 300  # seconds, the real provider's default

_SWITCHES: Mapping[str, Mapping[str, str]] = {
    INSTALL: {
        "atomic": "--atomic",
        "createNamespace": "--create-namespace",
        "dependencyUpdate": "--dependency-update",
        "disableOpenapiValidation": "--disable-openapi-validation",
        "disableWebhooks": "--no-hooks",
        "renderSubchartNotes": "--render-subchart-notes",
        "replace": "--replace",
        "skipCrds": "--skip-crds",
        "takeOwnership": "--take-ownership",
    },
    UPGRADE: {
        "atomic": "--atomic",
        "cleanupOnFail": "--cleanup-on-fail",
        "dependencyUpdate": "--dependency-update",
        "disableCRDHooks": "--no-hooks",  # for an upgrade the real provider reads this input, despite its name
        "forceUpdate": "--force",
        "recreatePods": "--recreate-pods",
        "renderSubchartNotes": "--render-subchart-notes",
        "resetValues": "--reset-values",
        "reuseValues": "--reuse-values",
        "takeOwnership": "--take-ownership",
    },
    UNINSTALL: {},
}

# Inputs without a switch: chart, name and namespace, those that `build_arguments` reads, and those that have no effect,
# in the real provider either, on a release whose version is set.
_OTHERS = frozenset(
    "allowNullValues chart compat description devel maxHistory name namespace repositoryOpts skipAwait timeout values "
    "version waitForJobs".split()
)
_KNOWN = _OTHERS.union(*_SWITCHES.values())


def find_unsupported_inputs(inputs: Mapping[str, Any]) -> list[str]:
    """Inputs that affect the real provider and that the rehearsal does not support."""
    unsupported = {name for name, value in inputs.items() if _is_set(value)} - _KNOWN
    options = inputs.get("repositoryOpts")
    if isinstance(options, Mapping):
        unsupported |= {
            f"repositoryOpts.{name}" for name, value in options.items() if name != "repo" and _is_set(value)
        }
    return [f"'{name}' of a Helm release is not simulated: remove it" for name in sorted(unsupported)]


def build_arguments(action: str, inputs: Mapping[str, Any], seconds: int) -> Iterator[str]:
    """The options of a Helm command; `seconds` is the timeout of each single wait."""
    yield from ("--timeout", f"{seconds}s")
    if waits_for_readiness(inputs):
        yield "--wait"
        if inputs.get("waitForJobs") and action != UNINSTALL:
            yield "--wait-for-jobs"
    yield from (switch for name, switch in _SWITCHES[action].items() if inputs.get(name))
    if action == UPGRADE:
        yield from ("--history-max", str(inputs.get("maxHistory") or 0))  # 0 means no limit
    if action != UNINSTALL and inputs.get("description"):
        yield from ("--description", str(inputs["description"]))


def waits_for_readiness(inputs: Mapping[str, Any]) -> bool:
    """Whether Helm waits until the release's objects are ready, or deleted."""
    return bool(inputs.get("atomic")) or not inputs.get("skipAwait")


def _is_set(value: Any) -> bool:
    return value not in (None, False, "", [], {})
