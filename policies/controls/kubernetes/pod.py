"""Pods: the restricted Pod Security Standard of Kubernetes, and rules for images and resources.

Evaluates pods by themselves, in workloads, and in the manifests of rendered charts.
"""

from collections.abc import Mapping
from typing import Any

from kernel.paths import look_up
from kernel.values import ABSENT, UNKNOWN, as_list
from policies.controls.kubernetes.images import ALLOWED, FIXED_TAG, REGISTRY_REMEDY, require_registry
from policies.controls.kubernetes.pod_specs import (
    POD_KINDS,
    REQUIRED_RESOURCES,
    check_containers,
    expect_containers,
    expect_effective,
    expect_in_containers,
    expect_resource,
    is_windows,
    pod_spec_path,
)
from policies.engine.expectations import IS_FALSE, IS_TRUE, Requirement, check_each, expect, pass_if_any
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control


@control(
    "k8s-pod-privileged",
    title="No container is privileged",
    severity="critical",
    types=POD_KINDS,
    remedy="leave securityContext.privileged unset or set it to false",
    references=("CKV_K8S_16", "KSV-0017", "PSS-baseline"),
)
def privileged(props: Props) -> Findings:
    path = "securityContext.privileged"
    yield from expect_in_containers(
        props, path, IS_FALSE, "the container has full control of its node", absent_passes=True
    )


@control(
    "k8s-pod-host-namespaces",
    title="No pod shares the process, IPC or network namespace of its node",
    severity="high",
    types=POD_KINDS,
    remedy="leave hostPID, hostIPC and hostNetwork unset or set them to false",
    references=("CKV_K8S_17", "CKV_K8S_18", "CKV_K8S_19", "KSV-0008", "KSV-0009", "KSV-0010", "PSS-baseline"),
)
def host_namespaces(props: Props) -> Findings:
    for name in ("hostPID", "hostIPC", "hostNetwork"):
        path = f"{pod_spec_path(props)}.{name}"
        yield from expect(props, path, IS_FALSE, "the pod shares that namespace with its node", absent_passes=True)


@control(
    "k8s-pod-privilege-escalation",
    title="No container can gain privileges",
    severity="high",
    types=POD_KINDS,
    remedy="set securityContext.allowPrivilegeEscalation to false on every container",
    references=("CKV_K8S_20", "KSV-0001", "PSS-restricted"),
)
def privilege_escalation(props: Props) -> Findings:
    if is_windows(props):
        return
    path = "securityContext.allowPrivilegeEscalation"
    yield from expect_in_containers(props, path, IS_FALSE, "a setuid program can become root")


@control(
    "k8s-pod-non-root",
    title="No container runs as root",
    severity="high",
    types=POD_KINDS,
    remedy="set securityContext.runAsNonRoot to true on the pod, and do not set runAsUser to 0",
    references=("CKV_K8S_23", "KSV-0012", "KSV-0105", "PSS-restricted"),
)
def non_root(props: Props) -> Findings:
    def is_user(user: Any) -> bool:
        return user is ABSENT or (isinstance(user, int | float) and user is not True and user > 0)

    not_root = Requirement("must be a user ID other than 0", is_user)
    yield from expect_effective(props, "runAsNonRoot", IS_TRUE, "the container can run as root")
    yield from expect_effective(props, "runAsUser", not_root, "the container runs as root")


@control(
    "k8s-pod-drop-capabilities",
    title="Every container drops all capabilities",
    severity="medium",
    types=POD_KINDS,
    remedy="set securityContext.capabilities.drop to [ALL] on every container",
    references=("CKV_K8S_37", "CKV_K8S_28", "KSV-0106", "PSS-restricted"),
)
def drop_capabilities(props: Props) -> Findings:
    if is_windows(props):
        return
    path = "securityContext.capabilities.drop"
    drops_all = Requirement("must include ALL", lambda drop: "ALL" in as_list(drop))
    yield from expect_in_containers(props, path, drops_all, "the container keeps Linux capabilities")


@control(
    "k8s-pod-added-capabilities",
    title="No container adds capabilities",
    severity="high",
    types=POD_KINDS,
    remedy="remove securityContext.capabilities.add; only NET_BIND_SERVICE is allowed",
    references=("CKV_K8S_39", "KSV-0005", "KSV-0106", "PSS-restricted"),
)
def added_capabilities(props: Props) -> Findings:
    path = "securityContext.capabilities.add[*]"
    allowed = Requirement(
        "must be a capability that the restricted Pod Security Standard allows", lambda name: name == "NET_BIND_SERVICE"
    )
    risk = "the container gets Linux capabilities that it does not need"
    yield from expect_in_containers(props, path, allowed, risk, absent_passes=True)


