"""Puts the platform's admission rules in force on the tests' control plane. Proves nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from infra.cluster.admission import build_binding_spec, build_policy_spec
from rehearsal.kubernetes.client import ApiClient

VERSION = "admissionregistration.k8s.io/v1"
POLICY = "ValidatingAdmissionPolicy"


@contextmanager
def in_force(api: ApiClient, *controls: str) -> Iterator[None]:
    """These rules, as the platform declares them. The API server takes a moment to notice."""
    for control in controls:
        for kind, spec in ((POLICY, build_policy_spec(control)), (f"{POLICY}Binding", build_binding_spec(control))):
            api.create({"apiVersion": VERSION, "kind": kind, "metadata": {"name": control}, "spec": spec})
    try:
        yield
    finally:
        for control in controls:
            api.delete(VERSION, f"{POLICY}Binding", control, propagation_policy="Background")
            api.delete(VERSION, POLICY, control, propagation_policy="Background")


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """One over the other; None stands for what is not there."""
    deep = {key: merged(under.get(key, {}), part) for key, part in over.items() if isinstance(part, Mapping)}
    return {key: part for key, part in {**under, **over, **deep}.items() if part is not None}
