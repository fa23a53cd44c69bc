"""The pods in custom resources, which their operators create.

A pod's specification is recognized by its list of containers at any place, so that operators do not have to be known.
The operators that are known here either run a pod as it is written, or add properties that it omits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final

from kernel.paths import Path, look_up
from kernel.values import UNKNOWN, as_list, is_list
from policies.engine.carried_pod import CarriedPod
from policies.engine.findings import Props
from policies.engine.monitoring_pods import find_monitoring_pods
from policies.engine.partial import Partial, as_partial
from policies.engine.workflow_pods import find_workflow_pods

_WORKFLOWS: Final = tuple(
    f"argoproj.io:{kind}" for kind in ("Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow")
)
_MONITORING: Final = tuple(
    f"monitoring.coreos.com:{kind}" for kind in ("Prometheus", "PrometheusAgent", "Alertmanager", "ThanosRuler")
)
_SERVING_RUNTIME: Final = "serving.kserve.io:*ServingRuntime"
# Fields of a pod that KServe takes from the InferenceService, not from the runtime.
# Sources: ServingRuntimePodSpec in
# https://github.com/kserve/kserve/blob/v0.20.0/pkg/apis/serving/v1alpha1/servingruntime_types.go, and MergePodSpec in
# https://github.com/kserve/kserve/blob/v0.20.0/pkg/controller/v1beta1/inferenceservice/utils/utils.go
_IDENTITY: Final = frozenset({"automountServiceAccountToken", "serviceAccount", "serviceAccountName"})
# Kinds, by group, whose pods are exactly as the resource specifies them.
_COMPLETE: Final = (
    *_WORKFLOWS,
    *(f"argoproj.io:{kind}" for kind in ("Rollout", "Experiment", "AnalysisRun", "*AnalysisTemplate")),
    "batch.volcano.sh:Job",
    "jobset.x-k8s.io:JobSet",
    "keda.sh:ScaledJob",
    *(f"kubeflow.org:{kind}" for kind in ("*Job", "Notebook", "Experiment", "Trial")),
    "leaderworkerset.x-k8s.io:LeaderWorkerSet",
    "machinelearning.seldon.io:SeldonDeployment",
    *(f"ray.io:{kind}" for kind in ("RayCluster", "RayJob", "RayService")),
    *(f"serving.knative.dev:{kind}" for kind in ("Service", "Configuration", "Revision")),
    _SERVING_RUNTIME,
)
# Kinds whose pods are merged from the resource and another source: a runtime, a template, or a default.
_INFERENCE_SERVICE: Final = "serving.kserve.io:InferenceService"
_MERGED: Final = (
    _INFERENCE_SERVICE,
    *(f"serving.kserve.io:{kind}" for kind in ("LLMInferenceService", "LLMInferenceServiceConfig")),
    *(f"trainer.kubeflow.org:{kind}" for kind in ("TrainJob", "TrainingRuntime", "ClusterTrainingRuntime")),
    *_MONITORING,
)
# Groups of the API server's own kinds, and modules of the SDK that are not groups.
_BUILT_IN: Final = frozenset(
    f"{group}.k8s.io"
    for group in (
        *("admissionregistration", "apiextensions", "apiregistration", "auditregistration", "authentication"),
        *("authorization", "certificates", "coordination", "discovery", "events", "flowcontrol.apiserver"),
        *("internal.apiserver", "networking", "node", "rbac.authorization", "resource", "scheduling", "settings"),
        *("storage", "storagemigration"),
    )
) | {"helm.sh", "yaml", "kustomize"}

# Fields of an InferenceService's components that hold one container each. KServe's webhook rewrites frameworks to
# `model`. Source: https://github.com/kserve/kserve/blob/v0.20.0/pkg/apis/serving/v1beta1/predictor.go and explainer.go
CONTAINER_FIELDS: Final = (
    "model",
    *("sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle"),
    "art",
)


@cache
def is_custom(resource_type: str) -> bool:
    """Whether a type is a custom resource of Kubernetes."""
    if not resource_type.startswith("kubernetes:"):
        return False
    group = _find_group(resource_type)
    return "." in group and group not in _BUILT_IN


@cache
def runs_pods(resource_type: str) -> bool:
    """Whether a type is known to run pods."""
    return is_custom(resource_type) and _is_one_of(resource_type, (*_COMPLETE, *_MERGED))


@cache
def creates_objects(resource_type: str) -> bool:
    """Whether a type may create objects of any kind."""
    return is_custom(resource_type) and _is_one_of(resource_type, _WORKFLOWS)


def find_pods(resource_type: str, props: Props) -> Iterator[CarriedPod]:
    """The pods in a custom resource. Operators that are not known here may merge a pod with another."""
    is_complete = _is_one_of(resource_type, _COMPLETE)
    spec = look_up(props, "spec")
    if _is_one_of(resource_type, (_SERVING_RUNTIME,)):
        yield from _find_runtime_pods(spec)
    elif _is_one_of(resource_type, _WORKFLOWS):
        yield from find_workflow_pods(props)
    elif _is_one_of(resource_type, (_INFERENCE_SERVICE,)):
        yield from _find_model_pods(spec, ("spec",), look_up(props, "metadata.annotations"))
    elif _is_one_of(resource_type, _MONITORING):
        yield from find_monitoring_pods(resource_type, props)
    else:
        yield from _search(spec, ("spec",), props, is_complete=is_complete)


def _search(value: Any, path: Path, parent: Any, *, is_complete: bool) -> Iterator[CarriedPod]:
    """The pods below a value, which is in `parent`."""
    if value is UNKNOWN:
        if is_complete and str(path[-1]).lower().endswith(("spec", "specs", "template", "templates")):
            yield CarriedPod(path, {"spec": UNKNOWN})
    elif isinstance(value, Mapping):
        if _has_containers(value, is_complete=is_complete):
            is_in_template = path[-1] == "spec"
            metadata = {"metadata": look_up(parent, "metadata", {})} if is_in_template else {}
            pod = {**metadata, "spec": value}
            yield CarriedPod(path[:-1] if is_in_template else path, pod if is_complete else as_partial(pod))
        else:
            for key, each in value.items():
                yield from _search(each, (*path, str(key)), value, is_complete=is_complete)
    elif is_list(value):
        for index, each in enumerate(value):
            yield from _search(each, (*path, index), value, is_complete=is_complete)


def _has_containers(value: Props, *, is_complete: bool) -> bool:
    containers = value.get("containers")
    if containers is UNKNOWN and "containers" in value:
        return is_complete
    named = is_list(containers) and all(each is UNKNOWN or isinstance(each, Mapping) for each in as_list(containers))
    return named and (is_complete or bool(containers))


def _find_runtime_pods(spec: Any) -> Iterator[CarriedPod]:
    """The pods of a ServingRuntime: the pod of models, and pods of workers if a model needs several nodes."""
    if look_up(spec, "disabled") is True:
        return  # KServe selects it for no model
    metadata = {"annotations": look_up(spec, "annotations", {})}
    if spec is UNKNOWN or (isinstance(spec, Mapping) and _has_containers(spec, is_complete=True)):
        yield CarriedPod((), {"metadata": metadata, "spec": _leave_identity(spec)})
    for pod in _search(look_up(spec, "workerSpec"), ("spec", "workerSpec"), spec, is_complete=True):
        yield CarriedPod(pod.path, {**pod.props, "spec": _leave_identity(pod.props["spec"])})


def _leave_identity(spec: Any) -> Any:
    """The spec of a runtime's pod without its identity, which the InferenceService sets."""
    return Partial(spec, _IDENTITY) if isinstance(spec, Mapping) else spec


