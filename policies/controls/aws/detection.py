"""Detection of attacks in an AWS account: GuardDuty, and trails that CloudWatch reads."""

from kernel.paths import look_up
from kernel.values import UNKNOWN, Truth, all_hold, any_holds
from policies.engine.expectations import IS_TRUE, any_matches, expect, expect_set
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control, stack_control
from policies.engine.stack import Resource, Stack, StackFindings, of_type

DETECTOR = "aws:guardduty/detector:Detector"
FEATURE = "aws:guardduty/detectorFeature:DetectorFeature"
TRAIL = ("aws:cloudtrail/trail:Trail",)


@control(
    "aws-guardduty-enabled",
    title="GuardDuty's detectors are switched on",
    severity="high",
    types=(DETECTOR,),
    remedy="leave enable unset or set it to true",
    references=("CKV_AWS_238", "FSBP GuardDuty.1"),
)
def enabled(props: Props) -> Findings:
    yield from expect(props, "enable", IS_TRUE, "attacks remain unnoticed", absent_passes=True)


@stack_control(
    "aws-guardduty-eks-audit-logs",
    title="GuardDuty reads the audit logs of EKS",
    severity="high",
    types=(DETECTOR,),
    remedy="declare a DetectorFeature named EKS_AUDIT_LOGS for the detector with status ENABLED",
    references=("FSBP GuardDuty.5",),
)
def eks_audit_logs(stack: Stack) -> StackFindings:
    yield from _expect_feature(stack, "EKS_AUDIT_LOGS", "datasources.kubernetes.auditLogs.enable")


@stack_control(
    "aws-guardduty-s3",
    title="GuardDuty monitors access to buckets",
    severity="medium",
    types=(DETECTOR,),
    remedy="declare a DetectorFeature named S3_DATA_EVENTS for the detector with status ENABLED",
    references=("FSBP GuardDuty.10",),
)
def s3_protection(stack: Stack) -> StackFindings:
    yield from _expect_feature(stack, "S3_DATA_EVENTS", "datasources.s3Logs.enable")


@stack_control(
    "aws-guardduty-runtime",
    title="GuardDuty monitors processes on nodes and in containers",
    severity="medium",
    types=(DETECTOR,),
    remedy="declare a DetectorFeature named RUNTIME_MONITORING for the detector with status ENABLED",
    references=("FSBP GuardDuty.11",),
)
def runtime_monitoring(stack: Stack) -> StackFindings:
    yield from _expect_feature(stack, "RUNTIME_MONITORING", "")


def _expect_feature(stack: Stack, feature: str, source: str) -> StackFindings:
    """Require a feature of every detector, as a separate resource or as the older property at `source`."""
    features = of_type(stack, FEATURE)
    for detector in of_type(stack, DETECTOR):
        older = any_matches([look_up(detector.props, source)] if source else [], lambda value: value is True)
        found = any_holds([older, *(_enables(each, feature, detector) for each in features)])
        if found is UNKNOWN:
            yield detector, Undecided(f"feature {feature}")
        elif not found:
            yield detector, f"the detector must have the feature {feature}"


def _enables(resource: Resource, feature: str, detector: Resource) -> Truth:
    belongs = resource.refers_to(detector, "detectorId")
    return all_hold(
        (
            UNKNOWN if isinstance(belongs, Undecided) else belongs,
            any_matches([look_up(resource.props, "name")], lambda name: name == feature),
            any_matches([look_up(resource.props, "status")], lambda status: status == "ENABLED"),
        )
    )


@control(
    "aws-cloudtrail-log-group",
    title="Trails send their events to CloudWatch",
    severity="medium",
    types=TRAIL,
    remedy="set cloudWatchLogsGroupArn, with cloudWatchLogsRoleArn",
    references=("CKV2_AWS_10", "FSBP CloudTrail.5", "AWS-0162"),
)
def trail_log_group(props: Props) -> Findings:
    yield from expect_set(props, "cloudWatchLogsGroupArn", "alarms cannot react to activity")
