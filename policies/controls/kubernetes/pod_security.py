"""Pods: further rules of the Pod Security Standards than those in `pod`, such as profiles, volumes and probes.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/ as the checks of Kubernetes 1.37 decide it,
https://github.com/kubernetes/pod-security-admission/tree/master/policy
"""

from collections.abc import Mapping
from typing import Any, Final

from kernel.paths import look_up
from kernel.values import ABSENT, UNKNOWN
from policies.controls.kubernetes.pod_specs import (
    POD_KINDS,
    expect_in_containers,
    expect_in_pod_and_containers,
    pod_metadata_path,
    pod_spec_path,
)
from policies.engine.expectations import IS_FALSE, Requirement, check_each, expect
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

SELINUX_TYPES: Final = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
SAFE_SYSCTLS: Final = frozenset(
    {
        "kernel.shm_rmid_forced",
        *(
            f"net.ipv4.{name}"
            for name in (
                "ip_local_port_range",
                "ip_local_reserved_ports",
                "ip_unprivileged_port_start",
                "ping_group_range",
                "tcp_fin_timeout",
                "tcp_keepalive_intvl",
                "tcp_keepalive_probes",
                "tcp_keepalive_time",
                "tcp_notsent_lowat",
                "tcp_rmem",
                "tcp_slow_start_after_idle",
                "tcp_syncookies",
                "tcp_wmem",
            )
        ),
    }
)
# hostPath has its own control.
VOLUMES: Final = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "hostPath",
        "image",
        "name",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
APPARMOR_ANNOTATION: Final = "container.apparmor.security.beta.kubernetes.io/"
HANDLERS: Final = (
    *(
        f"{probe}.{action}"
        for probe in ("livenessProbe", "readinessProbe", "startupProbe")
        for action in ("httpGet", "tcpSocket")
    ),
    *(f"lifecycle.{hook}.{action}" for hook in ("postStart", "preStop") for action in ("httpGet", "tcpSocket")),
)


@control(
    "k8s-pod-apparmor",
    title="No container disables its AppArmor profile",
    severity="medium",
    types=POD_KINDS,
    remedy="leave securityContext.appArmorProfile unset, or set its type to RuntimeDefault or Localhost",
    references=("KSV-0002", "PSS-baseline"),
)
def apparmor(props: Props) -> Findings:
    risk = "the container is not confined"
    profile = Requirement("must be RuntimeDefault or Localhost", lambda kind: kind in ("RuntimeDefault", "Localhost"))
    yield from expect_in_pod_and_containers(props, "appArmorProfile.type", profile, risk)
    path = f"{pod_metadata_path(props)}.annotations"
    annotations = look_up(props, path)
    for key, value in annotations.items() if isinstance(annotations, Mapping) else ():
        if str(key).startswith(APPARMOR_ANNOTATION) and value is not UNKNOWN and not _is_profile(value):
            yield f'{path}["{key}"] must be runtime/default or localhost/, otherwise {risk}'


def _is_profile(value: Any) -> bool:
    text = str(value)
    return text in ("", "runtime/default") or text.startswith("localhost/")


@control(
    "k8s-pod-selinux",
    title="No container chooses its SELinux user, role or privileged type",
    severity="medium",
    types=POD_KINDS,
    remedy="remove securityContext.seLinuxOptions",
    references=("KSV-0025", "PSS-baseline"),
)
def selinux(props: Props) -> Findings:
    risk = "the container can have the permissions of the node's processes"
    kind = Requirement("must be a type for containers", lambda value: value in SELINUX_TYPES)
    empty = Requirement("must be empty", lambda value: value == "")
    yield from expect_in_pod_and_containers(props, "seLinuxOptions.type", kind, risk)
    for name in ("user", "role"):
        yield from expect_in_pod_and_containers(props, f"seLinuxOptions.{name}", empty, risk)


@control(
    "k8s-pod-proc-mount",
    title="No container sees the whole of /proc",
    severity="medium",
    types=POD_KINDS,
    remedy="remove securityContext.procMount",
    references=("KSV-0027", "PSS-restricted"),
)
def proc_mount(props: Props) -> Findings:
    masked = Requirement("must be Default", lambda value: value == "Default")
    path = "securityContext.procMount"
    yield from expect_in_containers(props, path, masked, "the container sees the node's kernel", absent_passes=True)


@control(
    "k8s-pod-sysctls",
    title="Pods set safe kernel parameters only",
    severity="medium",
    types=POD_KINDS,
    remedy="remove the parameter from securityContext.sysctls",
    references=("KSV-0026", "PSS-baseline"),
)
def sysctls(props: Props) -> Findings:
    safe = Requirement("must be a safe parameter", lambda name: isinstance(name, str) and name in SAFE_SYSCTLS)
    path = f"{pod_spec_path(props)}.securityContext.sysctls[*].name"
    yield from expect(props, path, safe, "the pod changes the node's kernel for others", absent_passes=True)


@control(
    "k8s-pod-volume-types",
    title="Pods mount only persistent volume claims and Kubernetes' own kinds of volumes",
    severity="medium",
    types=POD_KINDS,
    remedy="use a persistentVolumeClaim or a csi volume",
    references=("KSV-0028", "PSS-restricted"),
)
def volume_types(props: Props) -> Findings:
    def check(where: str, volume: Any) -> Findings:
        others = set(volume) - VOLUMES if isinstance(volume, Mapping) else {"no mapping"}
        if any(look_up(volume, (str(name),)) is not ABSENT for name in others) or not isinstance(volume, Mapping):
            yield f"{where} must be of a kind that the restricted Pod Security Standard allows"

    yield from check_each(props, f"{pod_spec_path(props)}.volumes[*]", check)


@control(
    "k8s-pod-host-probes",
    title="Probes and lifecycle hooks connect to their own pod only",
    severity="medium",
    types=POD_KINDS,
    remedy="remove host from the probe or the lifecycle hook",
    references=("PSS-baseline",),
)
def host_probes(props: Props) -> Findings:
    own = Requirement("must be empty", lambda host: host == "")
    risk = "the kubelet connects to other hosts on the pod's behalf"
    for handler in HANDLERS:
        yield from expect_in_containers(props, f"{handler}.host", own, risk, absent_passes=True)


@control(
    "k8s-pod-windows-host-process",
    title="No Windows container runs as a process of its node",
    severity="critical",
    types=POD_KINDS,
    remedy="remove securityContext.windowsOptions.hostProcess",
    references=("KSV-0103", "PSS-baseline"),
)
def windows_host_process(props: Props) -> Findings:
    risk = "the container can do everything on its node"
    yield from expect_in_pod_and_containers(props, "windowsOptions.hostProcess", IS_FALSE, risk)
