"""Where files lie: Amazon S3, and ECR for images."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from rehearsal.simulator.aws.rules import arn, each, exists, is_json, items, parsed, physical, principals, statements
from rehearsal.simulator.core.resource_model import ResourceModel, ResourceRequest, Rule, matches, one_of
from rehearsal.simulator.core.values import UNKNOWN

BUCKET, BUCKET_POLICY = "aws:s3/bucket:Bucket", "aws:s3/bucketPolicy:BucketPolicy"
_ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_REPOSITORY = "aws:ecr/repository:Repository"
_NO_BUCKET = exists("bucket", BUCKET, "NoSuchBucket: The specified bucket does not exist: {value}")

# Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
_REPOSITORY_NAME = r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*"


def _bucket_name(request: ResourceRequest) -> str | None:
    """Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
    name = request.get("bucket", UNKNOWN)
    if name is UNKNOWN:
        return None
    shaped = re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name) and ".." not in name
    reserved = name.startswith(("xn--", "sthree-", "amzn-s3-demo-")) or name.endswith(("-s3alias", "--ol-s3"))
    try:
        ipaddress.IPv4Address(name)
        reserved = True
    except ValueError:
        pass
    return None if shaped and not reserved else f"InvalidBucketName: The specified bucket is not valid: {name}"


def _policy_is_about_bucket(request: ResourceRequest) -> str | None:
    bucket = request.get("bucket", UNKNOWN)
    if bucket is UNKNOWN:
        return None
    own = f"arn:aws:s3:::{bucket}"
    for statement in statements(request.get("policy")):
        if any(resource != own and not resource.startswith(f"{own}/") for resource in items(statement.get("Resource"))):
            return "MalformedPolicy: Policy has invalid resource"
        if "Principal" not in statement:
            return "MalformedPolicy: Missing required field Principal"
    return None


def _policy_is_not_public(request: ResourceRequest) -> str | None:
    blocks = (
        block for block in request.state.all(_ACCESS_BLOCK) if block.inputs.get("bucket") == request.get("bucket")
    )
    if not any(block.inputs.get("blockPublicPolicy") for block in blocks):
        return None
    for statement in statements(request.get("policy")):
        anybody = "*" in principals(statement, "AWS")
        if statement.get("Effect") == "Allow" and anybody and not statement.get("Condition"):
            return (
                "AccessDenied: User is not authorized to perform: s3:PutBucketPolicy because public policies are "
                "blocked by the BlockPublicPolicy block public access setting."
            )
    return None


def _key_fits_algorithm(request: ResourceRequest) -> str | None:
    for rule in items(request.get("rules", [])):
        default = rule.get("applyServerSideEncryptionByDefault") if isinstance(rule, Mapping) else None
        if isinstance(default, Mapping) and default.get("sseAlgorithm") == "AES256" and "kmsMasterKeyId" in default:
            return "InvalidArgument: a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms"
    return None


def _lifecycle_policy(request: ResourceRequest) -> str | None:
    policy = parsed(request.get("policy"))
    rules = policy.get("rules") if isinstance(policy, Mapping) else None
    if policy is UNKNOWN:
        return None
    whole = {"rulePriority", "selection", "action"}
    if rules and all(isinstance(rule, Mapping) and whole <= rule.keys() for rule in rules):
        return None
    return (
        "InvalidParameterException: Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: "
        "'Lifecycle policy validation failure: rules need rulePriority, selection and action'"
    )


def _days(rule: Any) -> list[Any]:
    found = [rule.get("expiration", {}).get("days"), rule.get("noncurrentVersionExpiration", {}).get("noncurrentDays")]
    return [days for days in found if days is not None]


def _of_bucket(
    type_: str, *rules: Rule, required: tuple[str, ...] = (), state_rules: tuple[Rule, ...] = ()
) -> ResourceModel:
    """One of a bucket's settings, which the provider keeps as resources of their own."""
    return ResourceModel(
        type_,
        id=lambda request: str(request.get("bucket")),
        required=("bucket", *required),
        replace_on_changes=("bucket",),
        rules=rules,
        state_rules=(_NO_BUCKET, *state_rules),
    )


MODELS = (
    ResourceModel(
        BUCKET,
        id=lambda request: str(request.get("bucket")),
        outputs={
            "arn": "arn:aws:s3:::{bucket}",
            "bucketDomainName": "{bucket}.s3.amazonaws.com",
            "bucketRegionalDomainName": "{bucket}.s3.{region}.amazonaws.com",
            "region": "{region}",
        },
        required=("bucket",),
        replace_on_changes=("bucket", "objectLockEnabled"),
        rules=(_bucket_name,),
    ),
    _of_bucket(_ACCESS_BLOCK),
    _of_bucket(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        _key_fits_algorithm,
        required=("rules",),
    ),
    _of_bucket(
        "aws:s3/bucketVersioning:BucketVersioning",
        one_of(
            "versioningConfiguration.status",
            ("Enabled", "Suspended", "Disabled"),
            "expected versioning_configuration.0.status to be one of [Enabled Suspended Disabled], got {value}",
        ),
        required=("versioningConfiguration.status",),
    ),
    _of_bucket(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        each(
            "rules",
            lambda rule: any(days == 0 for days in _days(rule)),
            "InvalidArgument: 'Days' for Expiration action must be a positive integer",
        ),
        required=("rules",),
    ),
    _of_bucket(
        BUCKET_POLICY,
        is_json("policy", "MalformedPolicy: Policies must be valid JSON and the first byte must be '{'"),
        _policy_is_about_bucket,
        required=("policy",),
        state_rules=(_policy_is_not_public,),
    ),
    ResourceModel(
        _REPOSITORY,
        id=physical,
        outputs={
            "arn": lambda request: request.fill(arn("ecr", "repository/")) + physical(request),
            "registryId": "{account}",
            "repositoryUrl": lambda request: (
                request.fill("{account}.dkr.ecr.{region}.amazonaws.com/") + physical(request)
            ),
        },
        required=("name",),
        replace_on_changes=("name", "encryptionConfigurations"),
        rules=(
            matches(
                "name",
                _REPOSITORY_NAME,
                "InvalidParameterException: Invalid parameter at 'repositoryName' failed to satisfy constraint: "
                "'must satisfy regular expression " + _REPOSITORY_NAME.replace("{", "{{").replace("}", "}}") + "'",
            ),
            one_of(
                "imageTagMutability",
                ("MUTABLE", "IMMUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"),
                "expected image_tag_mutability to be one of [MUTABLE IMMUTABLE ...], got {value}",
            ),
        ),
    ),
    ResourceModel(
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        # AWS knows it by its repository's name; here that would be taken for the repository itself.
        id=lambda request: f"{request.get('repository')}:lifecycle",
        outputs={"registryId": "{account}"},
        required=("repository", "policy"),
        replace_on_changes=("repository", "policy"),
        rules=(_lifecycle_policy,),
        state_rules=(
            exists(
                "repository",
                _REPOSITORY,
                "RepositoryNotFoundException: The repository with name '{value}' does not exist in the registry",
            ),
        ),
    ),
)
