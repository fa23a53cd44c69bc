"""`make constraints`: regenerate the constraints on inputs of modelled types from the clouds' API descriptions."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import date
from importlib import metadata
from pathlib import Path

from rehearsal.api_constraints.aws import Entries, read_aws
from rehearsal.api_constraints.azure import read_azure
from rehearsal.simulator.aws import api_constraints as aws
from rehearsal.simulator.azure import api_constraints as azure
from rehearsal.simulator.azure.cloud import MODELS as AZURE_MODELS
from rehearsal.toolchain import ROOT

_LIFECYCLE = ROOT / "platform" / "lifecycle" / ".venv"
# Keys that are not constraints by themselves.
_DESCRIPTIVE = {"member", "unset_if_empty"}


def find_botocore() -> Path | None:
    """The folder of botocore in the lifecycle package's environment, the only one with it; None if it is missing."""
    return next(iter(sorted(_LIFECYCLE.glob("lib/python*/site-packages/botocore"))), None)


def describe_aws(botocore: Path) -> tuple[str, dict[str, Entries]]:
    """Source and constraints of AWS's types."""
    (distribution,) = metadata.distributions(name="botocore", path=[str(botocore.parent)])
    readers = read_aws(botocore / "data")
    sdk = metadata.version("pulumi-aws")
    return f"botocore {distribution.version}, pulumi-aws {sdk}", {
        type_: _leave_out_empty(reader.entries) for type_, reader in readers.items()
    }


def describe_azure() -> tuple[str, dict[str, Entries]]:
    """Source and constraints of Azure's types."""
    return f"pulumi-azure-native {metadata.version('pulumi-azure-native')}", dict(read_azure(AZURE_MODELS))


def write(file: Path, source: str, types: Mapping[str, Entries], checked: date) -> None:
    """Write a file of constraints, one input per line."""
    parts = [f"{json.dumps(type_)}: {{\n{_format(entries)}\n}}" for type_, entries in types.items() if entries]
    head = f'{{"source": {json.dumps(source)}, "checked": "{checked}", "types": {{\n'
    file.write_text("".join([head, ",\n".join(parts), "\n}}\n"]), encoding="utf-8")


def _leave_out_empty(entries: Entries) -> Entries:
    return {path: entry for path, entry in sorted(entries.items()) if entry.keys() - _DESCRIPTIVE}


def _format(entries: Entries) -> str:
    return ",\n".join(f"  {json.dumps(path)}: {json.dumps(entry)}" for path, entry in entries.items())


def main() -> int:
    """Write both files. Without the lifecycle package's environment, the file of AWS is not changed."""
    write(azure.FILE, *describe_azure(), date.today())
    botocore = find_botocore()
    if botocore is None:
        print(
            f"error: {_LIFECYCLE.relative_to(ROOT)} has no botocore, whose service models describe AWS's inputs: run "
            "`make constraints`, which creates that environment first.",
            file=sys.stderr,
        )
        return 1
    write(aws.FILE, *describe_aws(botocore), date.today())
    return 0


if __name__ == "__main__":
    sys.exit(main())
