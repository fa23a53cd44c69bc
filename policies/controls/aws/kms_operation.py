"""AWS KMS: keys are not lost, and their policies are explicit."""

from collections.abc import Mapping
from typing import Any

from kernel.paths import look_up
from kernel.values import UNKNOWN
from policies.engine.control import Setting
from policies.engine.expectations import IS_FALSE, at_least, expect, expect_set
from policies.engine.findings import Findings, Props
from policies.engine.registry import control, stack_control
from policies.engine.stack import Resource, Stack, StackFindings, expect_companion, of_type

KEY = "aws:kms/key:Key"
POLICY = "aws:kms/keyPolicy:KeyPolicy"
# A replica in another region, and a key with imported material, are deleted separately and have their own policies.
KEYS = (
    KEY,
    "aws:kms/replicaKey:ReplicaKey",
    "aws:kms/externalKey:ExternalKey",
    "aws:kms/replicaExternalKey:ReplicaExternalKey",
)


@control(
    "aws-kms-deletion-window",
    title="The deletion of a KMS key can be cancelled for long enough",
    severity="medium",
    types=KEYS,
    remedy="leave deletionWindowInDays unset or raise it",
    settings={"minDays": Setting({"type": "integer", "minimum": 7, "maximum": 30}, default=14)},
)
def deletion_window(props: Props, settings: Mapping[str, Any]) -> Findings:
    # KMS waits for 30 days if nothing is set.
    enough = at_least(settings["minDays"])
    risk = "data is lost before anybody notices that its key will be deleted"
    yield from expect(props, "deletionWindowInDays", enough, risk, absent_passes=True)


@control(
    "aws-kms-lockout-check",
    title="KMS rejects key policies that lock everybody out",
    severity="medium",
    types=(*KEYS, POLICY),
    remedy="leave bypassPolicyLockoutSafetyCheck unset or set it to false",
    references=("CRP:disallowBypassPolicyLockoutSafetyCheck",),
)
def lockout_check(props: Props) -> Findings:
    path = "bypassPolicyLockoutSafetyCheck"
    yield from expect(props, path, IS_FALSE, "a policy can make the key permanently unusable", absent_passes=True)


@stack_control(
    "aws-kms-policy",
    title="KMS keys have an explicit policy",
    severity="low",
    types=KEYS,
    remedy="set policy, or declare a KeyPolicy for the key",
    references=("CKV2_AWS_64",),
)
def policy(stack: Stack) -> StackFindings:
    keys = [key for key in of_type(stack, *KEYS) if not _has_policy(key)]
    missing = "the key must have a policy, otherwise IAM alone decides who uses it"
    yield from expect_companion(keys, of_type(stack, POLICY), "keyId", missing, _expect_policy)


def _has_policy(key: Resource) -> bool:
    value = look_up(key.props, "policy")
    return value is UNKNOWN or (isinstance(value, str) and value != "")


def _expect_policy(companion: Resource) -> Findings:
    yield from expect_set(companion.props, "policy", "IAM alone decides who uses the key")
