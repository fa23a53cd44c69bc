"""The admission rules, each a control of the policy pack in CEL.

Source: https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from infra.cluster.namespaces import DEVICE_PLUGIN, NODE_EXPORTER, PIPELINES
from policies import CONTAINER_FIELDS, IMAGE_REGISTRIES, INTERNAL_LOAD_BALANCER_ANNOTATIONS, LINEAGE_ANNOTATIONS

# The label by which Pod Security and these rules select namespaces, and its values: the Pod Security Standards.
LEVEL_LABEL = "pod-security.kubernetes.io/enforce"
LEVELS = ("restricted", "baseline", "privileged")
# The namespaces that may have the last level, each for pods which need access to their node; and those that Kubernetes
# and the clouds create without a level. Sources: https://learn.microsoft.com/azure/aks/ (each add-on's page),
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/install-CloudWatch-Observability-EKS-addon.html
PRIVILEGED_NAMESPACES = (NODE_EXPORTER, DEVICE_PLUGIN)
CLOUD_NAMESPACES = (
    *("default", "kube-node-lease", "kube-public", "kube-system"),
    *("aks-command", "aks-istio-egress", "aks-istio-ingress", "aks-istio-system", "app-routing-system"),
    *("calico-system", "dapr-system", "flux-system", "gatekeeper-system", "tigera-operator"),
    *("amazon-cloudwatch", "amazon-guardduty", "aws-observability"),
)
# Additional registries of single namespaces; the policy pack's exceptions give the reasons.
NAMESPACE_REGISTRIES: Mapping[str, Sequence[str]] = {
    PIPELINES: ("gcr.io/tfx-oss-public/*",),
    DEVICE_PLUGIN: ("nvcr.io/nvidia/*",),
}


@dataclass(frozen=True)
class Rule:
    """A CEL expression, with its variables, that has to be true for every object of some resources.

    It applies in the namespaces of some levels; without levels, to objects without a namespace.
    """

    group: str
    resources: Sequence[str]
    expression: str
    variables: Mapping[str, str] = field(default_factory=dict)
    version: str = "v1"
    levels: Sequence[str] = LEVELS


def build_rules(registries: Sequence[str]) -> Mapping[str, Rule]:
    """The rules, keyed by control; images may come from registries that these patterns match."""
    is_allowed = f"({_FULL_NAME}).matches(r'{_match_images(registries)}')"
    return {
        # Not in the level `baseline`: runs of Kubeflow Pipelines have containers that write to their own filesystem.
        "k8s-pod-read-only-root": _pod_rule(
            "object.spec.?os.?name.orValue('') == 'windows' || "
            "variables.containers.all(c, c.?securityContext.?readOnlyRootFilesystem.orValue(false))",
            levels=("restricted", "privileged"),
        ),
        "k8s-pod-image-tag": _pod_rule(f"variables.containers.all(c, {_HAS_FIXED_TAG})"),
        "k8s-pod-image-registry": _pod_rule(
            f"variables.containers.all(c, {is_allowed} || {_allow_in_namespaces(NAMESPACE_REGISTRIES)})"
        ),
        # Kubernetes rejects resources of ephemeral containers, so the rule cannot require them. The API server has
        # already defaulted requests to limits. It does not know the type of the pod's own resources before 1.34.
        "k8s-pod-resources": _pod_rule(f"variables.lasting.all(c, {_require_resources('c', 'dyn(object.spec)')})"),
        "k8s-namespace-pod-security": Rule("", ("namespaces",), _HAS_LEVEL, levels=()),
        "k8s-inference-service-lineage": _inference_service_rule(_HAS_LINEAGE),
        # A container without an image gets that of its ServingRuntime, which the rules for pods check.
        "k8s-inference-service-image-tag": _container_rule(f"!has(c.image) || {_HAS_FIXED_TAG}"),
        "k8s-inference-service-image-registry": _container_rule(f"!has(c.image) || {is_allowed}"),
        "k8s-inference-service-resources": _container_rule(_require_resources("c")),
        "k8s-service-public-load-balancer": Rule(
            "", ("services",), f"object.spec.type != 'LoadBalancer' || {_INTERNAL}"
        ),
        "k8s-service-external-ips": Rule("", ("services",), "object.spec.?externalIPs.orValue([]).size() == 0"),
        "k8s-ingress-tls": Rule(
            "networking.k8s.io",
            ("ingresses",),
            "object.spec.?tls.orValue([]).size() > 0 && object.spec.tls.all(entry, "
            "entry.?hosts.orValue([]).size() > 0 || entry.?secretName.orValue('') != '')",
        ),
    }


def _pod_rule(expression: str, levels: Sequence[str] = LEVELS) -> Rule:
    """A rule for `variables.containers` of a pod; `variables.lasting` excludes ephemeral containers."""
    lasting = "object.spec.containers + object.spec.?initContainers.orValue([])"
    every = "variables.lasting + object.spec.?ephemeralContainers.orValue([])"
    variables = {"lasting": lasting, "containers": every}
    return Rule("", ("pods", "pods/ephemeralcontainers"), expression, variables, levels=levels)


def _inference_service_rule(expression: str, variables: Mapping[str, str] | None = None) -> Rule:
    return Rule("serving.kserve.io", ("inferenceservices",), expression, variables or {}, "v1beta1")


def _container_rule(expression: str) -> Rule:
    """A rule for every container `c` of an InferenceService. It is nested, since CEL cannot flatten a list of lists."""
    return _inference_service_rule(
        f"variables.pods.all(pod, ({_CONTAINERS}).all(c, {expression}))",
        {
            # Without types: a predictor and its canaries have different ones, which CEL would not put into one list.
            "spec": "dyn(object.spec)",
            "components": "[?variables.spec.?predictor, ?variables.spec.?transformer, ?variables.spec.?explainer] + "
            "variables.spec.?canary.orValue([]).map(canary, canary.predictor)",
            "pods": "variables.components + "
            "variables.components.filter(one, has(one.workerSpec)).map(one, one.workerSpec)",
        },
    )


def _require_resources(*owners: str) -> str:
    """Require that a container or its pod, the owners, set each quantity. A limit counts as a request."""
    quantities = (("requests", "cpu"), ("requests", "memory"), ("limits", "memory"))
    alternatives = (
        [
            f"{owner}.?resources.?{each}.?{name}.hasValue()"
            for owner in owners
            for each in dict.fromkeys((kind, "limits"))
        ]
        for kind, name in quantities
    )
    return " && ".join(f"({' || '.join(each)})" for each in alternatives)


def _allow_in_namespaces(registries: Mapping[str, Sequence[str]]) -> str:
    return " || ".join(
        f"namespaceObject.metadata.name == '{namespace}' && ({_FULL_NAME}).matches(r'{_match_images(patterns)}')"
        for namespace, patterns in registries.items()
    )


def _match_images(patterns: Sequence[str]) -> str:
    """An RE2 expression for image names. A star in a host does not match a slash."""
    split = (pattern.split("/", 1) for pattern in patterns)
    each = (f"{_glob(host, '[^/]*')}/{_glob(path, '.*')}" for host, path in split)
    return f"^({'|'.join(each)})$"


def _glob(pattern: str, star: str) -> str:
    return star.join(re.escape(part) for part in pattern.split("*"))


# Docker's rule: a first part without a dot or a colon, other than `localhost`, is a namespace of docker.io.
_FULL_NAME = (
    "!c.image.contains('/') ? 'docker.io/library/' + c.image : "
    "c.image.split('/')[0].matches('[.:]|^localhost$') ? c.image : 'docker.io/' + c.image"
)
_HAS_FIXED_TAG = "(c.image.contains('@') || c.image.matches('(^|/)[^/:]+:[^/:]+$') && !c.image.endsWith(':latest'))"
_HAS_LINEAGE = " && ".join(
    f"object.metadata.?annotations[?'{annotation}'].orValue('') != ''" for annotation in LINEAGE_ANNOTATIONS
)
_CONTAINERS = (
    "pod.?containers.orValue([]) + pod.?initContainers.orValue([]) + "
    f"[{', '.join(f'?pod.?{name}' for name in CONTAINER_FIELDS)}]"
)
# One annotation has to make the load balancer internal, and no annotation, such as another cloud's, may make it public.
_INTERNAL = "({}) && {}".format(
    " || ".join(f"object.metadata.?annotations[?'{key}'].hasValue()" for key in INTERNAL_LOAD_BALANCER_ANNOTATIONS),
    " && ".join(
        f"object.metadata.?annotations[?'{key}'].orValue('{value}').lowerAscii() == '{value}'"
        for key, value in INTERNAL_LOAD_BALANCER_ANNOTATIONS.items()
    ),
)
# A namespace that was created before the rule may still be changed in other respects.
_LEVEL = f"metadata.?labels[?'{LEVEL_LABEL}'].orValue('')"
_HAS_LEVEL = (
    f"object.{_LEVEL} in ['restricted', 'baseline'] || "
    f"object.metadata.name in {[*PRIVILEGED_NAMESPACES]} && object.{_LEVEL} == 'privileged' || "
    f"object.metadata.name in {[*CLOUD_NAMESPACES]} || "
    f"request.operation == 'UPDATE' && object.{_LEVEL} == oldObject.{_LEVEL}"
)


RULES = build_rules(IMAGE_REGISTRIES)
# The rules that depend on the registries.
REGISTRY_RULES = frozenset(control for control, rule in build_rules(()).items() if rule != RULES[control])
