"""Whether resources have the options that the others of their stack have: its providers, and protection of data.

A resource without a provider goes where the machine of whoever deploys points to: another account, region or cluster.
Source: https://www.pulumi.com/docs/iac/concepts/resources/providers/#default-providers
"""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.wiring.declared import Graph

_PROVIDER = "pulumi:providers:"
# What holds data that is nowhere else, or without which such data cannot be read.
_DATA = (
    "aws:dynamodb/table:Table",
    "aws:kms/key:Key",
    "aws:rds/instance:Instance",
    "aws:s3/bucket:Bucket",
    "azure-native:containerregistry:Registry",
    "azure-native:cosmosdb:DatabaseAccount",
    "azure-native:cosmosdb:SqlResourceSqlContainer",
    "azure-native:cosmosdb:SqlResourceSqlDatabase",
    "azure-native:dbforpostgresql:Server",
    "azure-native:keyvault:Key",
    "azure-native:keyvault:Vault",
    "azure-native:storage:BlobContainer",
    "azure-native:storage:StorageAccount",
)


def find_problems(graph: Graph) -> Iterator[Problem]:
    """What lacks the options of the others."""
    own = {declared.type.removeprefix(_PROVIDER) for declared in graph if declared.type.startswith(_PROVIDER)}
    used = {declared.package for declared in graph if declared.provider}
    for declared in graph:
        if declared.package in own & used and not declared.provider:
            reason = f"it has Pulumi's default provider of {declared.package}, and others have the stack's own"
            yield Problem(declared.label, reason, "pass it the options of its parent")
    data = [declared for declared in graph if declared.type in _DATA]
    if any(declared.is_protected for declared in data):
        for declared in data:
            if not declared.is_protected:
                reason = "it holds data and is not protected from deletion, as others of the stack are"
                yield Problem(declared.label, reason, "set the option `protect`")
