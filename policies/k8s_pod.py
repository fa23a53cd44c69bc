"""Pods: Kubernetes' restricted Pod Security Standard, plus what images and resources a pod may ask for.

Judged are pods wherever they stand: bare, in a workload, or in a rendered chart's manifest.
"""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from policies.control import Setting, control
from policies.pods import POD_KINDS, containers, effective, expect_in_containers, pod_path
from policies.props import (
    ABSENT,
    UNKNOWN,
    Props,
    Undecided,
    Verdicts,
    each,
    expect,
    is_false,
    is_true,
    items,
    lookup,
)

# What charts of the platform pull from, and the clouds' own registries. A stack may name others.
REGISTRIES = (
    "*.azurecr.io/*",
    "*.dkr.ecr.*.amazonaws.com/*",
    "public.ecr.aws/*",
    "mcr.microsoft.com/*",
    "registry.k8s.io/*",
    "quay.io/*",
    "ghcr.io/*",
    "docker.io/*",
)


def _effective_setting(props: Props, setting: str, accepts: Callable[[Any], bool], wrong: str) -> Verdicts:
    """An expectation of every container that the pod may meet for all; `accepts` is asked about ABSENT too."""
    for where, container in containers(props):
        if isinstance(container, Undecided):
            yield container
            continue
        value = effective(props, container, setting)
        if value is UNKNOWN:
            yield Undecided(f"{where}.securityContext.{setting}")
        elif not accepts(value):
            yield f"{where}: {wrong}"


@control(
    "k8s-pod-privileged",
    title="No container is privileged",
    severity="critical",
    types=POD_KINDS,
    remedy="leave securityContext.privileged unset or set it to false",
    anchors=("CKV_K8S_16", "KSV-0017", "PSS-baseline"),
)
def privileged(props: Props) -> Verdicts:
    path = "securityContext.privileged"
    yield from expect_in_containers(props, path, is_false, "it owns its node", absent_passes=True)


@control(
    "k8s-pod-host-namespaces",
    title="No pod shares its node's processes, memory or network",
    severity="high",
    types=POD_KINDS,
    remedy="leave hostPID, hostIPC and hostNetwork unset or set them to false",
    anchors=("CKV_K8S_17", "CKV_K8S_18", "CKV_K8S_19", "KSV-0008", "KSV-0009", "KSV-0010", "PSS-baseline"),
)
def host_namespaces(props: Props) -> Verdicts:
    for name in ("hostPID", "hostIPC", "hostNetwork"):
        path = f"{pod_path(props)}.{name}"
        yield from expect(props, path, is_false, "the pod sees its node's", absent_passes=True)


@control(
    "k8s-pod-privilege-escalation",
    title="No container may gain privileges",
    severity="high",
    types=POD_KINDS,
    remedy="set securityContext.allowPrivilegeEscalation to false on every container",
    anchors=("CKV_K8S_20", "KSV-0001", "PSS-restricted"),
)
def privilege_escalation(props: Props) -> Verdicts:
    path = "securityContext.allowPrivilegeEscalation"
    yield from expect_in_containers(props, path, is_false, "a setuid program makes it root")


@control(
    "k8s-pod-non-root",
    title="No container runs as root",
    severity="high",
    types=POD_KINDS,
    remedy="set securityContext.runAsNonRoot to true on the pod, and no runAsUser 0",
    anchors=("CKV_K8S_23", "CKV_K8S_40", "KSV-0012", "KSV-0105", "PSS-restricted"),
)
def non_root(props: Props) -> Verdicts:
    yield from _effective_setting(props, "runAsNonRoot", is_true, "nothing keeps it from running as root")
    yield from _effective_setting(props, "runAsUser", lambda user: user != 0, "runAsUser is root")


@control(
    "k8s-pod-drop-capabilities",
    title="Every container drops all capabilities",
    severity="medium",
    types=POD_KINDS,
    remedy="set securityContext.capabilities.drop to [ALL] on every container",
    anchors=("CKV_K8S_37", "CKV_K8S_28", "KSV-0106", "PSS-restricted"),
)
def drop_capabilities(props: Props) -> Verdicts:
    path = "securityContext.capabilities.drop"
    yield from expect_in_containers(props, path, lambda drop: "ALL" in items(drop), "it keeps capabilities")


@control(
    "k8s-pod-added-capabilities",
    title="No container adds capabilities",
    severity="high",
    types=POD_KINDS,
    remedy="remove securityContext.capabilities.add; NET_BIND_SERVICE alone may stay",
    anchors=("CKV_K8S_25", "CKV_K8S_39", "KSV-0022", "KSV-0005", "PSS-baseline"),
)
def added_capabilities(props: Props) -> Verdicts:
    path = "securityContext.capabilities.add[]"
    yield from expect_in_containers(
        props, path, lambda name: name == "NET_BIND_SERVICE", "it gets a capability", absent_passes=True
    )


