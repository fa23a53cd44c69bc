"""What each cloud's modules create, side by side: the same module on both clouds serves the same purpose.

It is read from the sources rather than from a stack, so it needs neither an engine nor settings, and includes resources
that only some settings create.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent
_CLOUDS = ("azure", "aws")
_SDKS = ("pulumi_azure_native", "pulumi_aws")
# Modules without a counterpart to compare; the resources that they create are listed with the modules that use them.
_HELPERS = frozenset({"__init__", "foundation", "kubeconfig"})

# Why a module exists on only one cloud. A test fails for a module without a reason.
ONE_SIDED = {
    "bucket": "AWS: the counterpart of `storage_account` on Azure",
    "iam": "AWS: roles and policy documents; on Azure `identity` assigns built-in roles",
    "karpenter": "AWS: adds nodes for pending pods; AKS has its own autoscaler",
    "keys": "AWS: on Azure the key is in the vault, in `secrets`",
    "load_balancing": "AWS: a controller creates load balancers; AKS does so itself",
    "pod_identity": "AWS: on Azure `identity` federates the workloads' identities",
    "storage_account": "Azure: the counterpart of `bucket` on AWS",
}


@dataclass(frozen=True)
class Capability:
    """One module.

    purpose  the start of its docstring, on the first cloud that has it
    types    resource types that it creates, keyed by cloud, such as `ec2.Vpc`
    """

    module: str
    purpose: str
    types: dict[str, tuple[str, ...]]

    @property
    def clouds(self) -> list[str]:
        return [cloud for cloud in _CLOUDS if (_FOLDER / cloud / f"{self.module}.py").exists()]

    @property
    def reason(self) -> str:
        """Why it exists on only one cloud; empty if it exists on both."""
        return "" if len(self.clouds) == len(_CLOUDS) else ONE_SIDED.get(self.module, "")


def list_capabilities() -> list[Capability]:
    """All modules of both clouds, sorted by name."""
    names = {path.stem for cloud in _CLOUDS for path in (_FOLDER / cloud).glob("*.py")} - _HELPERS
    return [_read_capability(name) for name in sorted(names)]


def _read_capability(module: str) -> Capability:
    trees = {cloud: ast.parse(path.read_text()) for cloud in _CLOUDS if (path := _find_path(cloud, module)).exists()}
    documentation = next(text for tree in trees.values() if (text := ast.get_docstring(tree)))
    types = {cloud: tuple(sorted(set(_find_types(tree)))) for cloud, tree in trees.items()}
    purpose = re.split(r"[:\n]", documentation, maxsplit=1)[0].rstrip(".")
    return Capability(module, purpose, types)


def _find_path(cloud: str, module: str) -> Path:
    return _FOLDER / cloud / f"{module}.py"


def _find_types(tree: ast.Module) -> Iterator[str]:
    """The resource classes of a cloud's SDK that a module calls: `ec2.Vpc(...)`."""
    packages = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module in _SDKS
        for alias in node.names
        if alias.name.islower()
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=package), attr=name)) if package in packages:
                # Functions start with a lower-case letter, and classes of inputs end in Args.
                if name[0].isupper() and not name.endswith("Args"):
                    yield f"{package}.{name}"


def format_parity() -> str:
    """docs/parity.md."""
    capabilities = list_capabilities()
    both = [each for each in capabilities if not each.reason]
    one_sided = [each for each in capabilities if each.reason]
    return "\n".join(
        [
            "# Parity of the clouds",
            "",
            "The same platform on Azure and on AWS: both clouds implement one contract (`infra/contract.py`) with "
            "modules of the same names. Generated from `infra/azure` and `infra/aws` by `make docs`; a module without "
            "types creates its resources with helpers of other modules.",
            "",
            "| module | what it is | on Azure | on AWS |",
            "|---|---|---|---|",
            *(
                f"| `{each.module}` | {each.purpose} | {_format_types(each, 'azure')} | {_format_types(each, 'aws')} |"
                for each in both
            ),
            "",
            "Modules of only one cloud, because the other cloud does the same itself or in another module:",
            "",
            "| module | why it exists on only one cloud | creates |",
            "|---|---|---|",
            *(f"| `{each.module}` | {each.reason} | {_format_types(each, each.clouds[0])} |" for each in one_sided),
            "",
        ]
    )


def _format_types(capability: Capability, cloud: str) -> str:
    return ", ".join(f"`{name}`" for name in capability.types.get(cloud, ())) or "-"