@control(
    "k8s-pod-seccomp",
    title="Every container runs under a seccomp profile",
    severity="medium",
    types=POD_KINDS,
    remedy="set securityContext.seccompProfile.type to RuntimeDefault on the pod",
    references=("CKV_K8S_31", "KSV-0104", "PSS-restricted"),
)
def seccomp(props: Props) -> Findings:
    if is_windows(props):
        return
    profile = Requirement("must select a profile", lambda kind: kind in ("RuntimeDefault", "Localhost"))
    yield from expect_effective(props, "seccompProfile.type", profile, "the container can make every system call")


@control(
    "k8s-pod-read-only-root",
    title="Every container's root filesystem is read-only",
    severity="medium",
    types=POD_KINDS,
    remedy="set securityContext.readOnlyRootFilesystem to true and mount an emptyDir where it writes",
    references=("CKV_K8S_22", "KSV-0014"),
)
def read_only_root(props: Props) -> Findings:
    if is_windows(props):  # has no such setting
        return
    path = "securityContext.readOnlyRootFilesystem"
    yield from expect_in_containers(props, path, IS_TRUE, "an attacker can change the container's programs")


@control(
    "k8s-pod-host-path",
    title="No pod mounts files of its node",
    severity="high",
    types=POD_KINDS,
    remedy="use a persistent volume, an emptyDir or a projected volume",
    references=("CKV_K8S_27", "KSV-0023", "KSV-0006", "PSS-baseline"),
)
def host_path(props: Props) -> Findings:
    def check(where: str, volume: Any) -> Findings:
        host_path = look_up(volume, "hostPath")
        if host_path is UNKNOWN:
            yield Undecided(f"{where}.hostPath")
        elif host_path is not ABSENT:
            yield f"{where} must not be a hostPath volume, otherwise the pod can read or change files of its node"

    yield from check_each(props, f"{pod_spec_path(props)}.volumes[*]", check)


@control(
    "k8s-pod-host-port",
    title="No container uses ports of its node",
    severity="medium",
    types=POD_KINDS,
    remedy="remove hostPort and use a Service",
    references=("CKV_K8S_26", "KSV-0024", "PSS-baseline"),
)
def host_port(props: Props) -> Findings:
    unset = Requirement("must not be set", lambda port: port == 0)
    risk = "the container is reachable on its node's address"
    yield from expect_in_containers(props, "ports[*].hostPort", unset, risk, absent_passes=True)


@control(
    "k8s-pod-image-tag",
    title="Every image has a fixed version",
    severity="medium",
    types=POD_KINDS,
    remedy="name a version tag other than latest, or a digest",
    references=("CKV_K8S_14", "KSV-0013"),
)
def image_tag(props: Props) -> Findings:
    yield from expect_in_containers(props, "image", FIXED_TAG, "another image can be pulled under the same name")


@control(
    "k8s-pod-image-registry",
    title="Every image comes from an allowed registry",
    severity="high",
    types=POD_KINDS,
    remedy=REGISTRY_REMEDY,
    references=("KSV-0125", "CIS 5.1.4", "AzPolicy:allowed-images"),
    settings={"allowed": ALLOWED},
)
def image_registry(props: Props, settings: Mapping[str, Any]) -> Findings:
    allowed = require_registry(settings)
    yield from expect_in_containers(props, "image", allowed, "an unreviewed source can supply the image")


@control(
    "k8s-pod-resources",
    title="Every container requests CPU and memory and has a memory limit",
    severity="medium",
    types=POD_KINDS,
    remedy="set resources.requests.cpu, resources.requests.memory and resources.limits.memory",
    references=("CKV_K8S_10", "CKV_K8S_12", "CKV_K8S_13", "KSV-0015", "KSV-0016", "KSV-0018"),
)
def resources(props: Props) -> Findings:
    pod = pod_spec_path(props)
    yield from expect_containers(props)

    def check(container: Props) -> Findings:
        for path in REQUIRED_RESOURCES:
            # The whole pod can have resources too. Source:
            # https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#pod-level-resource-specification
            pod_wide = expect_resource(props, path, f"{pod}.resources")
            yield from pass_if_any([pod_wide, expect_resource(container, path)])

    # Kubernetes rejects resources of ephemeral containers.
    yield from check_containers(props, ("containers", "initContainers"), check)
