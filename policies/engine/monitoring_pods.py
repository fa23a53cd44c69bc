"""The pods that the Prometheus operator creates, with the one container whose resources the custom resource sets.

Source: makeStatefulSetSpec in
https://github.com/prometheus-operator/prometheus-operator/blob/v0.93.1/pkg/prometheus/server/statefulset.go, and in
pkg/alertmanager/statefulset.go: these fields are copied to the pod unchanged, and the operator hardens the container.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kernel.paths import look_up
from kernel.values import UNKNOWN, is_list
from policies.engine.carried_pod import CarriedPod
from policies.engine.findings import Props
from policies.engine.partial import as_partial

# Fields of the custom resource that the operator copies to the pod.
_POD_FIELDS: Final = (
    *("affinity", "automountServiceAccountToken", "hostAliases", "hostNetwork", "hostUsers", "initContainers"),
    *("nodeSelector", "priorityClassName", "securityContext", "serviceAccountName", "tolerations"),
    *("topologySpreadConstraints", "volumes"),
)
_CONTAINER_FIELDS: Final = ("image", "volumeMounts")


def find_monitoring_pods(resource_type: str, props: Props) -> Iterator[CarriedPod]:
    """The pod of a Prometheus, an Alertmanager or a ThanosRuler; further containers are merged with the operator's."""
    spec = look_up(props, "spec")
    if spec is UNKNOWN:
        yield CarriedPod((), {"spec": UNKNOWN})
    elif isinstance(spec, Mapping):
        name = resource_type.rpartition(":")[2].lower()
        main = {"name": name, **{key: spec[key] for key in _CONTAINER_FIELDS if key in spec}}
        others = look_up(spec, "containers")
        containers = [main, *(others if is_list(others) else ())]
        fields = {key: spec[key] for key in _POD_FIELDS if key in spec}
        metadata = look_up(spec, "podMetadata", {})
        pod = as_partial({"metadata": metadata, "spec": {**fields, "containers": containers}})
        # The operator sets no default resources: if the custom resource has none, neither do the container and the pod.
        pod["spec"]["containers"][0]["resources"] = look_up(spec, "resources", {})
        pod["spec"]["resources"] = {}
        yield CarriedPod(("spec",), pod)
