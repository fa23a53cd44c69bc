"""Amazon SNS and SQS: encryption, and who may publish and read."""

from policies.controls.aws.customer_keys import expect_customer_key
from policies.controls.aws.policy_statements import check_statements, trusts_everyone
from policies.engine.expectations import IS_TRUE, expect, expect_set, pass_if_any
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

TOPIC = ("aws:sns/topic:Topic",)
TOPIC_POLICY = ("aws:sns/topicPolicy:TopicPolicy",)
QUEUE = ("aws:sqs/queue:Queue",)
QUEUE_POLICY = ("aws:sqs/queuePolicy:QueuePolicy",)


@control(
    "aws-sns-kms",
    title="Topics are encrypted with a customer-managed key",
    severity="medium",
    types=TOPIC,
    remedy="set kmsMasterKeyId to a key of the account",
    references=("CKV_AWS_26", "AWS-0136"),
)
def topic_kms(props: Props) -> Findings:
    yield from expect_customer_key(props, "kmsMasterKeyId", "messages are not encrypted with a key of the account")


@control(
    "aws-sns-policy-principal",
    title="Topic policies do not trust everyone",
    severity="critical",
    types=TOPIC + TOPIC_POLICY,
    remedy="name the accounts, roles or services in the policy's Principal",
    references=("CKV_AWS_169",),
)
def topic_principal(props: Props) -> Findings:
    yield from check_statements(props, "policy", trusts_everyone)


@control(
    "aws-sqs-encryption",
    title="Queues are encrypted",
    severity="medium",
    types=QUEUE,
    remedy="set sqsManagedSseEnabled to true, or kmsMasterKeyId",
    references=("CKV_AWS_27", "FSBP SQS.1", "AWS-0096"),
)
def queue_encryption(props: Props) -> Findings:
    risk = "messages are not encrypted"
    # Any key is accepted, also AWS's own.
    key = expect_set(props, "kmsMasterKeyId", risk)
    yield from pass_if_any([key, expect(props, "sqsManagedSseEnabled", IS_TRUE, risk)])


@control(
    "aws-sqs-policy-principal",
    title="Queue policies do not trust everyone",
    severity="critical",
    types=QUEUE + QUEUE_POLICY,
    remedy="name the accounts, roles or services in the policy's Principal",
    references=("CKV_AWS_168", "FSBP SQS.3"),
)
def queue_principal(props: Props) -> Findings:
    yield from check_statements(props, "policy", trusts_everyone)