def _find_model_pods(value: Any, path: Path, annotations: Any) -> Iterator[CarriedPod]:
    """The pods of an InferenceService, without the fields that have controls of their own: images and resources.

    Pods have the `annotations` of the InferenceService and those of their component.
    """
    if isinstance(value, Mapping):
        own = [each for each in (annotations, look_up(value, "annotations")) if isinstance(each, Mapping)]
        metadata = {"annotations": {key: each for part in own for key, each in part.items()}}
        containers = {name: look_up(value, name) for name in ("containers", "initContainers")}
        listed = {name: _strip(found) for name, found in containers.items() if is_list(found)}
        if listed:
            yield CarriedPod(path, as_partial({"metadata": metadata, "spec": {**value, **listed}}))
        for key, each in value.items():
            if key in CONTAINER_FIELDS and isinstance(each, Mapping):
                spec = {"containers": _strip([each])}
                yield CarriedPod((*path, key), as_partial({"metadata": metadata, "spec": spec}))
            elif key not in containers:
                yield from _find_model_pods(each, (*path, key), annotations)
    elif is_list(value):
        for index, each in enumerate(value):
            yield from _find_model_pods(each, (*path, index), annotations)


def _strip(containers: list[Any]) -> list[Any]:
    omitted = ("image", "resources")
    return [
        {key: value for key, value in each.items() if key not in omitted} if isinstance(each, Mapping) else each
        for each in containers
    ]


def _find_group(resource_type: str) -> str:
    return resource_type.partition(":")[2].partition("/")[0]


def _is_one_of(resource_type: str, patterns: tuple[str, ...]) -> bool:
    name = f"{_find_group(resource_type)}:{resource_type.rpartition(':')[2]}"
    # Compiling a pattern takes a hundred times as long as a comparison, and most patterns are plain names.
    return any(fnmatchcase(name, each) if "*" in each else name == each for each in patterns)
