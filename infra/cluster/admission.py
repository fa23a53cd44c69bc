"""Admission policies: the API server enforces the policy pack's controls that Pod Security does not cover.

The pack evaluates what a program or a chart declares. Only the API server sees what Argo CD, operators and people
create, and what defaults and webhooks change. Each rule is named after a control of the pack and states it in CEL;
tests run the control's cases against both. The rules apply to pods rather than to workloads: only pods contain the
limits that a LimitRange sets and the containers that an operator adds.

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

# The label of the namespaces in which the rules apply: those with the strictest Pod Security Standard.
NAMESPACES = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True)
class Rule:
    """A CEL expression, with its variables, that has to be true of every object of some resources."""

    group: str
    resources: Sequence[str]
    expression: str
    variables: Mapping[str, str] = field(default_factory=dict)


class Admission(Component):
    """A ValidatingAdmissionPolicy and its binding for each rule."""

    layer = "cluster"

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        for control in RULES:
            metadata = ObjectMetaArgs(name=control)
            policy = ValidatingAdmissionPolicy(
                control, metadata=metadata, spec=build_policy_spec(control), opts=self.child_options()
            )
            ValidatingAdmissionPolicyBinding(
                control,
                metadata=metadata,
                spec=build_binding_spec(control),
                opts=self.child_options(depends_on=[policy]),
            )
        self.register_outputs({})


def build_policy_spec(control: str) -> Mapping[str, Any]:
    """The specification of a rule's ValidatingAdmissionPolicy."""
    rule, source = RULES[control], get_control(control)
    message = source.violation_message(source.title)
    resource_rule = {
        "apiGroups": [rule.group],
        "apiVersions": ["v1"],
        "resources": [*rule.resources],
        "operations": ["CREATE", "UPDATE"],
    }
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [resource_rule]},
        # Objects that are older than a rule can still be deleted: removing a finalizer is an update.
        "matchConditions": [{"name": "stays", "expression": "!has(object.metadata.deletionTimestamp)"}],
        "variables": [{"name": name, "expression": expression} for name, expression in rule.variables.items()],
        "validations": [{"expression": rule.expression, "message": message, "reason": "Forbidden"}],
    }


def build_binding_spec(control: str) -> Mapping[str, Any]:
    """The specification of the ValidatingAdmissionPolicyBinding that puts a rule in force."""
    return {
        "policyName": control,
        "validationActions": ["Deny", "Audit"],
        "matchResources": {"namespaceSelector": {"matchLabels": NAMESPACES}},
    }


def _pod_rule(expression: str, **variables: str) -> Rule:
    """A rule for `variables.containers` of a pod; `variables.lasting` excludes ephemeral containers."""
    lasting = "object.spec.containers + object.spec.?initContainers.orValue([])"
    every = "variables.lasting + object.spec.?ephemeralContainers.orValue([])"
    resources = ("pods", "pods/ephemeralcontainers")
    return Rule("", resources, expression, {"lasting": lasting, "containers": every, **variables})


def _match_images(patterns: Sequence[str]) -> str:
    """An RE2 expression for names of images. A star in a host does not match a slash."""
    split = (pattern.split("/", 1) for pattern in patterns)
    each = (f"{_glob(host, '[^/]*')}/{_glob(path, '.*')}" for host, path in split)
    return f"^({'|'.join(each)})$"


def _glob(pattern: str, star: str) -> str:
    return star.join(re.escape(part) for part in pattern.split("*"))


# Docker's rule: a first part without a dot or a colon, other than `localhost`, is a namespace of docker.io.
_FULL_NAMES = (
    "variables.containers.map(c, !c.image.contains('/') ? 'docker.io/library/' + c.image : "
    "c.image.split('/')[0].matches('[.:]|^localhost$') ? c.image : 'docker.io/' + c.image)"
)
# Kubernetes rejects resources of ephemeral containers, so the rule cannot require them.
_HAS_RESOURCES = " && ".join(
    f"c.?resources.?{kind}.?{resource}.hasValue()"
    for kind, resource in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory"))
)
_INTERNAL = " || ".join(
    f"object.metadata.?annotations[?'{key}'].orValue('').lowerAscii() == '{value}'"
    for key, value in INTERNAL_LOAD_BALANCER_ANNOTATIONS.items()
)

RULES: Mapping[str, Rule] = {
    "k8s-pod-read-only-root": _pod_rule(
        "variables.containers.all(c, c.?securityContext.?readOnlyRootFilesystem.orValue(false))"
    ),
    "k8s-pod-image-tag": _pod_rule(
        "variables.containers.all(c, c.image.contains('@') || "
        "c.image.matches('(^|/)[^/:]+:[^/:]+$') && !c.image.endsWith(':latest'))"
    ),
    "k8s-pod-image-registry": _pod_rule(
        f"variables.names.all(name, name.matches(r'{_match_images(IMAGE_REGISTRIES)}'))", names=_FULL_NAMES
    ),
    "k8s-pod-resources": _pod_rule(f"variables.lasting.all(c, {_HAS_RESOURCES})"),
    "k8s-service-public-load-balancer": Rule("", ("services",), f"object.spec.type != 'LoadBalancer' || {_INTERNAL}"),
    "k8s-service-external-ips": Rule("", ("services",), "object.spec.?externalIPs.orValue([]).size() == 0"),
    "k8s-ingress-tls": Rule("networking.k8s.io", ("ingresses",), "object.spec.?tls.orValue([]).size() > 0"),
}
