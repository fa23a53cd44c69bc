"""Checks that nodes that Karpenter starts can join the cluster, and that it is notified of their interruption.

Sources: https://karpenter.sh/docs/concepts/nodeclasses/, https://karpenter.sh/docs/concepts/disruption/#interruption,
https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html and
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
"""

from __future__ import annotations

from collections.abc import Iterator

from kernel.iam import statements
from kernel.paths import look_up
from kernel.values import as_list
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.problem import Problem, describe_object
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.wiring.grants import find_role, has_managed_policy, list_statements, role_allows
from rehearsal.wiring.graph import EKS, Wiring, describe
from rehearsal.wiring.pod_identities import find_identity

_CLASS_API, _POOL_API = "karpenter.k8s.aws/v1", "karpenter.sh/v1"
_PROFILE, _ENTRY = "aws:iam/instanceProfile:InstanceProfile", "aws:eks/accessEntry:AccessEntry"
_RULE, _TARGET = "aws:cloudwatch/eventRule:EventRule", "aws:cloudwatch/eventTarget:EventTarget"
_QUEUE, _QUEUE_POLICY = "aws:sqs/queue:Queue", "aws:sqs/queuePolicy:QueuePolicy"
_CONTROLLER = {"app.kubernetes.io/name": "karpenter"}
_ACTIONS = ("ec2:RunInstances", "ec2:CreateFleet", "ec2:CreateLaunchTemplate", "ec2:CreateTags")


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    for node_class in wiring.cluster.list(_CLASS_API, "EC2NodeClass"):
        yield from _check_node_class(wiring, node_class)
    yield from _check_controller(wiring)
    for rule in wiring.clouds.all(_RULE):
        targets = list(wiring.find_all(_TARGET, "rule", rule.id))
        if not targets:
            yield Problem(describe(rule), "it has no target for its events", "add a target")
        for target in targets:
            yield from _check_target(wiring, rule, target)


def _check_node_class(wiring: Wiring, node_class: Object) -> Iterator[Problem]:
    name, spec = describe_object(node_class), node_class["spec"]
    profile = wiring.find_one(_PROFILE, "name", spec.get("instanceProfile"))
    if profile is not None:
        yield from _check_profile(wiring, profile, name)
    elif not spec.get("role"):
        yield Problem(name, f"instance profile {spec.get('instanceProfile')} does not exist", "name one of the stack")
    for terms, type_ in (("subnetSelectorTerms", "subnet"), ("securityGroupSelectorTerms", "security group")):
        if not as_list(spec.get(terms)):
            yield Problem(name, f"it names no {type_}", f"set {terms}")
        for id_ in (str(term["id"]) for term in as_list(spec.get(terms)) if term.get("id")):
            if wiring.clouds.find(id_) is None and not _is_created_by_eks(wiring, id_):
                yield Problem(name, f"{type_} {id_} does not exist", f"correct {terms}")
    for mapping in as_list(spec.get("blockDeviceMappings")):
        key = look_up(mapping, "ebs.kmsKeyID", None)
        if key and wiring.clouds.find(str(key)) is None:
            yield Problem(name, f"key {key} does not exist", "correct blockDeviceMappings")


def _check_profile(wiring: Wiring, profile: Resource, node_class: str) -> Iterator[Problem]:
    role = find_role(wiring, profile.inputs.get("role"))
    if role is None:
        yield Problem(describe(profile), "it has no role, so nodes have no permissions", "set role")
        return
    entries = [entry for entry in wiring.clouds.all(_ENTRY) if entry.inputs.get("principalArn") == _arn(role)]
    if not any(entry.inputs.get("type") == "EC2_LINUX" for entry in entries):
        reason = f"nodes of {node_class} cannot join: there is no access entry of type EC2_LINUX for their role"
        yield Problem(describe(role), reason, "create the entry: EKS creates it only for its own node groups")
    if not has_managed_policy(wiring, role, ("AmazonEKSWorkerNodePolicy",)):
        reason = f"nodes of {node_class} cannot join: it lacks AmazonEKSWorkerNodePolicy"
        yield Problem(describe(role), reason, "attach the policy")


def _arn(resource: Resource) -> str:
    return str(resource.outputs.get("arn"))


def _is_created_by_eks(wiring: Wiring, group: str) -> bool:
    own = "vpcConfig.clusterSecurityGroupId"
    return any(look_up(cluster.outputs, own, "") == group for cluster in wiring.clouds.all(EKS))


def _check_controller(wiring: Wiring) -> Iterator[Problem]:
    for pod in wiring.pods:
        if not _CONTROLLER.items() <= pod.labels.items():
            continue
        variables = {each["name"]: each.get("value") for part in pod.containers for each in part.get("env") or ()}
        cluster, queue = str(variables.get("CLUSTER_NAME")), str(variables.get("INTERRUPTION_QUEUE"))
        if not any(found.id == cluster for found in wiring.clouds.all(EKS)):
            yield Problem(pod.owner, f"cluster {cluster} does not exist", "correct settings.clusterName")
        if wiring.find_one(_QUEUE, "name", queue) is None:
            yield Problem(pod.owner, f"interruption queue {queue} does not exist", "correct settings.interruptionQueue")
        role = find_identity(wiring, pod.namespace, pod.account)
        if role is None:
            yield Problem(pod.owner, "it has no identity in the cloud", "associate its service account with a role")
            continue
        named = list(list_statements(wiring, role))
        own = [action for action in _ACTIONS if not any(each.names_action(action) for each in named if each.is_allow)]
        node_roles = [find_role(wiring, found.inputs.get("role")) for found in wiring.clouds.all(_PROFILE)]
        own += [
            f"iam:PassRole of {found.id}"
            for found in node_roles
            if found is not None and not role_allows(wiring, role, "iam:PassRole", _arn(found))
        ]
        if own:
            yield Problem(
                describe(role), f"{pod.owner} starts nodes with it, but may not: {', '.join(own)}", "allow the actions"
            )


def _check_target(wiring: Wiring, rule: Resource, target: Resource) -> Iterator[Problem]:
    """Check that a target queue allows EventBridge to send the events that the rule matches."""
    queue = wiring.find_one(_QUEUE, "arn", target.inputs.get("arn"))
    if queue is None:
        return
    for policy in wiring.clouds.all(_QUEUE_POLICY):
        is_own = policy.inputs.get("queueUrl") in (queue.id, queue.outputs.get("url"))
        for statement in statements(policy.inputs.get("policy")):
            sources = [value for each in statement.conditions if each.key == "aws:SourceArn" for value in each.values]
            if (
                is_own
                and statement.is_allow
                and "events.amazonaws.com" in statement.principals("Service")
                and statement.names_action("sqs:SendMessage")
                and (not sources or _arn(rule) in sources)
            ):
                return
    reason = f"its queue {queue.inputs.get('name')} does not allow it to send messages"
    yield Problem(describe(rule), reason, "allow events.amazonaws.com sqs:SendMessage in the queue's policy")
