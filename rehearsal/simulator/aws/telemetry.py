"""CloudWatch logs, SNS, CloudTrail and VPC flow logs."""

from __future__ import annotations

from kernel.iam import allows
from kernel.values import UNKNOWN
from rehearsal.simulator.aws.naming import auto_named
from rehearsal.simulator.aws.rules import arn_template, get_name, key_allows, require_trust
from rehearsal.simulator.aws.storage import BUCKET, BUCKET_POLICY
from rehearsal.simulator.core.remains import ByProduct, is_account_used
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import matches, one_of, refuse_when, require_existing, require_unique

LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"


# As documented at https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html;
# 0 is the provider's value for keeping logs forever.
_RETENTION_DAYS = (
    *(0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


def _build_group_arn(request: ResourceRequest) -> str:
    return request.fill(arn_template("logs", "log-group:")) + get_name(request)


# Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html; of the message:
# https://github.com/hashicorp/terraform-provider-aws/issues/29282
def _check_log_key(request: ResourceRequest) -> str | None:
    key, service = request.get("kmsKeyId"), f"logs.{request.account['region']}.amazonaws.com"
    if key is None or key_allows(request, key, "Service", service, "kms:GenerateDataKey"):
        return None
    return (
        "AccessDeniedException: The specified KMS key does not exist or is not allowed to be used with Arn "
        f"'{_build_group_arn(request)}'"
    )


# Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
def _check_trail_bucket(request: ResourceRequest) -> str | None:
    bucket = request.get("s3BucketName")
    policies = (found.inputs.get("policy") for found in request.state.all(BUCKET_POLICY) if found.id == bucket)
    service = "cloudtrail.amazonaws.com"
    for policy in policies:
        if all(allows(policy, "Service", service, action) is True for action in ("s3:GetBucketAcl", "s3:PutObject")):
            return None
    return f"InsufficientS3BucketPolicyException: Incorrect S3 bucket policy is detected for bucket: {bucket}"


# Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html
def _check_trail_key(request: ResourceRequest) -> str | None:
    key = request.get("kmsKeyId")
    if key is None or key_allows(request, key, "Service", "cloudtrail.amazonaws.com", "kms:GenerateDataKey"):
        return None
    return (
        "InsufficientEncryptionPolicyException: Insufficient permissions to access S3 bucket "
        f"{request.get('s3BucketName')} or KMS key {key}."
    )


# Source: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html
def _check_trail_logs(request: ResourceRequest) -> str | None:
    group, role = request.get("cloudWatchLogsGroupArn"), request.get("cloudWatchLogsRoleArn")
    if group not in (None, UNKNOWN) and not group.endswith(":*"):
        return (
            "InvalidCloudWatchLogsLogGroupArnException: CloudTrail cannot validate the specified log group ARN: "
            f"{group} must end in ':*'"
        )
    if (group is None) != (role is None):
        return (
            "InvalidParameterCombinationException: You must specify a role ARN for CloudWatch Logs together with a "
            "log group ARN"
        )
    return None


# EKS and RDS write the last logs of a deleted resource after its log group was deleted, and create it again.
# Source: https://github.com/terraform-aws-modules/terraform-aws-eks/issues/2763
_LATE_LOGS = ByProduct(
    LOG_GROUP,
    get_name,
    lambda request: {"name": get_name(request)},
    {"arn": _build_group_arn},
    lambda request: is_account_used(request) and get_name(request).startswith(("/aws/eks/", "/aws/rds/")),
)

MODELS = (
    ResourceModel(
        LOG_GROUP,
        id=get_name,
        outputs={"arn": _build_group_arn},
        defaults=auto_named(),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/logs/group.go
        replace_on_changes=("name", "logGroupClass"),
        deletion_by_products=(_LATE_LOGS,),
        transitions=UNRESTRICTED,
        rules=(
            matches(
                "name",
                r"[.\-_/#A-Za-z0-9]{1,512}",
                "InvalidParameterException: 1 validation error detected: Value '{value}' at 'logGroupName' failed to "
                "satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+",
            ),
            one_of(
                "retentionInDays",
                _RETENTION_DAYS,
                f"expected retention_in_days to be one of {list(_RETENTION_DAYS)}, got {{value}}",
            ),
        ),
        state_rules=(_check_log_key,),
    ),
    ResourceModel(
        "aws:sns/topic:Topic",
        id=lambda request: request.fill(arn_template("sns", "")) + get_name(request),
        outputs={"arn": "{id}", "owner": "{account}"},
        defaults=auto_named(
            max_length=80, complete=lambda request, name: f"{name}.fifo" if request.get("fifoTopic") is True else name
        ),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/sns/topic.go
        replace_on_changes=("name", "fifoTopic"),
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
            matches(
                "name", r"[A-Za-z0-9_-]{1,256}(\.fifo)?", "InvalidParameter: Invalid parameter: Topic Name {value}"
            ),
        ),
    ),
    ResourceModel(
        "aws:sns/topicSubscription:TopicSubscription",
        id=lambda request: f"{request.get('topic')}:{request.uuid()}",
        outputs={"arn": "{id}", "ownerId": "{account}", "pendingConfirmation": lambda _: True},
        required=("topic", "protocol", "endpoint"),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/sns/topic_subscription.go
        replace_on_changes=("topic", "protocol", "endpoint"),
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
            one_of(
                "protocol",
                ("application", "email", "email-json", "firehose", "http", "https", "lambda", "sms", "sqs"),
                "expected protocol to be one that SNS knows, got {value}",
            ),
        ),
    ),
    ResourceModel(
        "aws:cloudtrail/trail:Trail",
        id=lambda request: request.fill(arn_template("cloudtrail", "trail/")) + get_name(request),
        outputs={"arn": "{id}", "homeRegion": "{region}"},
        required=("s3BucketName",),
        defaults=auto_named(prefix_path=""),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/cloudtrail/trail.go
        replace_on_changes=("name",),
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html
            matches(
                "name",
                r"[A-Za-z0-9]([._-]?[A-Za-z0-9]){2,127}",
                "InvalidTrailNameException: Trail name {value} must have 3 to 128 letters, digits, periods, "
                "underscores or dashes, begin and end with a letter or digit, and have no two of the others in a row",
            ),
            _check_trail_logs,
        ),
        state_rules=(
            # Source: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html
            require_existing(
                "s3BucketName", BUCKET, "S3BucketDoesNotExistException: S3 bucket {value} does not exist!"
            ),
            _check_trail_bucket,
            _check_trail_key,
            # Source: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html
            require_trust(
                "cloudWatchLogsRoleArn",
                "cloudtrail.amazonaws.com",
                "InvalidCloudWatchLogsRoleArnException: Access denied. Check the trust relationships for your role.",
            ),
        ),
    ),
    ResourceModel(
        "aws:ec2/flowLog:FlowLog",
        id="fl-{hex:17}",
        outputs={"arn": arn_template("ec2", "vpc-flow-log/{id}")},
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/vpc_flow_log.go
        replace_on_changes=(
            "vpcId",
            "trafficType",
            "logDestination",
            "logDestinationType",
            "iamRoleArn",
            "maxAggregationInterval",
            "logFormat",
        ),
        transitions=UNRESTRICTED,
        rules=(
            one_of("trafficType", ("ACCEPT", "REJECT", "ALL"), "expected traffic_type to be valid, got {value}"),
            # Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html
            one_of("maxAggregationInterval", (60, 600), "expected max_aggregation_interval to be one of [60 600]"),
            # Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html
            refuse_when(
                lambda request: (
                    request.get("logDestinationType", "cloud-watch-logs") == "cloud-watch-logs"
                    and request.get("iamRoleArn") is None
                ),
                "InvalidParameter: DeliverLogsPermissionArn can't be empty if LogDestinationType is cloud-watch-logs.",
            ),
        ),
        state_rules=(
            # Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html (FlowLogAlreadyExists)
            require_unique(
                ["vpcId", "trafficType", "logDestination"],
                "FlowLogAlreadyExists: Error. There is an existing Flow Log with the same configuration and log "
                "destination.",
            ),
        ),
    ),
)
