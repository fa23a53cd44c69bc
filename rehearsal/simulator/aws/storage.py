"""Amazon S3 buckets and ECR image repositories."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from typing import Any

from kernel.iam import statements
from kernel.paths import look_up
from kernel.values import UNKNOWN, as_list
from rehearsal.simulator.aws.naming import auto_named
from rehearsal.simulator.aws.rules import arn_template, get_name
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest, Rule, Transition
from rehearsal.simulator.core.rules import (
    matches,
    one_of,
    parse_json,
    refuse_items_when,
    require_any,
    require_existing,
    require_json,
)
from rehearsal.simulator.core.transitions import refuse_change_when

BUCKET, BUCKET_POLICY = "aws:s3/bucket:Bucket", "aws:s3/bucketPolicy:BucketPolicy"
_ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
_REPOSITORY = "aws:ecr/repository:Repository"
# Source: https://docs.aws.amazon.com/sdk-for-python/v4/reference/clients/s3/errors/NoSuchBucket/
_REQUIRE_BUCKET = require_existing("bucket", BUCKET, "NoSuchBucket: The specified bucket does not exist: {value}")

# Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
_REPOSITORY_NAME = r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*"


def _check_bucket_name(request: ResourceRequest) -> str | None:
    """Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
    name = request.get("bucket", UNKNOWN)
    if name is UNKNOWN:
        return None
    is_well_formed = re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name) and ".." not in name
    is_reserved = name.startswith(("xn--", "sthree-", "amzn-s3-demo-")) or name.endswith(("-s3alias", "--ol-s3"))
    try:
        ipaddress.IPv4Address(name)
        is_reserved = True
    except ValueError:
        pass
    return (
        None if is_well_formed and not is_reserved else f"InvalidBucketName: The specified bucket is not valid: {name}"
    )


def _check_policy_resources(request: ResourceRequest) -> str | None:
    bucket = request.get("bucket", UNKNOWN)
    if bucket is UNKNOWN:
        return None
    bucket_arn = f"arn:aws:s3:::{bucket}"
    for statement in statements(request.get("policy")):
        if any(
            resource != bucket_arn and not resource.startswith(f"{bucket_arn}/") for resource in statement.resources
        ):
            return "MalformedPolicy: Policy has invalid resource"
        if not statement.has("Principal"):
            return "MalformedPolicy: Missing required field Principal"
    return None


# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
def _refuse_public_policy(request: ResourceRequest) -> str | None:
    blocks = (
        block for block in request.state.all(_ACCESS_BLOCK) if block.inputs.get("bucket") == request.get("bucket")
    )
    if not any(block.inputs.get("blockPublicPolicy") for block in blocks):
        return None
    for statement in statements(request.get("policy")):
        if statement.is_allow and "*" in statement.principals("AWS") and not statement.conditions:
            return (
                "AccessDenied: User is not authorized to perform: s3:PutBucketPolicy because public policies are "
                "blocked by the BlockPublicPolicy block public access setting."
            )
    return None


def _check_encryption_key(request: ResourceRequest) -> str | None:
    for rule in as_list(request.get("rules", [])):
        default = rule.get("applyServerSideEncryptionByDefault") if isinstance(rule, Mapping) else None
        if isinstance(default, Mapping) and default.get("sseAlgorithm") == "AES256" and "kmsMasterKeyId" in default:
            return "InvalidArgument: a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms"
    return None


# Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
def _check_image_lifecycle(request: ResourceRequest) -> str | None:
    policy = parse_json(request.get("policy"))
    rules = policy.get("rules") if isinstance(policy, Mapping) else None
    if policy is UNKNOWN:
        return None
    required = {"rulePriority", "selection", "action"}
    if rules and all(isinstance(rule, Mapping) and required <= rule.keys() for rule in rules):
        return None
    return (
        "InvalidParameterException: Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: "
        "'Lifecycle policy validation failure: rules need rulePriority, selection and action'"
    )


def _list_days(rule: Any) -> list[Any]:
    paths = ("expiration.days", "noncurrentVersionExpiration.noncurrentDays")
    return [days for days in (look_up(rule, path, None) for path in paths) if days is not None]


def _copies_undecrypted(rule: Any) -> bool:
    key = look_up(rule, "destination.encryptionConfiguration.replicaKmsKeyId", None)
    known = key is not None and key is not UNKNOWN
    return known and look_up(rule, "sourceSelectionCriteria.sseKmsEncryptedObjects.status", None) is None


