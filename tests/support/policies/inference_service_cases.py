"""The five cases of every control of InferenceServices."""

from collections.abc import Callable
from typing import Any

from tests.support.policies.cases import UNKNOWN_TEXT, Cases, Declared, Outcome, nested, resource_cases
from tests.support.policies.kubernetes_cases import needs

INFERENCE_SERVICE, SERVING_RUNTIME = (
    "kubernetes:serving.kserve.io/v1beta1:InferenceService",
    "kubernetes:serving.kserve.io/v1alpha1:ServingRuntime",
)


def inference_services(good: list[dict[str, Any]], bad: list[dict[str, Any]], absent: Outcome) -> Cases:
    """Cases for a control of containers, in every place of an InferenceService that can have containers."""
    return resource_cases(
        INFERENCE_SERVICE,
        good=[place(container) for container in good for place in CONTAINER_PLACES],
        bad=[place(container) for container in bad for place in CONTAINER_PLACES],
        absent=(absent, nested("spec.predictor.containers", [{"name": "main"}])),
        unknown=("undecided", nested("spec.predictor", UNKNOWN_TEXT)),
        other=SERVING_RUNTIME,
        more_good=[[Declared(INFERENCE_SERVICE, {"spec": {"predictor": {"minReplicas": 2}}})]],
        also_undecided=[
            [Declared(INFERENCE_SERVICE, nested("spec.predictor.containers", [UNKNOWN_TEXT]))],
            [Declared(INFERENCE_SERVICE, {"spec": {"predictor": {"model": replace_with_unknown(bad[0])}}})],
        ],
    )


def replace_with_unknown(tree: Any) -> Any:
    """The same properties with unknown values, except for names."""
    if isinstance(tree, dict):
        return {key: value if key == "name" else replace_with_unknown(value) for key, value in tree.items()}
    return UNKNOWN_TEXT


def annotated(**changes: str | None) -> dict[str, Any]:
    """An InferenceService with the annotations that a promotion always writes, except for `changes`."""
    facts = {"model": "wine", "version": "3", "run-id": "8a7b4b0d", **changes}
    annotations = {f"groundwork.dev/{name}": value for name, value in facts.items() if value is not None}
    return {"metadata": {"annotations": annotations}}


# Functions that put a container into an InferenceService.
CONTAINER_PLACES: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (
    lambda container: {"spec": {"predictor": {"containers": [container]}}},
    lambda container: {"spec": {"predictor": {"initContainers": [container]}}},
    lambda container: {"spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}, **container}}}},
    lambda container: {"spec": {"predictor": {"sklearn": container}}},
    lambda container: {"spec": {"predictor": {"workerSpec": {"containers": [container]}}}},
    lambda container: {"spec": {"predictor": {}, "transformer": {"containers": [container]}}},
    lambda container: {"spec": {"predictor": {}, "explainer": {"art": {"type": "SquareAttack", **container}}}},
    lambda container: {"spec": {"predictor": {}, "explainer": {"initContainers": [container]}}},
    lambda container: {
        "spec": {"predictor": {}, "canary": [{"trafficPercent": 10, "predictor": {"containers": [container]}}]}
    },
)

CASES: dict[str, Cases] = {
    "k8s-inference-service-lineage": resource_cases(
        INFERENCE_SERVICE,
        good=[annotated(), annotated(**{"git-commit": "c0ffee"})],
        bad=[annotated(model=None), annotated(version=None), annotated(**{"run-id": None}), annotated(version="")],
        absent=("fails", {"metadata": {"annotations": {}}}),
        unknown=("passes", annotated(version=UNKNOWN_TEXT)),
        other=SERVING_RUNTIME,
    ),
    "k8s-inference-service-image-tag": inference_services(
        good=[{"name": "main", "image": "ours.azurecr.io/serving:1.2"}],
        bad=[{"name": "main", "image": "ours.azurecr.io/serving:latest"}],
        absent="passes",
    ),
    "k8s-inference-service-image-registry": inference_services(
        good=[{"name": "main", "image": "ours.azurecr.io/serving@sha256:0123456789abcdef"}],
        bad=[{"name": "main", "image": "registry.example.com/serving:1.2"}],
        absent="passes",
    ),
    "k8s-inference-service-resources": inference_services(
        good=[needs("1", "1Gi", "1Gi")], bad=[needs("1", "1Gi", None), needs(None, "1Gi", "1Gi")], absent="fails"
    ),
}
