"""Pods beyond the Pod Security Standards: identities, secrets, images by digest, and probes.

These controls only advise: admission does not enforce them.
"""

from typing import Any

from kernel.paths import each_value, look_up
from kernel.values import ABSENT, UNKNOWN, as_list
from policies.controls.kubernetes.pod_specs import POD_KINDS, expect_in_containers, pod_spec_path
from policies.engine.expectations import IS_FALSE, Requirement, any_matches, expect, fail_if_all
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

# Workloads that are not meant to end.
LASTING_KINDS = tuple(
    kind for kind in POD_KINDS if kind not in ("kubernetes:batch/v1:Job", "kubernetes:batch/v1:CronJob")
)
UNSET = Requirement("must not be set", lambda _: False)


def _is_probe(value: Any) -> bool:
    """Whether a probe runs a command or connects to a port."""
    if as_list(look_up(value, "exec.command")):
        return True
    ports = [look_up(value, f"{handler}.port") for handler in ("grpc", "httpGet", "tcpSocket")]
    return any(port is UNKNOWN or (isinstance(port, int | float | str) and port not in ("", False)) for port in ports)


IS_PROBE = Requirement("must be a probe", _is_probe)


@control(
    "k8s-pod-token",
    title="Pods without their own service account mount no API token",
    severity="low",
    types=POD_KINDS,
    remedy="set automountServiceAccountToken to false, or name a service account in serviceAccountName",
)
def token(props: Props) -> Findings:
    pod = pod_spec_path(props)
    names = [look_up(props, f"{pod}.{key}") for key in ("serviceAccountName", "serviceAccount")]
    named = any_matches(names, lambda name: isinstance(name, str) and name not in ("", "default"))
    mounted = any_matches([look_up(props, f"{pod}.automountServiceAccountToken")], lambda value: value is not False)
    problem = "must be false, otherwise a compromised program can call the API server"
    conditions = [UNKNOWN if named is UNKNOWN else not named, mounted]
    yield from fail_if_all(f"{pod}.automountServiceAccountToken", conditions, problem)


@control(
    "k8s-pod-secret-environment",
    title="Containers read secrets from files",
    severity="low",
    types=POD_KINDS,
    remedy="mount the secret as a volume instead of env and envFrom",
    references=("CKV_K8S_35", "CIS-EKS 4.4.1", "CIS-AKS 4.5.1"),
)
def secret_environment(props: Props) -> Findings:
    for path in ("env[*].valueFrom.secretKeyRef", "envFrom[*].secretRef"):
        risk = "crash reports and child processes have the secret too, and a change needs a restart"
        yield from expect_in_containers(props, path, UNSET, risk, absent_passes=True)


@control(
    "k8s-pod-image-digest",
    title="Images are named by their digest",
    severity="low",
    types=POD_KINDS,
    remedy="append the digest to the image's name: @sha256:...",
    references=("CKV_K8S_43",),
)
def image_digest(props: Props) -> Findings:
    digest = Requirement("must have a digest", lambda image: isinstance(image, str) and "@sha256:" in image)
    yield from expect_in_containers(props, "image", digest, "a tag can be moved to another image")


@control(
    "k8s-pod-probes",
    title="Every container has a liveness and a readiness probe",
    severity="low",
    types=LASTING_KINDS,
    remedy="set livenessProbe and readinessProbe on every container",
    references=("CKV_K8S_8", "CKV_K8S_9"),
)
def probes(props: Props) -> Findings:
    for probe, risk in (
        ("livenessProbe", "a container that hangs is not restarted"),
        ("readinessProbe", "requests reach a container that is not ready"),
    ):
        yield from expect_in_containers(props, probe, IS_PROBE, risk, lists=("containers",))


@control(
    "k8s-pod-host-aliases",
    title="Pods do not override host names",
    severity="low",
    types=POD_KINDS,
    remedy="remove hostAliases and use DNS",
    references=("KSV-0007",),
)
def host_aliases(props: Props) -> Findings:
    for where, value in each_value(props, f"{pod_spec_path(props)}.hostAliases[*]"):
        if value is not ABSENT:
            problem = "must not map a host name to an address"
            yield from fail_if_all(where, [UNKNOWN if value is UNKNOWN else True], problem)


@control(
    "k8s-pod-shared-processes",
    title="Containers of a pod do not see each other's processes",
    severity="low",
    types=POD_KINDS,
    remedy="leave shareProcessNamespace unset or set it to false",
)
def shared_processes(props: Props) -> Findings:
    path = f"{pod_spec_path(props)}.shareProcessNamespace"
    risk = "a container can read the environment of the others, and the secrets in it"
    yield from expect(props, path, IS_FALSE, risk, absent_passes=True)
