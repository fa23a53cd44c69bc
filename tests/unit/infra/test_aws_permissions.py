"""What pods may do on AWS: the roles of workloads and of controllers, declared against the simulated account.

Proves that each role has the permissions of its row in the access table, on the stack's own resources, and that only
its service account can assume it. Not proven: how IAM evaluates these documents.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from infra.access import KARPENTER, LOAD_BALANCER_CONTROLLER, WORKLOADS, Controller, Workload
from tests.support.aws_foundation import ALERTS, DeclaredStack, declare
from tests.support.recording import resolve

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dev() -> DeclaredStack:
    return declare(**ALERTS, tags={"team": "recommendations"}, account="111122223333")


READ_OBJECTS = {"s3:ListBucket", "s3:GetObject", "kms:Decrypt"}
WRITE_OBJECTS = {
    *READ_OBJECTS,
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    "kms:GenerateDataKey",
}
READ_ITEMS = {
    "dynamodb:GetItem",
    "dynamodb:BatchGetItem",
    "dynamodb:Query",
    "dynamodb:DescribeTable",
    "kms:Decrypt",
}
WRITE_ITEMS = {
    *READ_ITEMS,
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "kms:GenerateDataKey",
}
READ_IMAGES = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetAuthorizationToken",
}


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        ("mlflow", READ_OBJECTS),
        ("training", WRITE_OBJECTS | WRITE_ITEMS | READ_IMAGES),
        ("serving", READ_OBJECTS | READ_IMAGES),
        ("experiment-router", WRITE_ITEMS),
        ("experiments-decide", WRITE_OBJECTS | READ_ITEMS),
        ("drift-collector", WRITE_OBJECTS),
        ("drift-check", WRITE_OBJECTS),
        ("external-secrets", {"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "kms:Decrypt"}),
        ("loki", WRITE_OBJECTS),
        ("tempo", WRITE_OBJECTS),
        ("promotion", READ_OBJECTS),
    ],
)
def test_a_workload_has_the_permissions_of_its_row_and_no_others(
    dev: DeclaredStack, workload: str, expected: set[str]
) -> None:
    assert {
        action for statement in _statements(dev, f"identity-{workload}") for action in statement["Action"]
    } == expected


def _statements(stack: DeclaredStack, role: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads(stack.single("aws:iam/rolePolicy:RolePolicy", role)["policy"])[
        "Statement"
    ]
    return statements


@pytest.mark.parametrize(
    ("workload", "tables"),
    [("experiment-router", {"assignments", "results"}), ("experiments-decide", {"results"}), ("training", {"models"})],
)
def test_a_workload_reaches_only_its_own_tables_of_experiments(
    dev: DeclaredStack, workload: str, tables: set[str]
) -> None:
    arns = {
        arn
        for statement in _statements(dev, f"identity-{workload}")
        if "dynamodb:Query" in statement["Action"]
        for arn in statement["Resource"]
    }
    assert {arn.rpartition("-")[2] for arn in arns} == tables


def test_the_collector_writes_inferences_and_no_models(dev: DeclaredStack) -> None:
    bucket = f"arn:aws:s3:::{dev.single('aws:s3/bucket:Bucket', 'artifacts')['bucket']}"
    _, on_objects, _ = _statements(dev, "identity-drift-collector")
    assert on_objects["Resource"] == [f"{bucket}/inferences/*"]
    written = {
        resource
        for statement in _statements(dev, "identity-drift-check")
        if "s3:PutObject" in statement["Action"]
        for resource in statement["Resource"]
    }
    assert written == {f"{bucket}/inferences/*"}


def test_inferences_and_records_of_experiments_expire(dev: DeclaredStack) -> None:
    rules = dev.single("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "artifacts")["rules"]
    expiring = {rule["filter"]["prefix"]: rule.get("expiration") for rule in rules}
    assert expiring == {"": None, "inferences/": {"days": 30}}
    for table in ("assignments", "results"):
        declared = dev.single("aws:dynamodb/table:Table", f"experiments-{table}")
        assert declared["ttl"] == {"enabled": True, "attributeName": "expires"}


@pytest.mark.parametrize("workload", ["loki", "tempo"])
def test_logs_and_traces_have_their_own_buckets(dev: DeclaredStack, workload: str) -> None:
    kind = {"loki": "logs", "tempo": "traces"}[workload]
    bucket = f"arn:aws:s3:::{dev.single('aws:s3/bucket:Bucket', f'telemetry-{kind}')['bucket']}"
    on_bucket, on_objects, _ = _statements(dev, f"identity-{workload}")
    assert (on_bucket["Resource"], on_objects["Resource"]) == ([bucket], [f"{bucket}/*"])


def test_external_secrets_reads_only_the_secrets_of_its_stack(dev: DeclaredStack) -> None:
    read, _ = _statements(dev, "identity-external-secrets")
    assert read["Resource"] == ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:acme-gw-dev/*"]
    for secret in dev.of_type("aws:secretsmanager/secret:Secret"):
        assert secret.inputs["name"].startswith("acme-gw-dev/")
    assert dev.foundation.secrets.store_provider == {"aws": {"service": "SecretsManager", "region": "eu-west-1"}}


def test_logs_and_traces_older_than_the_retention_period_are_deleted(dev: DeclaredStack) -> None:
    """A week after Loki and Tempo delete them, which read their stores until then."""
    for kind in ("logs", "traces"):
        (rule,) = dev.single("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", f"telemetry-{kind}")[
            "rules"
        ]
        assert rule["expiration"] == {"days": ALERTS["telemetry"]["retentionDays"] + 7}


def test_the_platforms_disks_are_encrypted_with_its_key_which_their_driver_can_use(dev: DeclaredStack) -> None:
    key = dev.of_type("aws:kms/key:Key", "secrets-key")[0].outputs["arn"]
    disks = dev.foundation.cluster.disks
    known = {name: resolve(pulumi.Output.from_input(value)) for name, value in disks.parameters.items()}
    assert known == {"type": "gp3", "encrypted": "true", "kmsKeyId": key}
    (driver,) = dev.of_type("aws:iam/rolePolicy:RolePolicy", "cluster-aws-ebs-csi-driver")
    grants, use = _statements(dev, driver.name)
    assert grants["Resource"] == use["Resource"] == [key]
    assert grants["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    assert {"kms:Decrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"} <= set(use["Action"])


def test_serving_uses_the_key_of_a_store_only_through_the_store(dev: DeclaredStack) -> None:
    key = dev.of_type("aws:kms/key:Key", "secrets-key")[0].outputs["arn"]
    granted = {
        statement["Condition"]["StringEquals"]["kms:ViaService"]: (statement["Action"], statement["Resource"])
        for statement in _statements(dev, "identity-serving")
        if statement["Action"][0].startswith("kms:")
    }
    assert granted == {
        "s3.eu-west-1.amazonaws.com": (["kms:Decrypt"], [key]),
    }


IDENTITIES: Mapping[str, Workload | Controller] = {
    **{f"identity-{workload.name}": workload for workload in WORKLOADS},
    "karpenter": KARPENTER,
    "load-balancing": LOAD_BALANCER_CONTROLLER,
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_only_the_service_account_of_a_pod_can_assume_its_role(dev: DeclaredStack, name: str) -> None:
    pod, role = IDENTITIES[name], dev.single("aws:iam/role:Role", name)
    (statement,) = json.loads(role["assumeRolePolicy"])["Statement"]
    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-name": "acme-gw-dev-cluster",
        "aws:RequestTag/kubernetes-namespace": pod.namespace,
        "aws:RequestTag/kubernetes-service-account": pod.service_account,
    }
    association = dev.single("aws:eks/podIdentityAssociation:PodIdentityAssociation", name)
    assert (association["namespace"], association["serviceAccount"]) == (pod.namespace, pod.service_account)


def test_karpenter_changes_only_instances_of_its_cluster(dev: DeclaredStack) -> None:
    """All resources that it creates, changes or terminates have the tags of the cluster and of a node pool."""
    owned = "kubernetes.io/cluster/acme-gw-dev-cluster"
    for statement in _statements(dev, "karpenter"):
        condition = statement.get("Condition", {})
        for action in statement["Action"]:
            if action in ("ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"):
                assert condition["StringEquals"] == {f"aws:ResourceTag/{owned}": "owned"}
                assert condition["StringLike"] == {"aws:ResourceTag/karpenter.sh/nodepool": "*"}
            elif action in ("ec2:CreateLaunchTemplate", "ec2:CreateTags"):
                assert owned in str(condition["StringEquals"])
    assert not any(":*" in action for one in _statements(dev, "karpenter") for action in one["Action"])


# The actions of each controller and the kinds of resources that they apply to. Sources: its project's policies,
# https://karpenter.sh/docs/reference/cloudformation/ and
# https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/docs/install/iam_policy.json
_LAUNCHED = "fleet instance volume network-interface launch-template spot-instances-request"
_CALLS = {
    "karpenter": {
        "ec2:RunInstances": f"image snapshot security-group subnet capacity-reservation {_LAUNCHED}",
        "ec2:CreateFleet": f"image snapshot security-group subnet capacity-reservation {_LAUNCHED}",
        "ec2:CreateLaunchTemplate": "launch-template",
        "ec2:CreateTags": _LAUNCHED,
        "ec2:TerminateInstances": "instance",
        "ec2:DeleteLaunchTemplate": "launch-template",
        "iam:PassRole": "role",
    },
    "load-balancing": {
        "ec2:CreateSecurityGroup": "vpc security-group",
        "ec2:AuthorizeSecurityGroupIngress": "security-group",
        "ec2:DeleteSecurityGroup": "security-group",
        "elasticloadbalancing:CreateLoadBalancer": "loadbalancer",
        "elasticloadbalancing:CreateTargetGroup": "targetgroup",
        "elasticloadbalancing:AddTags": "loadbalancer targetgroup listener",
        "elasticloadbalancing:CreateListener": "loadbalancer",
        "elasticloadbalancing:ModifyListener": "listener",
        "elasticloadbalancing:DeleteListener": "listener",
        "elasticloadbalancing:RegisterTargets": "targetgroup",
        "elasticloadbalancing:DeregisterTargets": "targetgroup",
        "elasticloadbalancing:DeleteLoadBalancer": "loadbalancer",
        "elasticloadbalancing:DeleteTargetGroup": "targetgroup",
    },
}


@pytest.mark.parametrize("controller", _CALLS)
def test_a_controller_may_do_what_it_does(dev: DeclaredStack, controller: str) -> None:
    allowed = {
        (action, resource.split(":", 5)[5].partition("/")[0])
        for statement in _statements(dev, controller)
        for action in statement["Action"]
        for resource in statement["Resource"]
        if resource != "*"
    }
    needed = {(action, kind) for action, kinds in _CALLS[controller].items() for kind in kinds.split()}
    assert needed - allowed == set()


def test_karpenter_tags_resources_when_it_creates_them(dev: DeclaredStack) -> None:
    """Later it can tag only instances."""
    statements = [one for one in _statements(dev, "karpenter") if "ec2:CreateTags" in one["Action"]]
    creating, later = sorted(statements, key=lambda one: "ec2:CreateAction" not in one["Condition"]["StringEquals"])
    assert creating["Condition"]["StringEquals"]["ec2:CreateAction"] == [
        "RunInstances",
        "CreateFleet",
        "CreateLaunchTemplate",
    ]
    assert {resource.rpartition(":")[2] for resource in later["Resource"]} == {"instance/*"}


def test_karpenter_passes_only_the_role_of_its_nodes_which_may_join_the_cluster(dev: DeclaredStack) -> None:
    role = dev.of_type("aws:iam/role:Role", "karpenter-nodes")[0].outputs["arn"]
    (passed,) = [one for one in _statements(dev, "karpenter") if one["Action"] == ["iam:PassRole"]]
    assert passed["Resource"] == [role]
    entry = dev.single("aws:eks/accessEntry:AccessEntry", "karpenter-nodes")
    assert (entry["principalArn"], entry["type"]) == (role, "EC2_LINUX")
    profile = dev.single("aws:iam/instanceProfile:InstanceProfile", "karpenter-nodes")
    assert resolve(dev.karpenter.instance_profile) == profile["name"]
    assert role.endswith(f"/{profile['role']}")


def test_each_notice_of_an_instances_termination_reaches_karpenters_queue(dev: DeclaredStack) -> None:
    """EventBridge silently drops events that the queue does not accept, and sends over TLS."""
    (queue,) = dev.of_type("aws:sqs/queue:Queue")
    rules = {rule.inputs["name"]: rule for rule in dev.of_type("aws:cloudwatch/eventRule:EventRule")}
    targets = {
        target.inputs["rule"]: target.inputs["arn"] for target in dev.of_type("aws:cloudwatch/eventTarget:EventTarget")
    }
    assert targets == dict.fromkeys(rules, queue.outputs["arn"])
    (policy,) = dev.of_type("aws:sqs/queuePolicy:QueuePolicy")
    accepted, refused = json.loads(policy.inputs["policy"])["Statement"]
    assert set(accepted["Condition"]["ArnEquals"]["aws:SourceArn"]) == {rule.outputs["arn"] for rule in rules.values()}
    assert (accepted["Resource"], accepted["Principal"]) == (
        [queue.outputs["arn"]],
        {"Service": "events.amazonaws.com"},
    )
    assert (refused["Effect"], refused["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    announced = {tuple(json.loads(rule.inputs["eventPattern"])["detail-type"]) for rule in rules.values()}
    assert ("EC2 Spot Instance Interruption Warning",) in announced
    assert resolve(dev.karpenter.queue) == queue.inputs["name"]


def test_load_balancers_of_other_clusters_are_out_of_reach(dev: DeclaredStack) -> None:
    tags = {"aws:ResourceTag/elbv2.k8s.aws/cluster", "aws:RequestTag/elbv2.k8s.aws/cluster"}
    for statement in _statements(dev, "load-balancing"):
        equal = statement.get("Condition", {}).get("StringEquals", {})
        for action in statement["Action"]:
            if action.partition(":")[2].startswith(("CreateLoadBalancer", "Delete", "ModifyLoadBalancer", "Register")):
                is_listener = action.endswith("Listener")  # as in the published policy
                assert is_listener or any(equal.get(tag) == "acme-gw-dev-cluster" for tag in tags), action


def test_only_actions_without_resources_use_the_wildcard_resource(dev: DeclaredStack) -> None:
    wild = {
        action
        for policy in dev.of_type("aws:iam/rolePolicy:RolePolicy")
        for statement in _statements(dev, policy.name)
        if "*" in statement["Resource"]
        for action in statement["Action"]
    }
    # Karpenter and the AWS Load Balancer Controller read the network, the sizes of nodes and load balancers.
    read = {
        action for action in wild if re.match(r"(ec2|elasticloadbalancing):(Describe|GetSecurityGroupsForVpc)", action)
    }
    assert wild - read == {
        "cloudwatch:PutMetricData",
        "ecr:GetAuthorizationToken",
        "logs:DescribeLogGroups",
    }
