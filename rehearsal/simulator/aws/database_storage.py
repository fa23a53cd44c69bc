"""The storage of Amazon RDS: its size, its growth and its IOPS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.simulator.core.resource_model import ResourceRequest
from rehearsal.simulator.core.transitions import get_change

# From this size on, PostgreSQL's gp3 storage is striped over four volumes and has at least 12,000 IOPS. Smaller
# storage has 3,000, and its IOPS and throughput cannot be set.
# Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html#gp3-storage
_STRIPED_FROM = 400  # GiB
_STRIPED_IOPS = 12_000


# Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html
def check_storage_size(request: ResourceRequest) -> str | None:
    size = request.get("allocatedStorage", UNKNOWN)
    if request.get("storageType") != "gp3" or size is UNKNOWN or 20 <= size <= 65536:
        return None
    return f"InvalidParameterCombination: Invalid storage size for engine name postgres and storage type gp3: {size}"


def check_performance(request: ResourceRequest) -> str | None:
    """Source of the message: https://github.com/hashicorp/terraform-provider-aws/issues/28160"""
    size, figures = request.get("allocatedStorage", UNKNOWN), (request.get("iops"), request.get("storageThroughput"))
    if request.get("storageType") != "gp3" or size is UNKNOWN or size >= _STRIPED_FROM or not any(figures):
        return None
    return (
        f"InvalidParameterCombination: You can't specify IOPS or storage throughput for engine {request.get('engine')} "
        f"and a storage size less than {_STRIPED_FROM}."
    )


def is_grown(known: Mapping[str, Any], declared: Mapping[str, Any]) -> bool:
    """The provider ignores that storage is larger than declared if RDS may enlarge it.

    Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/rds/instance.go
    """
    sizes = known.get("allocatedStorage"), declared.get("allocatedStorage"), declared.get("maxAllocatedStorage")
    numbers = [size for size in sizes if isinstance(size, int | float)]
    return len(numbers) == len(sizes) and min(numbers[0], numbers[2]) > numbers[1]


def check_maximum(request: ResourceRequest) -> str | None:
    """A new maximum of storage is at least 10 % above the present size.

    Sources: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIOPS.Autoscaling.html; of the messages:
    https://github.com/ministryofjustice/cloud-platform-environments/pull/7483 and
    https://github.com/ministryofjustice/cloud-platform-environments/pull/24422
    """
    size, most = request.get("allocatedStorage", UNKNOWN), request.get("maxAllocatedStorage", 0)
    if UNKNOWN in (size, most) or most in (0, request.get_previous("maxAllocatedStorage")) or most * 10 >= size * 11:
        return None
    if most <= size:
        return f"InvalidParameterCombination: Max storage size must be greater than storage size ({most}, {size})"
    return (
        "InvalidParameterCombination: The maximum allocated storage must be increased by at least 10 percent "
        f"({most}; storage has {size} GiB)."
    )


def require_striped_iops(request: ResourceRequest) -> str | None:
    """When storage grows past the threshold, the provider sends the IOPS of the smaller storage.

    Source: https://github.com/hashicorp/terraform-provider-aws/issues/28382
    """
    change, iops = get_change(request, "allocatedStorage"), request.get("iops")
    if request.get("storageType") != "gp3" or change is None or iops is UNKNOWN:
        return None
    old, new = change
    if not (old < _STRIPED_FROM <= new) or (iops or 0) >= _STRIPED_IOPS:
        return None
    return (
        f"InvalidParameterCombination: Invalid iops value for engine name {request.get('engine')} and storage type "
        f"gp3: {iops or 3000} (storage grows from {old} to {new} GiB: from {_STRIPED_FROM} GiB on, set iops to "
        f"{_STRIPED_IOPS} or more)"
    )
