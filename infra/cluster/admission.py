"""Admission: the API server refuses what Pod Security leaves open of the policy pack's rules.

The pack judges what a program or a chart declares. What Argo CD, an operator or a person brings, and what defaults and
webhooks made of it, only the API server sees. Each rule here has the name of a control of the pack and says the same in
CEL; tests put the control's own cases to both. Pods are judged, not what makes them: a limit that the namespace's
LimitRange sets, or a container that an operator adds, stands in the pod alone.

Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi_kubernetes.admissionregistration.v1 import ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.core.component import Component
from policies import IMAGE_REGISTRIES, INTERNAL_LOAD_BALANCER_ANNOTATIONS, get_control

# The namespaces that the rules hold in: those that enforce the strictest of the Pod Security Standards.
NAMESPACES = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True)
class Rule:
    """What has to be true of each object of some resources: a CEL expression, with its variables."""

    group: str
    resources: Sequence[str]
    expression: str
    variables: Mapping[str, str] = field(default_factory=dict)


class Admission(Component):
    """The rules, in force in every namespace of the platform but those that may see their nodes."""

    layer = "cluster"

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        for control in RULES:
            metadata = ObjectMetaArgs(name=control)
            policy = ValidatingAdmissionPolicy(
                control, metadata=metadata, spec=policy_of(control), opts=self.child_options()
            )
            ValidatingAdmissionPolicyBinding(
                control, metadata=metadata, spec=binding_of(control), opts=self.child_options(depends_on=[policy])
            )
        self.register_outputs({})


def policy_of(control: str) -> Mapping[str, Any]:
    """The specification of a rule's ValidatingAdmissionPolicy."""
    rule, source = RULES[control], get_control(control)
    message = source.violation_message(source.title)
    asked = {
        "apiGroups": [rule.group],
        "apiVersions": ["v1"],
        "resources": [*rule.resources],
        "operations": ["CREATE", "UPDATE"],
    }
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [asked]},
        # Whoever takes the last finalizer off something from before the rule must not be held up by it.
        "matchConditions": [{"name": "stays", "expression": "!has(object.metadata.deletionTimestamp)"}],
        "variables": [{"name": name, "expression": expression} for name, expression in rule.variables.items()],
        "validations": [{"expression": rule.expression, "message": message, "reason": "Forbidden"}],
    }


def binding_of(control: str) -> Mapping[str, Any]:
    """The specification of the ValidatingAdmissionPolicyBinding that puts a rule in force."""
    return {
        "policyName": control,
        "validationActions": ["Deny", "Audit"],
        "matchResources": {"namespaceSelector": {"matchLabels": NAMESPACES}},
    }


def _pods(expression: str, **variables: str) -> Rule:
    """A rule over `variables.containers` of a pod; `variables.lasting` is without those that a debugger adds later."""
    lasting = "object.spec.containers + object.spec.?initContainers.orValue([])"
    every = "variables.lasting + object.spec.?ephemeralContainers.orValue([])"
    resources = ("pods", "pods/ephemeralcontainers")
    return Rule("", resources, expression, {"lasting": lasting, "containers": every, **variables})


def _allowed(patterns: Sequence[str]) -> str:
    """A regular expression of RE2 for names of images; a star in a host does not reach over the slash."""
    split = (pattern.split("/", 1) for pattern in patterns)
    each = (f"{_glob(host, '[^/]*')}/{_glob(path, '.*')}" for host, path in split)
    return f"^({'|'.join(each)})$"


def _glob(pattern: str, star: str) -> str:
    return star.join(re.escape(part) for part in pattern.split("*"))


# Docker's rule: without a dot, a colon or `localhost` the first part is a user of docker.io.
_FULL_NAMES = (
    "variables.containers.map(c, !c.image.contains('/') ? 'docker.io/library/' + c.image : "
    "c.image.split('/')[0].matches('[.:]|^localhost$') ? c.image : 'docker.io/' + c.image)"
)
# Kubernetes refuses resources of ephemeral containers, so they cannot be asked for any.
_ASKS = " && ".join(
    f"c.?resources.?{kind}.?{resource}.hasValue()"
    for kind, resource in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory"))
)
_INTERNAL = " || ".join(
    f"object.metadata.?annotations[?'{key}'].orValue('').lowerAscii() == '{value}'"
    for key, value in INTERNAL_LOAD_BALANCER_ANNOTATIONS.items()
)

RULES: Mapping[str, Rule] = {
    "k8s-pod-read-only-root": _pods(
        "variables.containers.all(c, c.?securityContext.?readOnlyRootFilesystem.orValue(false))"
    ),
    "k8s-pod-image-tag": _pods(
        "variables.containers.all(c, c.image.contains('@') || "
        "c.image.matches('(^|/)[^/:]+:[^/:]+$') && !c.image.endsWith(':latest'))"
    ),
    "k8s-pod-image-registry": _pods(
        f"variables.names.all(name, name.matches(r'{_allowed(IMAGE_REGISTRIES)}'))", names=_FULL_NAMES
    ),
    "k8s-pod-resources": _pods(f"variables.lasting.all(c, {_ASKS})"),
    "k8s-service-public-load-balancer": Rule("", ("services",), f"object.spec.type != 'LoadBalancer' || {_INTERNAL}"),
    "k8s-service-external-ips": Rule("", ("services",), "object.spec.?externalIPs.orValue([]).size() == 0"),
    "k8s-ingress-tls": Rule("networking.k8s.io", ("ingresses",), "object.spec.?tls.orValue([]).size() > 0"),
}
