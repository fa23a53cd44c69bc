"""What the inputs of a Release resource ask of Helm, and what they ask that a rehearsal cannot do.

Each input does what it does in the real provider, which uses Helm 3 as a library: its helmCreate, helmUpdate and Delete
say which of them counts when. Source:
https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/helm_release.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

INSTALL, UPGRADE, UNINSTALL = "install", "upgrade", "uninstall"

DEFAULT_TIMEOUT = 300  # seconds, the real provider's

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
        "disableCRDHooks": "--no-hooks",  # in an upgrade the real provider goes by this one, whatever it is called
        "forceUpdate": "--force",
        "recreatePods": "--recreate-pods",
        "renderSubchartNotes": "--render-subchart-notes",
        "resetValues": "--reset-values",
        "reuseValues": "--reuse-values",
        "takeOwnership": "--take-ownership",
    },
    UNINSTALL: {},
}

# Inputs that no switch stands for: what is installed where, those `arguments` reads itself, and those without effect,
# in the real provider too, on a release whose version is given.
_OTHERS = frozenset(
    "allowNullValues chart compat description devel maxHistory name namespace repositoryOpts skipAwait timeout values "
    "version waitForJobs".split()
)
_KNOWN = _OTHERS.union(*_SWITCHES.values())


def unsupported(inputs: Mapping[str, Any]) -> list[str]:
    """The inputs that would change what the real provider does, and that the rehearsal does not know."""
    asked = {name for name, value in inputs.items() if _is_given(value)} - _KNOWN
    options = inputs.get("repositoryOpts")
    if isinstance(options, Mapping):
        asked |= {f"repositoryOpts.{name}" for name, value in options.items() if name != "repo" and _is_given(value)}
    return [f"'{name}' of a Helm release is not simulated: leave it out" for name in sorted(asked)]


def arguments(action: str, inputs: Mapping[str, Any], seconds: int) -> Iterator[str]:
    """What a Helm command says of how to do it; `seconds` is the time limit of each single wait."""
    yield from ("--timeout", f"{seconds}s")
    if waits(inputs):
        yield "--wait"
        if inputs.get("waitForJobs") and action != UNINSTALL:
            yield "--wait-for-jobs"
    yield from (switch for name, switch in _SWITCHES[action].items() if inputs.get(name))
    if action == UPGRADE:
        yield from ("--history-max", str(inputs.get("maxHistory") or 0))  # 0 is no limit
    if action != UNINSTALL and inputs.get("description"):
        yield from ("--description", str(inputs["description"]))


def waits(inputs: Mapping[str, Any]) -> bool:
    """Whether Helm waits until the release's objects are ready, or gone."""
    return bool(inputs.get("atomic")) or not inputs.get("skipAwait")


def _is_given(value: Any) -> bool:
    return value not in (None, False, "", [], {})
