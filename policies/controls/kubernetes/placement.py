"""Namespaces of objects: the namespace `default` has no network policy, no quota and no owner."""

from policies.controls.kubernetes.pod_specs import POD_KINDS
from policies.engine.expectations import expect, none_of
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

PLACED = (
    *POD_KINDS,
    "kubernetes:core/v1:ConfigMap",
    "kubernetes:core/v1:PersistentVolumeClaim",
    "kubernetes:core/v1:Service",
)
RELEASE = ("kubernetes:helm.sh/v3:Release",)
NOT_DEFAULT = none_of("must not be the default namespace", "default")


@control(
    "k8s-default-namespace",
    title="Nothing runs in the default namespace",
    severity="low",
    types=PLACED,
    remedy="set metadata.namespace to the application's own namespace",
)
def default_namespace(props: Props) -> Findings:
    # If it is absent, a provider or a release may set the namespace.
    path = "metadata.namespace"
    yield from expect(props, path, NOT_DEFAULT, "no network policy and no quota protects it", absent_passes=True)


@control(
    "k8s-helm-namespace",
    title="Charts are not installed into the default namespace",
    severity="low",
    types=RELEASE,
    remedy="set namespace",
)
def helm_namespace(props: Props) -> Findings:
    yield from expect(props, "namespace", NOT_DEFAULT, "no network policy and no quota protects its pods")
