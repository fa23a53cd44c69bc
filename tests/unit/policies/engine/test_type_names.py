"""The same resource has one type, regardless of the version of the SDK that declares it.

Proves for each type that a control evaluates that all of its names in the installed SDKs, including those of earlier
modules and API versions, are evaluated in the same way.
Does not prove anything about names that the SDKs no longer contain.
"""

from __future__ import annotations

import pytest

from policies import controls
from policies.engine.type_names import canonical_type
from tests.support.policies.sdk_inputs import list_types, read_aliases

EVALUATED = frozenset(type_ for control in controls() for type_ in control.types)


@pytest.mark.parametrize("package", ["aws", "azure-native", "kubernetes"])
def test_each_name_of_an_evaluated_type_is_evaluated(package: str) -> None:
    aliases = {token: found for token, found in read_aliases(package).items() if canonical_type(token) in EVALUATED}
    assert len(aliases) > 20
    names = {name for found in aliases.values() for name in found}
    assert len(names) >= 5
    # If an older type was split, each of the new ones is an alias of the others.
    types = {canonical_type(token) for token in list_types(package)}
    missed = {name for name in names if canonical_type(name) not in EVALUATED | types}
    assert missed == set()


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("azure-native:documentdb:DatabaseAccount", "azure-native:cosmosdb:DatabaseAccount"),
        ("azure-native:documentdb/v20240815:DatabaseAccount", "azure-native:cosmosdb:DatabaseAccount"),
        ("azure-native_documentdb_v20240815:documentdb:DatabaseAccount", "azure-native:cosmosdb:DatabaseAccount"),
        ("azure-native:containerservice/v20240101:ManagedCluster", "azure-native:containerservice:ManagedCluster"),
        ("azure-native:insights/v20210501preview:DiagnosticSetting", "azure-native:monitor:DiagnosticSetting"),
        ("azure-native:insights:Component", "azure-native:insights:Component"),
        ("aws:s3/BucketObject:BucketObject", "aws:s3/bucketObject:BucketObject"),
        ("aws:s3/bucketV2:BucketV2", "aws:s3/bucket:Bucket"),
        ("aws:s3/bucketObjectv2:BucketObjectv2", "aws:s3/bucketObjectv2:BucketObjectv2"),
        ("kubernetes:extensions/v1beta1:Deployment", "kubernetes:apps/v1:Deployment"),
        ("kubernetes:extensions/v1beta1:IngressPatch", "kubernetes:networking.k8s.io/v1:IngressPatch"),
        ("kubernetes:batch/v1beta1:CronJob", "kubernetes:batch/v1:CronJob"),
        ("kubernetes:serving.kserve.io/v1beta1:InferenceService",) * 2,
    ],
)
def test_names(name: str, canonical: str) -> None:
    assert canonical_type(name) == canonical
