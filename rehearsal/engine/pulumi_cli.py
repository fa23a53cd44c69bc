"""The Pulumi command line: from PATH when it is new enough, else built from its pinned Go module."""

from __future__ import annotations

from pathlib import Path

from rehearsal import toolchain
from rehearsal.toolchain import GO_MODULES, Tool

# An installed engine is used at the SDK's version or later: an older one may not know what the SDK asks of it.
_PULUMI = Tool(
    name="engine",
    title="the Pulumi engine",
    command="pulumi",
    version_arguments=("version",),
    folder=GO_MODULES / "pulumi",
    module="github.com/pulumi/pulumi/pkg/v3",
    package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    version_variable="github.com/pulumi/pulumi/sdk/v3/go/common/version.Version",
    build_time="three minutes",
    install_url="https://www.pulumi.com/docs/install/",
)


def pinned_version() -> str:
    """The engine's version, as go.mod has it: `3.255.0`."""
    return _PULUMI.version


def engine() -> Path:
    """The `pulumi` to use; builds it first when there is none.

    Raises UserError when it can neither be found nor built.
    """
    return toolchain.ensure(_PULUMI)
