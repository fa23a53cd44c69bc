"""The pack as the engine meets it: levels, unknowns, secrets, configuration, and the process itself.

Proves that what can't be decided only ever advises, that one unknown hides nothing, that secrets stay untold, that a
misspelt configuration is refused over the wire, and that `policies/` starts the way Pulumi starts it.
Does not prove what the engine does with the answers.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2_grpc

from policies.pack import configuration_complaints
from policies.services import controls, judge_manifest
from tests.unit.policies.cases_aws import BLOCK, BUCKET, allow, block
from tests.unit.policies.cases_aws_account import POLICY
from tests.unit.policies.cases_azure import CASES as AZURE
from tests.unit.policies.cases_azure import STORAGE
from tests.unit.policies.cases_kubernetes import CONFIG_MAP, RELEASE
from tests.unit.policies.harness import Res, U, analyze, diagnostics, secret, servicer

ROOT = Path(__file__).resolve().parents[3]


def test_undecided_advises_though_the_control_is_mandatory() -> None:
    _, subject = AZURE["azure-storage-anonymous-blobs"].unknown
    (told,) = diagnostics("azure-storage-anonymous-blobs", subject)
    assert told.enforcementLevel == proto.ADVISORY
    assert told.message.endswith("undecided until known: allowBlobPublicAccess")


def test_a_violation_beside_an_unknown_stays_mandatory() -> None:
    props = {"ingress": [U, {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["0.0.0.0/0"]}]}
    told = diagnostics("aws-vpc-admin-ports", [Res("aws:ec2/securityGroup:SecurityGroup", props)])
    assert [each.enforcementLevel for each in told] == [proto.MANDATORY, proto.ADVISORY]


def test_one_unknown_resource_hides_no_violation_of_another() -> None:
    stack = [
        Res(BUCKET, {"bucket": U}, "first"),
        Res(BLOCK, block(blockPublicAcls=U), "first-block", {"bucket": "first"}),
        Res(BUCKET, {"bucket": U}, "second"),
        Res(BLOCK, block(blockPublicAcls=False), "second-block", {"bucket": "second"}),
    ]
    violation, undecided = diagnostics("aws-s3-public-access-block", stack)
    assert violation.enforcementLevel == proto.MANDATORY
    assert violation.urn.endswith("::second")
    assert undecided.enforcementLevel == proto.ADVISORY
    assert "first: blockPublicAcls" in undecided.message


def test_a_container_is_named() -> None:
    pod = {"spec": {"containers": [{"name": "main"}, {"name": "proxy", "securityContext": {"privileged": True}}]}}
    (told,) = diagnostics("k8s-pod-privileged", [Res("kubernetes:core/v1:Pod", pod)])
    assert "spec.containers[1] (proxy): securityContext.privileged" in told.message


def test_a_whole_pack_says_nothing_of_a_type_it_does_not_know() -> None:
    assert analyze(servicer(controls()), Res("random:index/randomPassword:RandomPassword", {"length": 8})) == []


@pytest.mark.parametrize(
    ("control_id", "resource"),
    [
        ("k8s-helm-plain-secrets", Res(RELEASE, {"values": {"auth": {"password": secret("hunter2hunter2")}}})),
        ("k8s-helm-plain-secrets", Res(RELEASE, {"values": secret({"auth": {"password": "hunter2hunter2"}})})),
        ("k8s-config-map-secrets", Res(CONFIG_MAP, {"data": {"PASSWORD": secret("hunter2hunter2")}})),
        ("azure-storage-tls", Res(STORAGE, {"minimumTlsVersion": secret("hunter2hunter2")})),
        ("aws-iam-administrator", Res(POLICY, {"policy": secret(allow("*", Sid="hunter2hunter2"))})),
    ],
)
def test_secrets_are_judged_and_never_told(control_id: str, resource: Res) -> None:
    (told,) = diagnostics(control_id, [resource])
    assert told.enforcementLevel == proto.MANDATORY
    assert "hunter2" not in str(told)


def test_settings_change_a_verdict() -> None:
    strict = servicer([control for control in controls() if control.id == "aws-rds-backups"])
    database = Res("aws:rds/instance:Instance", {"backupRetentionPeriod": 14})
    assert analyze(strict, database) == []
    strict.Configure(_configuration("aws-rds-backups", minDays=30), None)
    assert len(analyze(strict, database)) == 1


def test_misspelt_configuration_is_named() -> None:
    assert configuration_complaints({"all": [], "aws-rds-backups": ["minDays"]}) == []
    assert configuration_complaints({"aws-rds-backup": [], "aws-rds-backups": ["min_days"]}) == [
        "there is no control 'aws-rds-backup' (docs/controls.md lists them)",
        "control 'aws-rds-backups' has no setting 'min_days'",
    ]


def test_manifests_are_judged_by_the_same_controls_without_a_protocol() -> None:
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "spec": {"jobTemplate": {"spec": {"template": {"spec": {"hostNetwork": True, "containers": []}}}}},
    }
    found = [(control.id, verdict) for control, verdict in judge_manifest(manifest)]
    assert found == [
        ("k8s-pod-host-namespaces", "spec.jobTemplate.spec.template.spec.hostNetwork: the pod sees its node's")
    ]
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mlflow"}}
    assert [control.id for control, _ in judge_manifest(namespace)] == ["k8s-namespace-pod-security"]


@pytest.fixture(scope="module")
def running_pack() -> Iterator[Any]:
    """The pack in a process of its own, started as Pulumi's language host starts it."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(ROOT / "policies")],
        cwd=ROOT / "policies",
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    port = int(process.stdout.readline())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield analyzer_pb2_grpc.AnalyzerStub(channel)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)


def test_started_pack_serves_every_control(running_pack: Any) -> None:
    info = running_pack.GetAnalyzerInfo(empty_pb2.Empty())
    assert info.name == "groundwork"
    assert [policy.name for policy in info.policies] == [control.id for control in controls()]
    declared = {policy.name: set(policy.configSchema.properties) for policy in info.policies}
    assert declared == {control.id: set(control.settings) for control in controls()}


def test_started_pack_refuses_a_misspelt_control(running_pack: Any) -> None:
    with pytest.raises(grpc.RpcError, match="there is no control 'aws-rds-backup'"):
        running_pack.Configure(_configuration("aws-rds-backup"))
    running_pack.Configure(_configuration("aws-rds-backups", minDays=14))


def _configuration(name: str, **settings: object) -> Any:
    request = proto.ConfigureAnalyzerRequest()
    request.policyConfig[name].enforcementLevel = proto.MANDATORY
    request.policyConfig[name].properties.update(settings)
    return request
