"""The pod specification, and all its containers, in any workload that has one."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from kernel.paths import each_value, look_up, parse_path
from kernel.values import ABSENT, UNKNOWN, is_list
from policies.engine.expectations import Requirement, expect, pass_if_any
from policies.engine.findings import Findings, Props, Undecided

POD_KINDS: Final = (
    "kubernetes:core/v1:Pod",
    "kubernetes:apps/v1:Deployment",
    "kubernetes:apps/v1:StatefulSet",
    "kubernetes:apps/v1:DaemonSet",
    "kubernetes:apps/v1:ReplicaSet",
    "kubernetes:batch/v1:Job",
    "kubernetes:batch/v1:CronJob",
    "kubernetes:core/v1:ReplicationController",
    "kubernetes:core/v1:PodTemplate",
)
IS_QUANTITY: Final = Requirement(
    "must be a quantity", lambda value: isinstance(value, str | int | float) and value not in ("", True, False)
)
REQUIRED_RESOURCES: Final = ("requests.cpu", "requests.memory", "limits.memory")
CONTAINER_LISTS: Final = ("containers", "initContainers", "ephemeralContainers")


def pod_spec_path(props: Props) -> str:
    """The path of the pod specification. It is found from the properties, so that manifests need no type."""
    for template in ("spec.jobTemplate.spec.template", "spec.template", "template"):
        if _is_written(props, template.removesuffix(".spec.template")):
            return f"{template}.spec"
    return "spec"


def _is_written(props: Props, path: str) -> bool:
    """Whether a value is written at a path. A property that a patch omits is not, although it is not absent either."""
    *above, key = parse_path(path)
    parent = look_up(props, tuple(above))
    return isinstance(parent, Mapping) and key in parent and parent[key] is not None


def pod_metadata_path(props: Props) -> str:
    """The path of the metadata beside the pod specification."""
    return f"{pod_spec_path(props)}.".removesuffix("spec.") + "metadata"


def is_windows(props: Props) -> bool:
    """Whether the pod is for Windows, which ignores Linux settings; the API server rejects some of them."""
    return bool(look_up(props, f"{pod_spec_path(props)}.os.name") == "windows")


def expect_in_containers(
    props: Props,
    path: str,
    requirement: Requirement,
    risk: str,
    *,
    absent_passes: bool = False,
    lists: tuple[str, ...] = CONTAINER_LISTS,
) -> Findings:
    """Require something of every container."""

    def check(container: Props) -> Findings:
        yield from expect(container, path, requirement, risk, absent_passes=absent_passes)

    yield from check_containers(props, lists, check)


def expect_in_pod_and_containers(props: Props, setting: str, requirement: Requirement, risk: str) -> Findings:
    """Require something of a security setting of the pod and of every container, if it is set."""
    pod_wide = f"{pod_spec_path(props)}.securityContext.{setting}"
    yield from expect(props, pod_wide, requirement, risk, absent_passes=True)
    yield from expect_in_containers(props, f"securityContext.{setting}", requirement, risk, absent_passes=True)


def expect_resource(props: object, path: str, resources: str = "resources") -> Findings:
    """Require a quantity at a path of resources such as `requests.cpu`. A limit replaces an absent request."""
    risk = "neither the scheduler nor the kubelet can reserve or limit what the container uses"
    limit = path.replace("requests.", "limits.")
    yield from pass_if_any(expect(props, f"{resources}.{each}", IS_QUANTITY, risk) for each in (limit, path))


def expect_effective(props: Props, setting: str, requirement: Requirement, risk: str) -> Findings:
    """Require a security setting of every container, its own or the pod's. `requirement` also decides on ABSENT.

    The pod's setting is evaluated separately, so that it is reported only once, and also if containers are not known.
    """
    pod_wide_path = f"{pod_spec_path(props)}.securityContext.{setting}"
    pod_wide = look_up(props, pod_wide_path)
    is_refused = pod_wide not in (ABSENT, UNKNOWN) and not requirement.accepts(pod_wide)
    if is_refused:
        yield f"{pod_wide_path} {requirement.text}, otherwise {risk}"

    def check(container: Props) -> Findings:
        path = f"securityContext.{setting}"
        own = look_up(container, path)
        value = pod_wide if own is ABSENT else own
        if value is UNKNOWN:
            yield Undecided(path)
        elif not requirement.accepts(value) and not (own is ABSENT and is_refused):
            yield f"{path} {requirement.text}, otherwise {risk}"

    yield from check_containers(props, CONTAINER_LISTS, check)


def expect_containers(props: Props) -> Findings:
    """Require that there are containers. Only one control reports that, because the others pass without containers."""
    path = f"{pod_spec_path(props)}.containers"
    listed = look_up(props, path)
    if listed is not UNKNOWN and not (is_list(listed) and listed and all(map(_is_container, listed))):
        yield f"{path} must list containers with their names, otherwise the pod cannot be evaluated"


def _is_container(value: Any) -> bool:
    name = look_up(value, "name")
    return name is UNKNOWN or (isinstance(name, str) and name != "")


def check_containers(props: Props, lists: tuple[str, ...], check: Callable[[Props], Findings]) -> Findings:
    """The findings of `check` on every container, with paths from the workload; problems also name the container."""
    for where, container in _containers(props, lists):
        if container is UNKNOWN:
            yield Undecided(where)
            continue
        name = look_up(container, "name")
        label = f"{where} ({name})" if isinstance(name, str) else where
        for finding in check(container):
            if isinstance(finding, Undecided):
                yield Undecided(f"{where}.{finding.path}")
            else:
                yield f"{label}: {finding}"


def _containers(props: Props, lists: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    pod = pod_spec_path(props)
    for name in lists:
        yield from ((where, each) for where, each in each_value(props, f"{pod}.{name}[*]") if each is not ABSENT)
