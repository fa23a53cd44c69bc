"""The types and properties in the cases exist in the installed provider SDKs.

Proves that no control reads a property or names a type that does not exist in the SDKs: such a control would never find
anything. The SDKs' sources are read as text, because importing them takes seconds.
Does not prove that a property is at the right depth, nor anything about free-form maps and Kubernetes objects.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from policies import Control, controls
from tests.support.every_case import check_every
from tests.unit.policies.controls.test_controls import find_cases

# Kinds that a chart defines and no SDK has; tests/cluster/test_inference_service_admission.py uses the real ones.
CUSTOM_RESOURCES = {"kubernetes:serving.kserve.io/v1beta1:InferenceService"}
# `ingress` and `egress` mix the properties of three types of rules; the others have keys that users choose.
FREE_FORM = {"tags", "ingress", "egress", "addonProfiles", "notifications"}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


@cache
def _sources(token: str) -> tuple[Path, ...]:
    """The files of an SDK in which a type and its inputs are defined."""
    package, module, name = token.split(":")
    distribution = f"pulumi_{package.replace('-', '_')}"
    spec = find_spec(distribution)
    assert spec
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0])
    if package == "kubernetes":
        group, version = module.removesuffix(".k8s.io").split("/")
        folder = root / group.replace("helm.sh", "helm").split(".")[0] / version
        return (folder / f"{name}.py", folder / "_inputs.py")
    folder = root / {"lambda": "lambda_"}.get(module.split("/")[0], module.split("/")[0])
    nested = folder / "_inputs.py"  # does not exist if the module's types have no nested inputs
    return (folder / f"{_snake(name)}.py", *([nested] if nested.exists() else []))


@cache
def _names(token: str) -> frozenset[str]:
    """Every property's name on the wire, from the getter's decorator or, if they are the same, from its own name."""
    text = "".join(path.read_text(encoding="utf-8") for path in _sources(token))
    found = re.findall(r'pulumi\.getter\(name="(\w+)"\)|^    def (\w+)\(self\)', text, re.MULTILINE)
    return frozenset(wire or own for wire, own in found)


def _keys(tree: Any) -> Iterator[str]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield key
            if key not in FREE_FORM:
                yield from _keys(value)
    elif isinstance(tree, list):
        for item in tree:
            yield from _keys(item)


def test_types_exist() -> None:
    known = [each for each in controls() if CUSTOM_RESOURCES.isdisjoint(each.types)]
    check_every(known, _check_types, lambda control: control.id)


def _check_types(control: Control) -> None:
    for token in control.types:
        if token.startswith("pulumi:providers:"):
            continue  # Pulumi's name of an SDK's provider
        assert f'"{token}"' in _sources(token)[0].read_text(encoding="utf-8").replace("'", '"')


@pytest.mark.slow
def test_properties_exist() -> None:
    of_clouds = [each for each in controls() if not each.service.startswith("kubernetes.")]
    check_every(of_clouds, _check_properties, lambda control: control.id)


def _check_properties(control: Control) -> None:
    cases = find_cases(control)
    for subject in [*cases.compliant, *cases.violating]:
        for resource in (each for each in subject if not each.type.startswith("pulumi:providers:")):
            assert set(_keys(resource.props)) <= _names(resource.type)
