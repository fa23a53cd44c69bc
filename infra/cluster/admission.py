"""Admission policies: the API server enforces the policy pack's controls that Pod Security does not cover.

The pack evaluates what a program or a chart declares. Only the API server sees what Argo CD, operators and people
create, and what defaults and webhooks change. Each rule is named after a control of the pack and states it in CEL;
tests run the control's cases against both. The rules apply to pods rather than to workloads: only pods contain the
limits that a LimitRange sets and the containers that an operator adds. InferenceServices, which deploy models, have
their own rules. The rules apply in every namespace with a level of the Pod Security Standards, and a namespace without
one is rejected.

Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pulumi
from pulumi_kubernetes.admissionregistration.v1 import ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.cluster.admission_rules import LEVEL_LABEL, REGISTRY_RULES, RULES, build_rules
from infra.contract import RegistryContract
from infra.core.component import Component, StackContext
from policies import CLOUD_REGISTRIES, IMAGE_REGISTRIES, get_control


@dataclass(frozen=True)
class AdmissionArgs:
    context: StackContext
    registry: RegistryContract


class Admission(Component):
    """A ValidatingAdmissionPolicy and its binding for each rule."""

    layer = "cluster"

    def __init__(self, name: str, args: AdmissionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        registries = args.registry.server.apply(partial(list_registries, args.context.settings.images.registries))
        for control in RULES:
            metadata = ObjectMetaArgs(name=control)
            # The other rules' specifications are known in a preview; the registry's name is not.
            spec = (
                registries.apply(partial(build_policy_spec, control))
                if control in REGISTRY_RULES
                else build_policy_spec(control)
            )
            policy = ValidatingAdmissionPolicy(control, metadata=metadata, spec=spec, opts=self.child_options())
            ValidatingAdmissionPolicyBinding(
                control,
                metadata=metadata,
                spec=build_binding_spec(control),
                opts=self.child_options(depends_on=[policy]),
            )
        self.register_outputs({})


def list_registries(additional: Sequence[str], server: str) -> Sequence[str]:
    """The registries that the pack allows on a stack whose registry is `server`, and no other registry of a cloud.

    `additional` are those of the stack's setting.
    """
    shared = (registry for registry in IMAGE_REGISTRIES if registry not in CLOUD_REGISTRIES)
    return [f"{server}/*", *shared, *additional]


def build_policy_spec(control: str, registries: Sequence[str] = IMAGE_REGISTRIES) -> Mapping[str, Any]:
    """The specification of a rule's ValidatingAdmissionPolicy, with the registries that images may come from."""
    rule, source = build_rules(registries)[control], get_control(control)
    message = source.violation_message(source.title)
    resource_rule = {
        "apiGroups": [rule.group],
        "apiVersions": [rule.version],
        "resources": [*rule.resources],
        "operations": ["CREATE", "UPDATE"],
    }
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [resource_rule]},
        # Objects that are older than a rule can still be deleted, although removing a finalizer is an update.
        "matchConditions": [{"name": "stays", "expression": "!has(object.metadata.deletionTimestamp)"}],
        "variables": [{"name": name, "expression": expression} for name, expression in rule.variables.items()],
        "validations": [{"expression": rule.expression, "message": message, "reason": "Forbidden"}],
    }


def build_binding_spec(control: str) -> Mapping[str, Any]:
    """The specification of the ValidatingAdmissionPolicyBinding that enforces a rule."""
    binding = {"policyName": control, "validationActions": ["Deny", "Audit"]}
    levels = RULES[control].levels
    if not levels:  # the selector would select namespaces by their own labels
        return binding
    of_levels = {"key": LEVEL_LABEL, "operator": "In", "values": [*levels]}
    return {**binding, "matchResources": {"namespaceSelector": {"matchExpressions": [of_levels]}}}
