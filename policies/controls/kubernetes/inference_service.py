"""InferenceServices of KServe: the model version that they serve, and their containers.

The controls of pods apply to the pods that KServe creates. These controls require the same of the object that
promotions and people write, so that they see the reason, rather than a service without pods.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from kernel.paths import each_value
from kernel.values import ABSENT, UNKNOWN
from policies.controls.kubernetes.images import ALLOWED, FIXED_TAG, REGISTRY_REMEDY, require_registry
from policies.controls.kubernetes.pod_specs import REQUIRED_RESOURCES, expect_resource
from policies.engine.custom_resources import CONTAINER_FIELDS
from policies.engine.expectations import Requirement, expect, expect_set
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control

INFERENCE_SERVICE = ("kubernetes:serving.kserve.io/v1beta1:InferenceService",)

# A promotion always writes these, because the gate rejects a version without a run. It omits the data version and the
# commit if the registry does not know them, so they are not required.
LINEAGE_ANNOTATIONS: Final = tuple(f"groundwork.dev/{fact}" for fact in ("model", "version", "run-id"))

# The paths of an InferenceService's pods: each is a pod specification with additional fields of KServe.
_COMPONENTS: Final = ("predictor", "transformer", "explainer", "canary[*].predictor")
_PODS: Final = (*_COMPONENTS, *(f"{component}.workerSpec" for component in _COMPONENTS))
_CONTAINERS: Final = ("containers[*]", "initContainers[*]", *CONTAINER_FIELDS)


@control(
    "k8s-inference-service-lineage",
    title="Every InferenceService names its model version and the run that trained it",
    severity="high",
    types=INFERENCE_SERVICE,
    remedy=f"deploy the version with a promotion, or set the annotations {', '.join(LINEAGE_ANNOTATIONS)}",
)
def lineage(props: Props) -> Findings:
    for annotation in LINEAGE_ANNOTATIONS:
        path = f'metadata.annotations["{annotation}"]'
        yield from expect_set(props, path, "the origin of the served model is not known")


@control(
    "k8s-inference-service-image-registry",
    title="Every image of an InferenceService comes from an allowed registry",
    severity="high",
    types=INFERENCE_SERVICE,
    remedy=REGISTRY_REMEDY,
    references=("KSV-0125", "CIS 5.1.4", "AzPolicy:allowed-images"),
    settings={"allowed": ALLOWED},
)
def image_registry(props: Props, settings: Mapping[str, Any]) -> Findings:
    yield from _expect_image(props, require_registry(settings), "an unreviewed source can supply the image")


@control(
    "k8s-inference-service-image-tag",
    title="Every image of an InferenceService has a fixed version",
    severity="medium",
    types=INFERENCE_SERVICE,
    remedy="name a version tag other than latest, or a digest",
    references=("CKV_K8S_14", "KSV-0013"),
)
def image_tag(props: Props) -> Findings:
    yield from _expect_image(props, FIXED_TAG, "another image can be pulled under the same name")


@control(
    "k8s-inference-service-resources",
    title="Every container of an InferenceService requests CPU and memory and has a memory limit",
    severity="medium",
    types=INFERENCE_SERVICE,
    remedy="set resources.requests.cpu, resources.requests.memory and resources.limits.memory",
    references=("CKV_K8S_10", "CKV_K8S_12", "CKV_K8S_13", "KSV-0015", "KSV-0016", "KSV-0018"),
)
def resources(props: Props) -> Findings:
    for path in REQUIRED_RESOURCES:
        yield from _check_containers(props, partial(expect_resource, path=path))


def _expect_image(props: Props, requirement: Requirement, risk: str) -> Findings:
    """Check every image. A container without one uses the image of its ServingRuntime, which is evaluated too."""
    yield from _check_containers(
        props, lambda container: expect(container, "image", requirement, risk, absent_passes=True)
    )


def _check_containers(props: Props, check: Callable[[Props], Findings]) -> Findings:
    """The findings of `check` on every container."""
    for where, container in _list_containers(props).items():
        if container is UNKNOWN:
            yield Undecided(where)
            continue
        for finding in check(container):
            yield Undecided(f"{where}.{finding.path}") if isinstance(finding, Undecided) else f"{where}: {finding}"


def _list_containers(props: Props) -> Mapping[str, Any]:
    """Every container, keyed by its path. If a value above containers is unknown, it represents all of them."""
    found: dict[str, Any] = {}
    for where, pod in (pair for path in _PODS for pair in each_value(props, f"spec.{path}")):
        if pod is UNKNOWN:
            found[where] = UNKNOWN
        elif pod is not ABSENT:
            inner = (pair for path in _CONTAINERS for pair in each_value(pod, path))
            found |= {f"{where}.{path}": container for path, container in inner if container is not ABSENT}
    return found
