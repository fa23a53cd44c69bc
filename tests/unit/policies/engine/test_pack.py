"""The pack as the engine uses it: levels, unknowns, secrets, configuration, and the process itself.

Proves that undecided checks are only advisory, that one unknown value hides nothing, that messages do not repeat
secrets, that a misspelt configuration is rejected through the protocol, and that `policies/` starts as Pulumi starts
it. Does not prove what the engine does with the responses.
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

from policies import controls, evaluate_manifest
from policies.engine.pack import configuration_problems
from tests.support.policies.analyzer import analyze, build_request, diagnostics, secret, servicer
from tests.support.policies.aws_account_cases import POLICY
from tests.support.policies.aws_cases import BLOCK, BUCKET, allow, block
from tests.support.policies.azure_cases import CASES as AZURE
from tests.support.policies.azure_cases import STORAGE
from tests.support.policies.cases import UNKNOWN_TEXT, Declared
from tests.support.policies.kubernetes_cases import CONFIG_MAP, POD, RELEASE

ROOT = Path(__file__).resolve().parents[4]


def test_an_undecided_check_of_a_mandatory_control_is_advisory() -> None:
    _, subject = AZURE["azure-storage-anonymous-blobs"].unknown
    (found,) = diagnostics("azure-storage-anonymous-blobs", subject)
    assert found.enforcementLevel == proto.ADVISORY
    assert found.message.endswith("undecided until known: allowBlobPublicAccess")


def test_a_violation_beside_an_unknown_stays_mandatory() -> None:
    props = {"ingress": [UNKNOWN_TEXT, {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["0.0.0.0/0"]}]}
    found = diagnostics("aws-vpc-admin-ports", [Declared("aws:ec2/securityGroup:SecurityGroup", props)])
    assert [each.enforcementLevel for each in found] == [proto.MANDATORY, proto.ADVISORY]


def test_one_unknown_resource_hides_no_violation_of_another() -> None:
    stack = [
        Declared(BUCKET, {"bucket": UNKNOWN_TEXT}, "first"),
        Declared(BLOCK, block(blockPublicAcls=UNKNOWN_TEXT), "first-block", {"bucket": "first"}),
        Declared(BUCKET, {"bucket": UNKNOWN_TEXT}, "second"),
        Declared(BLOCK, block(blockPublicAcls=False), "second-block", {"bucket": "second"}),
    ]
    violation, undecided = diagnostics("aws-s3-public-access-block", stack)
    assert violation.enforcementLevel == proto.MANDATORY
    assert violation.urn.endswith("::second")
    assert undecided.enforcementLevel == proto.ADVISORY
    assert "first: blockPublicAcls" in undecided.message


def test_a_container_is_named() -> None:
    pod = {"spec": {"containers": [{"name": "main"}, {"name": "proxy", "securityContext": {"privileged": True}}]}}
    (found,) = diagnostics("k8s-pod-privileged", [Declared("kubernetes:core/v1:Pod", pod)])
    assert "spec.containers[1] (proxy): securityContext.privileged" in found.message


def test_a_whole_pack_reports_nothing_on_a_type_it_does_not_know() -> None:
    assert analyze(servicer(controls()), Declared("random:index/randomPassword:RandomPassword", {"length": 8})) == []


@pytest.mark.parametrize(
    ("control_id", "resource"),
    [
        ("k8s-helm-plain-secrets", Declared(RELEASE, {"values": {"auth": {"password": secret("hunter2hunter2")}}})),
        ("k8s-helm-plain-secrets", Declared(RELEASE, {"values": secret({"auth": {"password": "hunter2hunter2"}})})),
        ("k8s-config-map-secrets", Declared(CONFIG_MAP, {"data": {"PASSWORD": secret("hunter2hunter2")}})),
        ("azure-storage-tls", Declared(STORAGE, {"minimumTlsVersion": secret("hunter2hunter2")})),
        ("aws-iam-administrator", Declared(POLICY, {"policy": secret(allow("*", Sid="hunter2hunter2"))})),
    ],
)
def test_secrets_are_evaluated_and_never_repeated(control_id: str, resource: Declared) -> None:
    (found,) = diagnostics(control_id, [resource])
    assert found.enforcementLevel == proto.MANDATORY
    assert "hunter2" not in str(found)


def test_settings_change_a_finding() -> None:
    strict = servicer([control for control in controls() if control.id == "aws-rds-backups"])
    database = Declared("aws:rds/instance:Instance", {"backupRetentionPeriod": 14})
    assert analyze(strict, database) == []
    strict.Configure(_configuration("aws-rds-backups", minDays=30), None)
    assert len(analyze(strict, database)) == 1


def test_problems_of_a_configuration_name_the_misspelt_words() -> None:
    assert configuration_problems({"all": [], "aws-rds-backups": ["minDays"]}) == []
    assert configuration_problems({"aws-rds-backup": [], "aws-rds-backups": ["min_days"]}) == [
        "there is no control 'aws-rds-backup' (docs/controls.md lists them)",
        "'aws-rds-backups' has no setting 'min_days'",
    ]


def test_manifests_are_evaluated_by_the_same_controls_without_a_protocol() -> None:
    pod = {"hostNetwork": True, "automountServiceAccountToken": False, "containers": []}
    job = {"activeDeadlineSeconds": 60, "template": {"spec": pod}}
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "spec": {"concurrencyPolicy": "Forbid", "jobTemplate": {"spec": job}},
    }
    found = [(control.id, finding) for control, finding in evaluate_manifest(manifest)]
    assert found == [
        (
            "k8s-pod-host-namespaces",
            "spec.jobTemplate.spec.template.spec.hostNetwork must be false, "
            "otherwise the pod shares that namespace with its node",
        ),
        (
            "k8s-pod-resources",
            "spec.jobTemplate.spec.template.spec.containers must list containers with their names, "
            "otherwise the pod cannot be evaluated",
        ),
    ]
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mlflow"}}
    assert [control.id for control, _ in evaluate_manifest(namespace)] == ["k8s-namespace-pod-security"]


def test_a_setting_of_the_stack_extends_the_default() -> None:
    images = ("registry.example.com/ml/serving:1", "ghcr.io/acme/serving:1", "registry.example.com/serving:1")
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": containers}}

    def evaluate(configuration: dict[str, str]) -> list[str]:
        found = evaluate_manifest(pod, configuration)
        return [str(finding)[:18] for control, finding in found if control.id == "k8s-pod-image-registry"]

    assert evaluate({"groundwork:images": '{"registries": ["registry.example.com/ml/*"]}'}) == ["spec.containers[2]"]
    # The program, not the pack, reports values that are not lists of strings.
    for other in ("{}", "[]", "text", '{"registries": "registry.example.com/ml/*"}', '{"registries": [1]}'):
        assert evaluate({"groundwork:images": other}) == ["spec.containers[0]", "spec.containers[2]"]


@pytest.fixture(scope="module")
def running_pack() -> Iterator[Any]:
    """The pack in a separate process, started as Pulumi's language host starts it."""
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


