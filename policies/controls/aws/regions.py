"""Regions of AWS resources, for data that must not leave certain countries."""

from collections.abc import Mapping
from typing import Any

from policies.engine.control import Setting
from policies.engine.expectations import Requirement, expect
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

# A provider sets the region for all of its resources, and a resource can override it. Replicas name their own regions.
LOCATED = (
    "pulumi:providers:aws",
    "aws:dynamodb/table:Table",
    "aws:dynamodb/tableReplica:TableReplica",
    "aws:ec2/vpc:Vpc",
    "aws:ecr/repository:Repository",
    "aws:eks/cluster:Cluster",
    "aws:kms/key:Key",
    "aws:rds/cluster:Cluster",
    "aws:rds/instance:Instance",
    "aws:s3/bucket:Bucket",
    "aws:secretsmanager/secret:Secret",
)


@control(
    "aws-resources-region",
    title="Resources are in the allowed regions",
    severity="high",
    types=LOCATED,
    remedy="set region to one in the setting allowed; if that is empty, every region is allowed",
    settings={"allowed": Setting({"type": "array", "items": {"type": "string"}}, default=[])},
)
def region(props: Props, settings: Mapping[str, Any]) -> Findings:
    if settings["allowed"]:
        named = Requirement("must be an allowed region", lambda name: name in settings["allowed"])
        for path in ("region", "replicas[*].regionName", "replicas[*].region"):
            risk = "data can leave the countries in which it must stay"
            yield from expect(props, path, named, risk, absent_passes=True)
