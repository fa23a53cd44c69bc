"""The Pulumi command line: from PATH if it is new enough, else downloaded or built at the pinned version."""

from __future__ import annotations

from pathlib import Path

from rehearsal import toolchain
from rehearsal.toolchain import GO_MODULES, Tool

# An engine on PATH must not be older than the SDK, since it might not know the SDK's requests. The engine that is built
# has no cloud backends (`stubs` in the module's folder), since a rehearsal stores its state in files.
TOOL = Tool(
    name="engine",
    title="the Pulumi engine",
    command="pulumi",
    version_arguments=("version",),
    folder=GO_MODULES / "pulumi",
    module="github.com/pulumi/pulumi/pkg/v3",
    package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    version_variables={"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": "github.com/pulumi/pulumi/pkg/v3"},
    build_minutes=2,
    install_url="https://www.pulumi.com/docs/install/",
)


def pinned_version() -> str:
    """The engine's version in go.mod: `3.255.0`."""
    return TOOL.version


def engine() -> Path:
    """The `pulumi` to use, downloaded or built if none is installed.

    Raises UserError if it is not available.
    """
    return toolchain.ensure(TOOL)