@pytest.mark.process
def test_started_pack_serves_every_control(running_pack: Any) -> None:
    info = running_pack.GetAnalyzerInfo(empty_pb2.Empty())
    assert info.name == "groundwork"
    assert [policy.name for policy in info.policies] == [*(control.id for control in controls()), "exceptions"]
    declared = {policy.name: set(policy.configSchema.properties) for policy in info.policies}
    assert declared == {
        **{control.id: set(control.settings) for control in controls()},
        "exceptions": {"file", "longestTermDays"},
    }


@pytest.mark.process
def test_started_pack_has_the_settings_of_the_stack(running_pack: Any) -> None:
    configuration = {"groundwork:images": '{"registries": ["registry.example.com/ml/*"]}'}
    running_pack.ConfigureStack(proto.AnalyzerStackConfigureRequest(config=configuration))
    running_pack.Configure(proto.ConfigureAnalyzerRequest())

    def evaluate(image: str) -> list[str]:
        pod = Declared(POD, {"spec": {"containers": [{"name": "main", "image": image}]}})
        found = running_pack.Analyze(build_request(pod)).diagnostics
        return [each.policyName for each in found if each.policyName == "k8s-pod-image-registry"]

    assert evaluate("registry.example.com/ml/serving:1") == evaluate("ghcr.io/acme/serving:1") == []
    assert evaluate("registry.example.com/serving:1") == ["k8s-pod-image-registry"]


@pytest.mark.process
def test_started_pack_evaluates_a_stack(running_pack: Any) -> None:
    """The SDK expects one of its own classes in the servicer."""
    assert not running_pack.AnalyzeStack(proto.AnalyzeStackRequest()).diagnostics


@pytest.mark.process
def test_the_engine_gets_no_default_that_the_stack_extends(running_pack: Any) -> None:
    """It would send the default back as if it had been configured."""
    info = running_pack.GetAnalyzerInfo(empty_pb2.Empty())
    schemas = {policy.name: policy.configSchema.properties for policy in info.policies}
    assert "default" not in schemas["k8s-pod-image-registry"]["allowed"]
    assert schemas["aws-rds-backups"]["minDays"]["default"] == 7


@pytest.mark.process
def test_started_pack_rejects_a_misspelt_control(running_pack: Any) -> None:
    with pytest.raises(grpc.RpcError, match="there is no control 'aws-rds-backup'"):
        running_pack.Configure(_configuration("aws-rds-backup"))
    running_pack.Configure(_configuration("aws-rds-backups", minDays=14))


def _configuration(name: str, **settings: object) -> Any:
    request = proto.ConfigureAnalyzerRequest()
    request.policyConfig[name].enforcementLevel = proto.MANDATORY
    request.policyConfig[name].properties.update(settings)
    return request
