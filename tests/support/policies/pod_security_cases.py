"""Cases of further rules of the Pod Security Standards; Kubernetes' own cases are in test_pod_security_standards."""

from typing import Any, Final

from tests.support.policies.cases import UNKNOWN_TEXT, Cases
from tests.support.policies.kubernetes_cases import pods, run, secure

ABSENT: Final = ("passes", run({"name": "main"}))


def sysctl(name: object) -> dict[str, Any]:
    return secure(sysctls=[{"name": name, "value": "1"}])


def probe(host: object, handler: str = "httpGet") -> dict[str, Any]:
    return run({"name": "main", "livenessProbe": {handler: {"port": 8080, "host": host}}})


CASES: dict[str, Cases] = {
    "k8s-pod-apparmor": pods(
        good=[run(secure(appArmorProfile={"type": "Localhost"})), secure(appArmorProfile={"type": "RuntimeDefault"})],
        bad=[
            secure(appArmorProfile={"type": "Unconfined"}),
            run({"name": "main", **secure(appArmorProfile={"type": "Unconfined"})}, "initContainers"),
        ],
        absent=ABSENT,
        unknown=run(secure(appArmorProfile={"type": UNKNOWN_TEXT})),
    ),
    "k8s-pod-selinux": pods(
        good=[run(secure(seLinuxOptions={"level": "s0", "type": "container_t"}))],
        bad=[
            secure(seLinuxOptions={"type": "spc_t"}),
            run({"name": "main", **secure(seLinuxOptions={"user": "system_u"})}),
            run({"name": "main", **secure(seLinuxOptions={"role": "system_r"})}, "ephemeralContainers"),
        ],
        absent=ABSENT,
        unknown=run(secure(seLinuxOptions={"type": UNKNOWN_TEXT})),
    ),
    "k8s-pod-proc-mount": pods(
        good=[run(secure(procMount="Default"))],
        bad=[run({"name": "main", **secure(procMount="Unmasked")})],
        absent=ABSENT,
        unknown=run(secure(procMount=UNKNOWN_TEXT)),
    ),
    "k8s-pod-sysctls": pods(
        good=[sysctl("net.ipv4.tcp_syncookies"), secure(sysctls=[])],
        bad=[sysctl("kernel.msgmax"), sysctl("net.core.somaxconn")],
        absent=ABSENT,
        unknown=sysctl(UNKNOWN_TEXT),
    ),
    "k8s-pod-volume-types": pods(
        good=[
            {"volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "data", "persistentVolumeClaim": {}, "nfs": None}]}
        ],
        bad=[{"volumes": [{"name": "data", kind: {}}]} for kind in ("nfs", "iscsi", "gitRepo", "azureDisk", "new")],
        absent=ABSENT,
        unknown={"volumes": [UNKNOWN_TEXT]},
    ),
    "k8s-pod-host-probes": pods(
        good=[probe("")],
        bad=[
            probe("127.0.0.1"),
            probe("metadata.internal", "tcpSocket"),
            run({"name": "main", "lifecycle": {"preStop": {"httpGet": {"host": "10.0.0.1"}}}}),
        ],
        absent=ABSENT,
        unknown=probe(UNKNOWN_TEXT),
    ),
    "k8s-pod-windows-host-process": pods(
        good=[secure(windowsOptions={"hostProcess": False})],
        bad=[
            secure(windowsOptions={"hostProcess": True}),
            run({"name": "main", **secure(windowsOptions={"hostProcess": True})}),
        ],
        absent=ABSENT,
        unknown=secure(windowsOptions={"hostProcess": UNKNOWN_TEXT}),
    ),
}
