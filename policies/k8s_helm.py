"""Helm releases. Their objects never reach the engine: what charts render has to be judged as manifests."""

import re
from collections.abc import Mapping
from typing import Any

from policies.control import control
from policies.plain_secrets import plain_secrets
from policies.props import UNKNOWN, Props, Undecided, Verdicts, any_of, expect, is_true, lookup

RELEASE = ("kubernetes:helm.sh/v3:Release",)
EXACT_VERSION = re.compile(r"v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


@control(
    "k8s-helm-version",
    title="Charts are pinned to one version",
    severity="high",
    types=RELEASE,
    remedy="set version to one exact version, no range",
)
def version(props: Props) -> Verdicts:
    wrong = "the next run may install another chart"
    yield from expect(props, "version", lambda text: EXACT_VERSION.fullmatch(str(text)) is not None, wrong)


@control(
    "k8s-helm-repository",
    title="Charts come over an encrypted connection from a named place",
    severity="high",
    types=RELEASE,
    remedy="set repositoryOpts.repo to an https:// address, or chart to an oci:// one",
)
def repository(props: Props) -> Verdicts:
    def starts(*schemes: str) -> Any:
        return lambda text: str(text).startswith(schemes)

    wrong = "the chart depends on the machine that installs it"
    in_registry = expect(props, "chart", starts("oci://"), wrong)
    yield from any_of([in_registry, expect(props, "repositoryOpts.repo", starts("https://", "oci://"), wrong)])


@control(
    "k8s-helm-plain-secrets",
    title="Chart values hold no secrets",
    severity="high",
    types=RELEASE,
    remedy="give the chart the name of a Kubernetes secret that an ExternalSecret fills",
)
def secrets_in_values(props: Props) -> Verdicts:
    yield from plain_secrets(lookup(props, "values"), "values")


@control(
    "k8s-helm-floating-image",
    title="Chart values ask for no floating image",
    severity="medium",
    types=RELEASE,
    remedy="name an image version in the values, or leave the chart's own",
    anchors=("CKV_K8S_14 (analogue)",),
)
def floating_image(props: Props) -> Verdicts:
    yield from _floating_images(lookup(props, "values"), "values")


def _floating_images(tree: Any, where: str) -> Verdicts:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            here = f"{where}.{key}"
            if str(key).lower().endswith(("tag", "image")):
                yield from _floating_image(value, here)
            yield from _floating_images(value, here)
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from _floating_images(item, f"{where}[{index}]")


def _floating_image(value: Any, where: str) -> Verdicts:
    if value is UNKNOWN:
        yield Undecided(where)
    elif isinstance(value, str) and re.search(r"(^|:)latest$", value):
        yield f"{where} names no fixed version"


@control(
    "k8s-helm-atomic",
    title="A failed release rolls itself back",
    severity="low",
    types=RELEASE,
    remedy="set atomic to true",
)
def atomic(props: Props) -> Verdicts:
    yield from expect(props, "atomic", is_true, "a failed upgrade stays half done")
