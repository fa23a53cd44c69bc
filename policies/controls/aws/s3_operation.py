"""Amazon S3: access logs, and the deletion of old objects."""

from collections.abc import Iterator, Mapping
from typing import Any

from kernel.paths import each_value, look_up
from kernel.values import ABSENT, UNKNOWN, Truth, all_hold, any_holds, as_list
from policies.controls.tags import EXEMPT, is_exempt
from policies.engine.expectations import IS_FALSE, any_matches, expect, expect_set, fail_if_all
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control, stack_control
from policies.engine.stack import Resource, Stack, StackFindings, expect_companion, of_type

BUCKET = "aws:s3/bucket:Bucket"
LOGGING = "aws:s3/bucketLogging:BucketLogging"
# Buckets in a single zone, for vectors and for tables.
OTHER_BUCKETS = (
    "aws:s3/directoryBucket:DirectoryBucket",
    "aws:s3/vectorsVectorBucket:VectorsVectorBucket",
    "aws:s3tables/tableBucket:TableBucket",
)
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"


@stack_control(
    "aws-s3-access-logging",
    title="Access to buckets is logged",
    severity="medium",
    types=(BUCKET,),
    remedy="declare a BucketLogging for the bucket with a targetBucket",
    references=("CKV_AWS_18", "FSBP S3.9", "AWS-0089"),
)
def access_logging(stack: Stack) -> StackFindings:
    logs = of_type(stack, LOGGING)
    # A bucket that receives the logs of others would log the delivery of its own logs.
    buckets = [
        bucket
        for bucket in of_type(stack, BUCKET)
        if not any(log.refers_to(bucket, "targetBucket") is True for log in logs)
        and list(expect_set(bucket.props, "logging.targetBucket", "access is not recorded"))
    ]
    missing = "the bucket must have a BucketLogging"
    yield from expect_companion(buckets, logs, "bucket", missing, _expect_target)


def _expect_target(log: Resource) -> Findings:
    yield from expect_set(log.props, "targetBucket", "access is not recorded")


@stack_control(
    "aws-s3-lifecycle",
    title="Buckets have a lifecycle configuration",
    severity="low",
    types=(BUCKET,),
    remedy="declare a BucketLifecycleConfiguration for the bucket with a rule whose status is Enabled",
    references=("CKV2_AWS_61", "FSBP S3.13"),
)
def lifecycle(stack: Stack) -> StackFindings:
    inline = "lifecycleRules[*].enabled"
    buckets = [
        bucket
        for bucket in of_type(stack, BUCKET)
        if any_matches(_values_at(bucket.props, inline), lambda enabled: enabled is True) is not True
    ]
    missing = "the bucket must have a BucketLifecycleConfiguration"
    yield from expect_companion(buckets, of_type(stack, LIFECYCLE), "bucket", missing, _expect_enabled_rule)


def _expect_enabled_rule(companion: Resource) -> Findings:
    enabled = any_matches(_values_at(companion.props, "rules[*].status"), lambda status: status == "Enabled")
    if enabled is UNKNOWN:
        yield Undecided(f"{companion.name}.rules")
    elif not enabled:
        yield f"the lifecycle {companion.name} must have a rule that is enabled"


def _values_at(props: Props, path: str) -> Iterator[Any]:
    return (value for _, value in each_value(props, path))


@control(
    "aws-s3-incomplete-uploads",
    title="Incomplete uploads are deleted",
    severity="low",
    types=(LIFECYCLE,),
    remedy="set abortIncompleteMultipartUpload.daysAfterInitiation in a rule for the whole bucket that is Enabled",
    references=("CKV_AWS_300",),
)
def incomplete_uploads(props: Props) -> Findings:
    aborted = any_holds(map(_aborts_uploads, as_list(look_up(props, "rules"))))
    problem = "must have an enabled rule that aborts incomplete uploads, otherwise they are paid for indefinitely"
    yield from fail_if_all("rules", [UNKNOWN if aborted is UNKNOWN else not aborted], problem)


def _aborts_uploads(rule: Any) -> Truth:
    def is_days(value: Any) -> bool:
        return isinstance(value, int | float) and value is not True and value > 0

    prefixes = [each for path in ("prefix", "filter.prefix", "filter.and.prefix") for each in _values_at(rule, path)]
    return all_hold(
        (
            any_matches([look_up(rule, "status")], lambda status: status == "Enabled"),
            any_matches([look_up(rule, "abortIncompleteMultipartUpload.daysAfterInitiation")], is_days),
            all_hold(any_matches([each], lambda prefix: prefix in (ABSENT, "")) for each in prefixes),
        )
    )


@control(
    "aws-s3-force-destroy",
    title="Buckets with objects are not deleted",
    severity="medium",
    types=(BUCKET, *OTHER_BUCKETS),
    remedy="leave forceDestroy unset or set it to false",
    settings={"exemptEnvironments": EXEMPT},
)
def force_destroy(props: Props, settings: Mapping[str, Any]) -> Findings:
    if is_exempt(props, settings["exemptEnvironments"]):
        return
    path = "forceDestroy"
    yield from expect(props, path, IS_FALSE, "pulumi destroy deletes every object too", absent_passes=True)
