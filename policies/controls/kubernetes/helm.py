"""Helm releases. The objects that charts render never reach the engine: see `policies.evaluate_manifest`."""

import re
from collections.abc import Mapping
from typing import Any

from kernel.paths import Path, format_path, look_up
from kernel.values import UNKNOWN
from policies.controls.kubernetes.plain_text_secrets import find_plain_text_secrets
from policies.engine.expectations import IS_TRUE, Requirement, expect, pass_if_any
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control

RELEASE = ("kubernetes:helm.sh/v3:Release",)
EXACT_VERSION = re.compile(r"v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


@control(
    "k8s-helm-version",
    title="Charts are pinned to one version",
    severity="high",
    types=RELEASE,
    remedy="set version to an exact version rather than a range",
)
def version(props: Props) -> Findings:
    exact = Requirement("must be an exact version", lambda text: EXACT_VERSION.fullmatch(str(text)) is not None)
    yield from expect(props, "version", exact, "the next deployment can install another version")


@control(
    "k8s-helm-repository",
    title="Charts come from a named repository over an encrypted connection",
    severity="high",
    types=RELEASE,
    remedy="set repositoryOpts.repo to an https:// address, or chart to an oci:// one",
)
def repository(props: Props) -> Findings:
    def starts_with(*schemes: str) -> Requirement:
        return Requirement(f"must start with {' or '.join(schemes)}", lambda text: str(text).startswith(schemes))

    risk = "the chart that is installed depends on the machine"
    in_registry = expect(props, "chart", starts_with("oci://"), risk)
    in_repository = expect(props, "repositoryOpts.repo", starts_with("https://", "oci://"), risk)
    yield from pass_if_any([in_registry, in_repository])


@control(
    "k8s-helm-plain-secrets",
    title="Chart values contain no secrets",
    severity="high",
    types=RELEASE,
    remedy="pass the name of a Kubernetes secret that an ExternalSecret fills",
)
def secrets_in_values(props: Props) -> Findings:
    yield from find_plain_text_secrets(look_up(props, "values"), ("values",))


@control(
    "k8s-helm-floating-image",
    title="Chart values contain no floating image tags",
    severity="medium",
    types=RELEASE,
    remedy="set a fixed image version in the values, or leave the chart's default",
    references=("CKV_K8S_14 (analogue)",),
)
def floating_image(props: Props) -> Findings:
    yield from _find_floating_images(look_up(props, "values"), ("values",))


def _find_floating_images(tree: Any, path: Path) -> Findings:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            here = (*path, str(key))
            if str(key).lower().endswith(("tag", "image")):
                yield from _check_image(value, here)
            yield from _find_floating_images(value, here)
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from _find_floating_images(item, (*path, index))


def _check_image(value: Any, path: Path) -> Findings:
    if value is UNKNOWN:
        yield Undecided(format_path(path))
    elif isinstance(value, str) and re.search(r"(^|:)latest$", value):
        yield f"{format_path(path)} must name a fixed version, otherwise the image can change without a deployment"


@control(
    "k8s-helm-atomic",
    title="A failed release is rolled back automatically",
    severity="low",
    types=RELEASE,
    remedy="set atomic to true",
)
def atomic(props: Props) -> Findings:
    yield from expect(props, "atomic", IS_TRUE, "a failed upgrade remains half applied")
