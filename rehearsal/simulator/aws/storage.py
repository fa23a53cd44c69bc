"""Where files lie: Amazon S3, and ECR for images."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from rehearsal.simulator.aws.rules import arn, each, exists, is_json, items, parsed, physical, principals, statements
from rehearsal.simulator.core.resource_model import Draft, Model, Rule, matches, one_of
from rehearsal.simulator.core.values import UNKNOWN

BUCKET, BUCKET_POLICY = "aws:s3/bucket:Bucket", "aws:s3/bucketPolicy:BucketPolicy"
_ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_REPOSITORY = "aws:ecr/repository:Repository"
_NO_BUCKET = exists("bucket", BUCKET, "NoSuchBucket: The specified bucket does not exist: {value}")

# Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
_REPOSITORY_NAME = r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*"


def _bucket_name(draft: Draft) -> str | None:
    """Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
    name = draft.get("bucket", UNKNOWN)
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


def _policy_is_about_bucket(draft: Draft) -> str | None:
    bucket = draft.get("bucket", UNKNOWN)
    if bucket is UNKNOWN:
        return None
    own = f"arn:aws:s3:::{bucket}"
    for statement in statements(draft.get("policy")):
        if any(resource != own and not resource.startswith(f"{own}/") for resource in items(statement.get("Resource"))):
            return "MalformedPolicy: Policy has invalid resource"
        if "Principal" not in statement:
            return "MalformedPolicy: Missing required field Principal"
    return None


def _policy_is_not_public(draft: Draft) -> str | None:
    blocks = (block for block in draft.world.all(_ACCESS_BLOCK) if block.inputs.get("bucket") == draft.get("bucket"))
    if not any(block.inputs.get("blockPublicPolicy") for block in blocks):
        return None
    for statement in statements(draft.get("policy")):
        anybody = "*" in principals(statement, "AWS")
        if statement.get("Effect") == "Allow" and anybody and not statement.get("Condition"):
            return (
                "AccessDenied: User is not authorized to perform: s3:PutBucketPolicy because public policies are "
                "blocked by the BlockPublicPolicy block public access setting."
            )
    return None


def _key_fits_algorithm(draft: Draft) -> str | None:
    for rule in items(draft.get("rules", [])):
        default = rule.get("applyServerSideEncryptionByDefault") if isinstance(rule, Mapping) else None
        if isinstance(default, Mapping) and default.get("sseAlgorithm") == "AES256" and "kmsMasterKeyId" in default:
            return "InvalidArgument: a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms"
    return None


def _lifecycle_policy(draft: Draft) -> str | None:
    policy = parsed(draft.get("policy"))
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


def _of_bucket(type_: str, *rules: Rule, required: tuple[str, ...] = (), live: tuple[Rule, ...] = ()) -> Model:
    """One of a bucket's settings, which the provider keeps as resources of their own."""
    return Model(
        type_,
        id=lambda draft: str(draft.get("bucket")),
        required=("bucket", *required),
        replaces=("bucket",),
        rules=rules,
        live=(_NO_BUCKET, *live),
    )


MODELS = (
    Model(
        BUCKET,
        id=lambda draft: str(draft.get("bucket")),
        outputs={
            "arn": "arn:aws:s3:::{bucket}",
            "bucketDomainName": "{bucket}.s3.amazonaws.com",
            "bucketRegionalDomainName": "{bucket}.s3.{region}.amazonaws.com",
            "region": "{region}",
        },
        required=("bucket",),
        replaces=("bucket", "objectLockEnabled"),
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
        live=(_policy_is_not_public,),
    ),
    Model(
        _REPOSITORY,
        id=physical,
        outputs={
            "arn": lambda draft: draft.fill(arn("ecr", "repository/")) + physical(draft),
            "registryId": "{account}",
            "repositoryUrl": lambda draft: draft.fill("{account}.dkr.ecr.{region}.amazonaws.com/") + physical(draft),
        },
        required=("name",),
        replaces=("name", "encryptionConfigurations"),
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
    Model(
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        # AWS knows it by its repository's name; here that would be taken for the repository itself.
        id=lambda draft: f"{draft.get('repository')}:lifecycle",
        outputs={"registryId": "{account}"},
        required=("repository", "policy"),
        replaces=("repository", "policy"),
        rules=(_lifecycle_policy,),
        live=(
            exists(
                "repository",
                _REPOSITORY,
                "RepositoryNotFoundException: The repository with name '{value}' does not exist in the registry",
            ),
        ),
    ),
)
