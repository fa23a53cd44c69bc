"""Settings that differ between teams: public resources, registries, roles and regions.

Proves for each setting that a control which rejects something by default allows it with the setting, and nothing else.
Does not prove that the engine passes on a configuration: tests/engine/test_adopted_pack.py has a real engine.
"""

from __future__ import annotations

from typing import Any

import pytest

from policies import Undecided, get_control
from policies.engine.stack import Resource
from tests.support.policies.aws_cases import BLOCK, BUCKET, block, document
from tests.support.policies.cluster_object_cases import CONTRIBUTOR, OWNER, SUBSCRIPTION, assign

ADMINISTRATOR, POWER_USER = (f"arn:aws:iam::aws:policy/{name}" for name in ("AdministratorAccess", "PowerUserAccess"))
OWN_REGISTRY = {"allowed": ["registry.example.com/*"]}


def pod(image: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"image": image}]}}


def public(action: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": "arn:aws:s3:::site/*"}
    return {"policy": document(statement)}


@pytest.mark.parametrize(
    ("control", "settings", "allowed", "rejected"),
    [
        ("k8s-pod-image-registry", OWN_REGISTRY, pod("registry.example.com/a:1"), pod("docker.io/library/nginx:1")),
        ("k8s-pod-image-registry", OWN_REGISTRY, pod("registry.example.com/a:1"), pod("quay.io/argoproj/argocd:1")),
        (
            "k8s-inference-service-image-registry",
            OWN_REGISTRY,
            {"spec": {"predictor": {"containers": [{"image": "registry.example.com/a:1"}]}}},
            {"spec": {"predictor": {"containers": [{"image": "ghcr.io/acme/a:1"}]}}},
        ),
        (
            "aws-iam-administrator-attached",
            {"allowed": [POWER_USER]},
            {"policyArn": POWER_USER},
            {"policyArn": ADMINISTRATOR},
        ),
        ("azure-authorization-owner", {"allowed": [OWNER.rpartition("/")[2]]}, assign(OWNER), None),
        (
            "azure-authorization-subscription-scope",
            {"allowed": [CONTRIBUTOR.rpartition("/")[2]]},
            assign(CONTRIBUTOR, SUBSCRIPTION),
            None,
        ),
        (
            "k8s-rbac-cluster-admin",
            {"allowed": ["admin"]},
            {"kind": "ClusterRoleBinding", "roleRef": {"name": "admin"}},
            {"kind": "ClusterRoleBinding", "roleRef": {"name": "edit"}},
        ),
        ("aws-s3-policy-principal", {"publicActions": ["s3:GetObject"]}, public("s3:GetObject"), public("s3:*")),
        (
            "aws-s3-policy-principal",
            {"publicActions": ["s3:GetObject"]},
            public(["s3:GetObject"]),
            public(["s3:GetObject", "s3:PutObject"]),
        ),
        (
            "azure-storage-anonymous-blobs",
            {"publicTag": "public=true"},
            {"allowBlobPublicAccess": True, "tags": {"public": "true"}},
            {"allowBlobPublicAccess": True, "tags": {"public": "false"}},
        ),
        (
            "azure-storage-anonymous-blobs",
            {"publicTag": "public"},
            {"allowBlobPublicAccess": True, "tags": {"public": "yes"}},
            {"allowBlobPublicAccess": True, "tags": {}},
        ),
        (
            "azure-storage-public-container",
            {"allowed": ["None", "Blob"]},
            {"publicAccess": "Blob"},
            {"publicAccess": "Container"},
        ),
        ("azure-resources-region", {"allowed": ["West Europe"]}, {"location": "westeurope"}, {"location": "eastus"}),
        ("aws-resources-region", {"allowed": ["eu-west-1"]}, {"region": "eu-west-1"}, {"region": "us-east-1"}),
    ],
)
def test_a_setting_allows_only_the_values_that_it_names(
    control: str, settings: dict[str, Any], allowed: dict[str, Any], rejected: dict[str, Any] | None
) -> None:
    found = get_control(control)
    assert found.evaluate(allowed, settings) == []
    if rejected is not None:
        [finding, *_] = found.evaluate(rejected, settings)
        assert not isinstance(finding, Undecided)
    is_rejected_by_default = bool(found.evaluate(allowed))
    assert is_rejected_by_default != (found.service.endswith("regions"))


@pytest.mark.parametrize("control", ["azure-resources-region", "aws-resources-region"])
def test_without_the_setting_every_region_is_allowed(control: str) -> None:
    assert get_control(control).evaluate({"location": "eastus", "region": "us-east-1"}) == []


def bucket_with_block(tags: dict[str, str]) -> list[Resource]:
    bucket = Resource(BUCKET, "site", "urn:site", {"bucket": "site", "tags": tags})
    return [bucket, Resource(BLOCK, "block", "urn:block", {"bucket": "site", **block(blockPublicPolicy=False)})]


def test_a_tagged_bucket_needs_no_public_access_block() -> None:
    control = get_control("aws-s3-public-access-block")
    settings = {"publicTag": "public=true"}
    assert control.evaluate_stack(bucket_with_block({"public": "true"}), settings) == []
    assert control.evaluate_stack(bucket_with_block({"public": "true"})) != []
    assert control.evaluate_stack(bucket_with_block({"public": "no"}), settings) != []
    assert control.evaluate_stack(bucket_with_block({}), {"publicTag": ""}) != []