def _require_versions(request: ResourceRequest) -> str | None:
    """Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-requirements.html"""
    versioned = {
        f"arn:aws:s3:::{each.inputs.get('bucket')}"
        for each in request.state.all(_VERSIONING)
        if look_up(each.inputs, "versioningConfiguration.status", None) == "Enabled"
    }
    if f"arn:aws:s3:::{request.get('bucket')}" not in versioned:
        return "InvalidRequest: Versioning must be 'Enabled' on the bucket to apply a replication configuration"
    targets = {look_up(rule, "destination.bucket", UNKNOWN) for rule in as_list(request.get("rules", []))}
    if targets - versioned - {UNKNOWN}:
        return "InvalidRequest: Destination bucket must have versioning enabled."
    return None


def _bucket_setting(
    type_: str,
    *rules: Rule,
    required: tuple[str, ...] = (),
    transitions: Collection[Transition] = UNRESTRICTED,
    state_rules: tuple[Rule, ...] = (),
) -> ResourceModel:
    """A setting of a bucket that the provider models as a separate resource."""
    return ResourceModel(
        type_,
        id=lambda request: str(request.get("bucket")),
        required=("bucket", *required),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/s3/bucket_lifecycle_configuration.go
        # https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/s3/bucket_policy.go
        # https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/s3/bucket_public_access_block.go
        # https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/s3/bucket_replication_configuration.go
        # https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/s3/bucket_server_side_encryption_configuration.go
        # https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/s3/bucket_versioning.go
        replace_on_changes=("bucket",),
        transitions=transitions,
        rules=rules,
        state_rules=(_REQUIRE_BUCKET, *state_rules),
    )


MODELS = (
    ResourceModel(
        BUCKET,
        id=lambda request: str(request.get("bucket")),
        outputs={
            "arn": "arn:aws:s3:::{bucket}",
            "bucketDomainName": "{bucket}.s3.amazonaws.com",
            "bucketRegionalDomainName": "{bucket}.s3.{region}.amazonaws.com",
        },
        defaults=auto_named("bucket", max_length=63, prefix_path="bucketPrefix", transform=str.lower),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/s3/bucket.go
        replace_on_changes=("bucket", "objectLockEnabled"),
        transitions=UNRESTRICTED,
        rules=(_check_bucket_name,),
    ),
    _bucket_setting(_ACCESS_BLOCK),
    _bucket_setting(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        _check_encryption_key,
        required=("rules",),
    ),
    _bucket_setting(
        _VERSIONING,
        one_of(
            "versioningConfiguration.status",
            ("Enabled", "Suspended", "Disabled"),
            "expected versioning_configuration.0.status to be one of [Enabled Suspended Disabled], got {value}",
        ),
        required=("versioningConfiguration.status",),
        transitions=(
            # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/s3/bucket_versioning.go
            refuse_change_when(
                "versioningConfiguration.status",
                lambda _, new: bool(new == "Disabled"),
                "versioning_configuration.status cannot be updated from '{old}' to '{new}'",
            ),
        ),
    ),
    _bucket_setting(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        refuse_items_when(
            "rules",
            lambda rule: any(days == 0 for days in _list_days(rule)),
            "InvalidArgument: 'Days' for Expiration action must be a positive integer",
        ),
        require_any(
            ["rules"],
            "MalformedXML: The XML you provided was not well-formed or did not validate against our published schema",
        ),
    ),
    _bucket_setting(
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
        refuse_items_when(
            "rules",
            _copies_undecrypted,
            "InvalidRequest: SseKmsEncryptedObjects must be specified if EncryptionConfiguration is present.",
        ),
        required=("role", "rules"),
        state_rules=(_require_versions,),
    ),
    _bucket_setting(
        BUCKET_POLICY,
        require_json("policy", "MalformedPolicy: Policies must be valid JSON and the first byte must be '{'"),
        _check_policy_resources,
        required=("policy",),
        state_rules=(_refuse_public_policy,),
    ),
    ResourceModel(
        _REPOSITORY,
        id=get_name,
        outputs={
            "arn": lambda request: request.fill(arn_template("ecr", "repository/")) + get_name(request),
            "registryId": "{account}",
            "repositoryUrl": lambda request: (
                request.fill("{account}.dkr.ecr.{region}.amazonaws.com/") + get_name(request)
            ),
        },
        defaults=auto_named(prefix_path=""),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ecr/repository.go
        replace_on_changes=("name", "encryptionConfigurations"),
        transitions=UNRESTRICTED,
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
        # The provider's ID is the repository's name, but an ID must be unique among all resources here.
        id=lambda request: f"{request.get('repository')}:lifecycle",
        outputs={"registryId": "{account}"},
        required=("repository", "policy"),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ecr/lifecycle_policy.go
        replace_on_changes=("repository", "policy"),
        transitions=UNRESTRICTED,
        rules=(_check_image_lifecycle,),
        state_rules=(
            # Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutLifecyclePolicy.html
            require_existing(
                "repository",
                _REPOSITORY,
                "RepositoryNotFoundException: The repository with name '{value}' does not exist in the registry",
            ),
        ),
    ),
)
