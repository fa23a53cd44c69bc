"""Amazon SQS queues, and the EventBridge rules that send to them."""

from __future__ import annotations

from kernel.values import UNKNOWN
from rehearsal.simulator.aws.naming import auto_named
from rehearsal.simulator.aws.rules import arn_template, get_name
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import (
    in_range,
    matches,
    refuse_when,
    refuse_while_used,
    require_any,
    require_existing,
    require_json,
)

_QUEUE, _RULE = "aws:sqs/queue:Queue", "aws:cloudwatch/eventRule:EventRule"
_TARGET = "aws:cloudwatch/eventTarget:EventTarget"
# Seconds. Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
_RETENTION = (60, 1_209_600)


def _has_two_keys(request: ResourceRequest) -> bool:
    """The provider's schema refuses both: https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/sqs_queue"""
    return request.get("sqsManagedSseEnabled") is True and request.get("kmsMasterKeyId") not in (None, UNKNOWN)


MODELS = (
    ResourceModel(
        _QUEUE,
        id=lambda request: request.fill("https://sqs.{region}.amazonaws.com/{account}/") + get_name(request),
        outputs={
            "arn": lambda request: request.fill(arn_template("sqs", "")) + get_name(request),
            "url": "{id}",
        },
        defaults=auto_named(
            max_length=80, complete=lambda request, name: f"{name}.fifo" if request.get("fifoQueue") is True else name
        ),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/sqs/queue.go
        replace_on_changes=("name", "fifoQueue"),
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
            matches(
                "name",
                r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo",
                "InvalidParameterValue: Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in "
                "length; got {value}",
            ),
            in_range(
                "messageRetentionSeconds",
                *_RETENTION,
                "expected message_retention_seconds to be in the range "
                f"({_RETENTION[0]} - {_RETENTION[1]}), got {{value}}",
            ),
            refuse_when(_has_two_keys, '"kms_master_key_id": conflicts with sqs_managed_sse_enabled'),
        ),
    ),
    ResourceModel(
        "aws:sqs/queuePolicy:QueuePolicy",
        # The provider's ID is the queue's URL, but an ID must be unique among all resources here.
        id=lambda request: f"{request.get('queueUrl')}:policy",
        required=("queueUrl", "policy"),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/sqs/queue_policy.go
        replace_on_changes=("queueUrl",),
        transitions=UNRESTRICTED,
        # Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
        rules=(require_json("policy", "InvalidAttributeValue: Invalid value for the parameter Policy."),),
        state_rules=(
            # Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
            require_existing(
                "queueUrl",
                _QUEUE,
                "AWS.SimpleQueueService.NonExistentQueue: The specified queue does not exist: {value}",
            ),
        ),
    ),
    ResourceModel(
        _RULE,
        id=get_name,
        outputs={"arn": lambda request: request.fill(arn_template("events", "rule/")) + get_name(request)},
        defaults=auto_named(max_length=64),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/events/rule.go
        replace_on_changes=("name", "eventBusName"),
        transitions=UNRESTRICTED,
        rules=(
            matches(
                "name",
                r"[.\-_A-Za-z0-9]{1,64}",
                "ValidationException: 1 validation error detected: Value '{value}' at 'name' failed to satisfy "
                "constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+",
            ),
            # Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
            require_any(
                ["eventPattern", "scheduleExpression"],
                "ValidationException: Parameter(s) EventPattern or ScheduleExpression must be specified.",
            ),
            # Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
            require_json("eventPattern", "InvalidEventPatternException: Event pattern is not valid."),
        ),
        delete_rules=(
            # Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteRule.html
            refuse_while_used(_TARGET, "rule", "ValidationException: Rule can't be deleted since it has targets."),
        ),
    ),
    ResourceModel(
        _TARGET,
        id=lambda request: f"{request.get('rule')}-{request.get('targetId')}",
        required=("rule", "arn"),
        defaults={"targetId": lambda request, old: old.get("targetId") or f"terraform-{request.hex(26)}"},
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/events/target.go
        replace_on_changes=("rule", "targetId", "eventBusName"),
        transitions=UNRESTRICTED,
        state_rules=(
            # Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html
            require_existing(
                "rule", _RULE, "ResourceNotFoundException: Rule {value} does not exist on EventBus default."
            ),
        ),
    ),
)
