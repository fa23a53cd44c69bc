"""A foundation of constant values, for tests of the platform that need no cloud."""

from __future__ import annotations

import pulumi

from infra.access import WORKLOADS, Store
from infra.contract import (
    ArtifactsContract,
    AuditContract,
    ClusterContract,
    DatabaseContract,
    DiskContract,
    Endpoint,
    ExperimentsContract,
    Foundation,
    Identity,
    KarpenterContract,
    LoadBalancerControllerContract,
    NetworkPolicyEngine,
    NodePool,
    RegistryContract,
    S3Bucket,
    SecretsContract,
    TelemetryContract,
    TelemetryStoresContract,
    TrainingContract,
)

PORTS = {store: 5432 if store in (Store.TRACKING_DB, Store.LIFECYCLE_DB) else 443 for store in Store}


def _output(value: str) -> pulumi.Output[str]:
    return pulumi.Output.from_input(value)


def _identity(name: str) -> Identity:
    tokens = Endpoint(["169.254.170.23/32"], 80)
    return Identity(_output(name), {"role": name}, {"identity": "on"}, tokens)


def sample_foundation(gpu_pool: NodePool | None = None) -> Foundation:
    """A cloud that is neither Azure nor AWS, and provides only what the contract requires of every cloud."""
    return Foundation(
        cluster=ClusterContract(
            name=_output("c"),
            kubeconfig=pulumi.Output.secret("clusters: [{name: c}]"),
            oidc_issuer=_output("https://issuer"),
            node_pools=(),
            gpu_pool=gpu_pool,
            api=Endpoint(["10.20.0.0/20"], 443),
            network_policy_engine=NetworkPolicyEngine.VPC_CNI,
            api_tunnel=None,
            disks=DiskContract("disks.example", {"key": "k"}),
            load_balancer_annotations={"load-balancer": "internal"},
        ),
        registry=RegistryContract(_output("registry.example"), _output("registry.example/gw/")),
        artifacts=ArtifactsContract(_output("s3://bucket/mlflow"), {"REGION": "here"}),
        inferences=ArtifactsContract(_output("s3://bucket/inferences"), {"REGION": "here"}),
        tracking_db=DatabaseContract(_output("db.example"), 5432, "mlflow", "mlflow", pulumi.Output.secret("hunter2")),
        lifecycle_db=DatabaseContract(
            _output("db.example"), 5432, "lifecycle", "lifecycle", pulumi.Output.secret("hunter3")
        ),
        experiments=ExperimentsContract(
            _output("e"), _output("https://e"), _output("dynamodb://e"), {"REGION": "here"}
        ),
        secrets=SecretsContract(_output("s"), _output("https://s"), {"example": {"url": _output("https://s")}}, "gw/"),
        training=TrainingContract(_output("t")),
        telemetry=TelemetryContract(_output("l")),
        telemetry_stores=TelemetryStoresContract(
            S3Bucket(_output("logs"), "here", "s3.example"), S3Bucket(_output("traces"), "here", "s3.example")
        ),
        audit=AuditContract(_output("a")),
        identities={workload.name: _identity(workload.name) for workload in WORKLOADS},
        endpoints={store: Endpoint([f"10.9.{port % 256}.0/24"], port) for store, port in PORTS.items()},
        karpenter=KarpenterContract(
            identity=_identity("karpenter"),
            region="here",
            queue=_output("interruptions"),
            instance_profile=_output("nodes"),
            subnets=[_output("subnet-a"), _output("subnet-b")],
            security_group=_output("sg-nodes"),
            disk_key=_output("arn:key"),
        ),
        load_balancer_controller=LoadBalancerControllerContract(
            _identity("load-balancer-controller"), "here", _output("vpc")
        ),
    )
