"""One spelling for each type of resource: manifests and other versions of the SDKs spell the same type differently.

`tests/unit/policies/engine/test_type_names.py` compares these names with the aliases in the installed SDKs.
"""

import re
from functools import cache
from typing import Final

# Former names of Azure's types whose module no longer exists. Versions are removed first.
_AZURE: Final = {
    "azure-native:dbforpostgresql:Cluster": "azure-native:dbforpostgresql:ServerGroupCluster",
    "azure-native:dbforpostgresql:ServerGroup": "azure-native:dbforpostgresql:ServerGroupCluster",
    "azure-native:cosmosdb:FirewallRule": "azure-native:cosmosdb:MongoClusterFirewallRule",
    **{
        f"azure-native:insights:{scope}DiagnosticSetting": f"azure-native:monitor:{scope}DiagnosticSetting"
        for scope in ("", "Subscription", "ManagementGroup")
    },
    **{
        f"azure-native:insights:{kind}": f"azure-native:monitor:{kind}"
        for kind in ("ActivityLogAlert", "MetricAlert", "ScheduledQueryRule")
    },
    "azure-native:machinelearningservices:MachineLearningCompute": "azure-native:machinelearningservices:Compute",
    "azure-native:network:InterfaceEndpoint": "azure-native:network:PrivateEndpoint",
}
_AZURE_MODULES: Final = {"documentdb": "cosmosdb"}

# Kubernetes groups whose kinds are the same in versions before v1, except for defaults.
_STABLE_GROUPS: Final = (
    "apps",
    "batch",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
)
_EXTENSIONS: Final = {
    "DaemonSet": "apps",
    "Deployment": "apps",
    "Ingress": "networking.k8s.io",
    "NetworkPolicy": "networking.k8s.io",
    "ReplicaSet": "apps",
}


@cache
def canonical_type(resource_type: str) -> str:
    """One spelling per type: without Azure's API version, an S3 resource's V2, or the versions before v1."""
    if resource_type.startswith("azure-native"):
        return _find_azure_type(resource_type)
    if resource_type.startswith("kubernetes:"):
        return _find_kubernetes_type(resource_type)
    # In old tokens a resource's module begins with a capital letter, like the resource itself.
    lowered = re.sub(r"^aws:s3/([A-Z])(\w+):", lambda found: f"aws:s3/{found[1].lower()}{found[2]}:", resource_type)
    return re.sub(r"^aws:s3/(\w+)V2:(\w+)V2$", r"aws:s3/\1:\2", lowered)


def _find_azure_type(resource_type: str) -> str:
    unversioned = re.sub(r"^azure-native_\w+?_v\d{8}\w*:", "azure-native:", resource_type)
    unversioned = re.sub(r"/v\d{8}\w*:", ":", unversioned)
    package, _, rest = unversioned.partition(":")
    module, _, name = rest.partition(":")
    unversioned = f"{package}:{_AZURE_MODULES.get(module, module)}:{name}"
    return _AZURE.get(unversioned, unversioned)


def _find_kubernetes_type(resource_type: str) -> str:
    match = re.fullmatch(r"kubernetes:([^/:]+)/v\w+:(\w+)", resource_type)
    if not match:
        return resource_type
    group, kind = match.groups()
    if group == "extensions":
        # The suffix of a patch or a list is not changed.
        group = _EXTENSIONS.get(re.sub(r"(Patch|List)$", "", kind), group)
    return f"kubernetes:{group}/v1:{kind}" if group in _STABLE_GROUPS else resource_type