@control(
    "k8s-pod-seccomp",
    title="Every container runs under a seccomp profile",
    severity="medium",
    types=POD_KINDS,
    remedy="set securityContext.seccompProfile.type to RuntimeDefault on the pod",
    anchors=("CKV_K8S_31", "KSV-0104", "PSS-restricted"),
)
def seccomp(props: Props) -> Verdicts:
    accepted = ("RuntimeDefault", "Localhost")
    wrong = "it may make any system call"
    yield from _effective_setting(props, "seccompProfile.type", lambda kind: kind in accepted, wrong)


@control(
    "k8s-pod-read-only-root",
    title="Every container's root filesystem is read-only",
    severity="medium",
    types=POD_KINDS,
    remedy="set securityContext.readOnlyRootFilesystem to true and mount an emptyDir where it writes",
    anchors=("CKV_K8S_22", "KSV-0014"),
)
def read_only_root(props: Props) -> Verdicts:
    path = "securityContext.readOnlyRootFilesystem"
    yield from expect_in_containers(props, path, is_true, "an intruder can change its programs")


@control(
    "k8s-pod-host-path",
    title="No pod mounts its node's files",
    severity="high",
    types=POD_KINDS,
    remedy="use a persistent volume, an emptyDir or a projected volume",
    anchors=("CKV_K8S_27", "KSV-0023", "KSV-0006", "PSS-baseline"),
)
def host_path(props: Props) -> Verdicts:
    for where, volume in each(props, f"{pod_path(props)}.volumes[]"):
        if volume is UNKNOWN:
            yield Undecided(where)
        elif lookup(volume, "hostPath") is not ABSENT:
            yield f"{where} is a hostPath"


@control(
    "k8s-pod-host-port",
    title="No container listens on its node's ports",
    severity="medium",
    types=POD_KINDS,
    remedy="remove hostPort and use a Service",
    anchors=("CKV_K8S_26", "KSV-0024", "PSS-baseline"),
)
def host_port(props: Props) -> Verdicts:
    path = "ports[].hostPort"
    yield from expect_in_containers(props, path, lambda port: port == 0, "the node listens", absent_passes=True)


@control(
    "k8s-pod-image-tag",
    title="Every image names a fixed version",
    severity="medium",
    types=POD_KINDS,
    remedy="name a version tag other than latest, or a digest",
    anchors=("CKV_K8S_14", "KSV-0013"),
)
def image_tag(props: Props) -> Verdicts:
    yield from expect_in_containers(props, "image", _has_fixed_tag, "the image changes under the same name")


def _has_fixed_tag(image: Any) -> bool:
    name, _, digest = str(image).partition("@")
    _, _, tag = name.rpartition("/")[2].partition(":")
    return bool(digest) or tag not in ("", "latest")


@control(
    "k8s-pod-image-registry",
    title="Every image comes from a registry on the list",
    severity="high",
    types=POD_KINDS,
    remedy="mirror the image, or add the registry to this control's setting allowed",
    anchors=("KSV-0125", "CIS 5.1.4", "AzPolicy:allowed-images"),
    settings={
        "allowed": Setting({"type": "array", "items": {"type": "string", "pattern": "/"}}, default=list(REGISTRIES)),
    },
)
def image_registry(props: Props, settings: Mapping[str, Any]) -> Verdicts:
    patterns = [pattern.split("/", 1) for pattern in settings["allowed"]]

    def allowed(image: Any) -> bool:
        # Host and path apart: a star in a host must not reach over the slash into somebody else's path.
        host, path = _full_name(image).split("/", 1)
        return any(fnmatchcase(host, where) and fnmatchcase(path, what) for where, what in patterns)

    yield from expect_in_containers(props, "image", allowed, "the image's registry is not on the list")


def _full_name(image: Any) -> str:
    """Docker's rule: without a dot, a colon or `localhost` the first part is a user of docker.io."""
    first, slash, _ = str(image).partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    if is_host:
        return str(image)
    return f"docker.io/{image}" if slash else f"docker.io/library/{image}"


@control(
    "k8s-pod-resources",
    title="Every container asks for CPU and memory and has a memory limit",
    severity="medium",
    types=POD_KINDS,
    remedy="set resources.requests.cpu, resources.requests.memory and resources.limits.memory",
    anchors=("CKV_K8S_10", "CKV_K8S_12", "CKV_K8S_13", "KSV-0015", "KSV-0016", "KSV-0018"),
)
def resources(props: Props) -> Verdicts:
    # Ephemeral containers can't ask for anything: Kubernetes refuses the field.
    lists = ("containers", "initContainers")
    for path in ("requests.cpu", "requests.memory", "limits.memory"):
        wrong = "the scheduler and the node can't plan with it"
        yield from expect_in_containers(props, f"resources.{path}", bool, wrong, lists=lists)
