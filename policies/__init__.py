"""Groundwork's policy pack: controls over Azure, AWS and Kubernetes resources, listed in docs/controls.md.

This is the pack's public interface. `engine/` is the framework for controls, `controls/` has the controls themselves,
and `contents` lists them. Pulumi starts the pack through `__main__`.
"""

from policies.contents import (
    configure_pack,
    controls,
    controls_over,
    evaluate_manifest,
    get_control,
    load_exceptions,
)
from policies.controls.kubernetes.images import CLOUD_REGISTRIES, IMAGE_REGISTRIES
from policies.controls.kubernetes.inference_service import LINEAGE_ANNOTATIONS
from policies.controls.kubernetes.workload import INTERNAL_LOAD_BALANCER_ANNOTATIONS
from policies.engine.control import Control
from policies.engine.custom_resources import CONTAINER_FIELDS
from policies.engine.exceptions import ReviewedException
from policies.engine.findings import Finding, Undecided
from policies.engine.stack import Resource
from policies.manifests import ManifestFinding, evaluate_manifests

__all__ = [
    "CLOUD_REGISTRIES",
    "CONTAINER_FIELDS",
    "IMAGE_REGISTRIES",
    "INTERNAL_LOAD_BALANCER_ANNOTATIONS",
    "LINEAGE_ANNOTATIONS",
    "Control",
    "Finding",
    "ManifestFinding",
    "Resource",
    "ReviewedException",
    "Undecided",
    "configure_pack",
    "controls",
    "controls_over",
    "evaluate_manifest",
    "evaluate_manifests",
    "get_control",
    "load_exceptions",
]
