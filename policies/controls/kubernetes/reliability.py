"""Workloads that survive the loss of a pod, a node or a zone, and jobs that end."""

from collections.abc import Mapping
from typing import Any

from kernel.paths import each_value, look_up
from kernel.values import UNKNOWN, Truth, any_holds
from policies.controls.kubernetes.pod_specs import pod_spec_path
from policies.engine.control import Setting
from policies.engine.expectations import (
    IS_TRUE,
    Requirement,
    any_matches,
    at_least,
    expect,
    fail_if_all,
    none_of,
    one_of,
)
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control, stack_control
from policies.engine.stack import Resource, Stack, StackFindings, of_type

REPLICATED = (
    "kubernetes:apps/v1:Deployment",
    "kubernetes:apps/v1:StatefulSet",
)
CRON_JOB = "kubernetes:batch/v1:CronJob"
JOB = "kubernetes:batch/v1:Job"
NAMESPACE = "kubernetes:core/v1:Namespace"
QUOTA = "kubernetes:core/v1:ResourceQuota"
STORAGE_CLASS = ("kubernetes:storage.k8s.io/v1:StorageClass",)
SERVICE = ("kubernetes:core/v1:Service",)
BUILT_IN = ("default", "kube-system", "kube-public", "kube-node-lease")
# The paths of the topology key over which pods are spread.
SPREADS = (
    "topologySpreadConstraints[*].topologyKey",
    "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[*].topologyKey",
    "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[*].podAffinityTerm.topologyKey",
)


@control(
    "k8s-workload-replicas",
    title="Workloads have several replicas",
    severity="low",
    types=REPLICATED,
    remedy="raise spec.replicas",
    settings={"minReplicas": Setting({"type": "integer", "minimum": 1}, default=2)},
)
def replicas(props: Props, settings: Mapping[str, Any]) -> Findings:
    # 0 is a workload that is switched off; if no number is set, an autoscaler may set it.
    enough = at_least(settings["minReplicas"])
    accepted = Requirement(enough.text, lambda value: (value == 0 and value is not False) or enough.accepts(value))
    yield from expect(props, "spec.replicas", accepted, "it stops with the node of its only pod", absent_passes=True)


@control(
    "k8s-workload-spread",
    title="The replicas of a workload are spread over nodes or zones",
    severity="low",
    types=REPLICATED,
    remedy="set topologySpreadConstraints, or affinity.podAntiAffinity, of the pod",
)
def spread(props: Props) -> Findings:
    pod = pod_spec_path(props)
    several = any_matches([look_up(props, "spec.replicas")], lambda count: _is_number(count) and count > 1)
    keys = (value for path in SPREADS for _, value in each_value(props, f"{pod}.{path}"))
    apart = any_matches(keys, lambda key: isinstance(key, str) and key != "")
    problem = "must be spread, otherwise the loss of one node can stop all replicas"
    yield from fail_if_all(pod, [several, UNKNOWN if apart is UNKNOWN else not apart], problem)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@control(
    "k8s-job-deadline",
    title="Jobs have a deadline",
    severity="low",
    types=(JOB, CRON_JOB),
    remedy="set activeDeadlineSeconds of the job",
)
def job_deadline(props: Props) -> Findings:
    job = pod_spec_path(props).removesuffix(".template.spec")
    yield from expect(props, f"{job}.activeDeadlineSeconds", at_least(1), "a job that hangs is paid for indefinitely")


@control(
    "k8s-job-cleanup",
    title="Finished jobs are deleted",
    severity="low",
    types=(JOB,),
    remedy="set spec.ttlSecondsAfterFinished",
)
def job_cleanup(props: Props) -> Findings:
    yield from expect(props, "spec.ttlSecondsAfterFinished", at_least(0), "finished jobs and their pods pile up")


@control(
    "k8s-cron-job-concurrency",
    title="A scheduled job does not start while the last one runs",
    severity="low",
    types=(CRON_JOB,),
    remedy="set spec.concurrencyPolicy to Forbid or Replace",
)
def cron_job_concurrency(props: Props) -> Findings:
    path = "spec.concurrencyPolicy"
    yield from expect(props, path, one_of("Forbid", "Replace"), "slow jobs pile up until the nodes are full")


@control(
    "k8s-storage-class-expansion",
    title="Volumes can grow",
    severity="low",
    types=STORAGE_CLASS,
    remedy="set allowVolumeExpansion to true",
)
def storage_class_expansion(props: Props) -> Findings:
    yield from expect(props, "allowVolumeExpansion", IS_TRUE, "a full volume has to be replaced by hand")


@control(
    "k8s-service-node-port",
    title="Services do not open ports of nodes",
    severity="low",
    types=SERVICE,
    remedy="use ClusterIP behind the gateway",
    references=("Kyverno:restrict-node-port",),
)
def service_node_port(props: Props) -> Findings:
    no_port = none_of("must not open ports of nodes", "NodePort")
    yield from expect(
        props, "spec.type", no_port, "every node accepts connections, even without a pod", absent_passes=True
    )


@stack_control(
    "k8s-namespace-quota",
    title="Every namespace has a quota",
    severity="low",
    types=(NAMESPACE,),
    remedy="declare a ResourceQuota in the namespace",
    references=("Kyverno:add-ns-quota",),
)
def namespace_quota(stack: Stack) -> StackFindings:
    quotas = of_type(stack, QUOTA)
    for namespace in of_type(stack, NAMESPACE):
        if look_up(namespace.props, "metadata.name") not in BUILT_IN:
            found = any_holds(_is_in(quota, namespace) for quota in quotas)
            if found is UNKNOWN:
                yield namespace, Undecided("metadata.namespace")
            elif not found:
                yield namespace, "the namespace must have a ResourceQuota, otherwise one tenant can use every node"


def _is_in(resource: Resource, namespace: Resource) -> Truth:
    """Whether a resource is in a namespace. The recorded dependency is known even in a preview."""
    if namespace.urn in resource.property_dependencies.get("metadata", ()):
        return True
    names = (look_up(resource.props, "metadata.namespace"), look_up(namespace.props, "metadata.name"))
    return UNKNOWN if UNKNOWN in names else names[0] == names[1]
