"""Virtual machine sizes, and the part of each that a node makes allocatable to pods.

Families whose sizes follow a rule of the cloud are computed by the same rule; others are in a table. For the rest, the
memory is estimated if the name contains the number of vCPUs.

Sources: https://learn.microsoft.com/azure/virtual-machines/sizes/overview and
https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-types.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


class UnknownVmSizeError(Exception):
    """A size that is not in the table, and whose name does not contain the number of vCPUs."""

    def __init__(self, size: str) -> None:
        super().__init__(
            f"the instance size '{size}' is not known to the rehearsal, so its nodes cannot be simulated; use a known "
            "size, or add this one to rehearsal/kubernetes/cloud_controller/vm_sizes.py"
        )


@dataclass(frozen=True)
class VmSize:
    """A virtual machine: vCPUs, memory in MiB, GPUs, architecture, and on EKS the maximum number of pods.

    is_estimate  whether the memory is an estimate, and GPUs are not known
    """

    cpus: int
    memory: int
    gpus: int = 0
    architecture: str = "amd64"
    max_pods: int = 250
    is_estimate: bool = False


@dataclass(frozen=True)
class NodeCapacity:
    """A node's capacity, and the part that is allocatable to pods: milli-CPUs, memory in MiB, disk in GiB."""

    size: VmSize
    pods: int
    disk: int
    cpu: int
    memory: int
    allocatable_cpu: int
    allocatable_memory: int

    def to_resources(self, *, allocatable: bool, with_gpus: bool) -> Mapping[str, str]:
        """The resources as in a node's status; `with_gpus`: a device plugin advertises the GPUs."""
        cpu, memory = (self.allocatable_cpu, self.allocatable_memory) if allocatable else (self.cpu, self.memory)
        # A kubelet evicts pods when less than a tenth of the disk is free: https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
        disk = self.disk * 1024 * 9 // 10 if allocatable else self.disk * 1024
        resources = {
            "cpu": f"{cpu}m",
            "memory": f"{memory}Mi",
            "pods": str(self.pods),
            "ephemeral-storage": f"{disk}Mi",
        }
        return {**resources, "nvidia.com/gpu": str(self.size.gpus)} if with_gpus and self.size.gpus else resources


_GIB = 1024
_FIRST_COUNTED_VERSION = 3  # of Azure's sizes: the numbers in older names are not numbers of vCPUs
_ESTIMATED_RATIO = 4  # GiB of memory for each vCPU, as in the general-purpose families

# GiB of memory for each vCPU, by family and additive feature (l: low memory).
_AZURE_RATIOS = {"D": 4, "Dl": 2, "E": 8, "F": 2, "L": 8, "B": 4, "Bl": 2}
_AZURE_SIZE = re.compile(
    r"Standard_(?P<family>[A-Z]+)(?P<cpus>\d+)(-\d+)?(?P<extras>[a-z]*)(_[A-Z0-9]+)?_v(?P<version>\d+)"
)
# vCPUs, GiB, GPUs
_AZURE_TABLE: Mapping[str, tuple[int, int, int]] = {
    "Standard_B1ms": (1, 2, 0),
    "Standard_B2s": (2, 4, 0),
    "Standard_B2ms": (2, 8, 0),
    "Standard_B4ms": (4, 16, 0),
    "Standard_B8ms": (8, 32, 0),
    "Standard_B12ms": (12, 48, 0),
    "Standard_B16ms": (16, 64, 0),
    "Standard_B20ms": (20, 80, 0),
    "Standard_E64s_v5": (64, 512, 0),
    "Standard_E96s_v5": (96, 672, 0),
    "Standard_NC6s_v3": (6, 112, 1),
    "Standard_NC12s_v3": (12, 224, 2),
    "Standard_NC24s_v3": (24, 448, 4),
    "Standard_NC24rs_v3": (24, 448, 4),
    "Standard_NC4as_T4_v3": (4, 28, 1),
    "Standard_NC8as_T4_v3": (8, 56, 1),
    "Standard_NC16as_T4_v3": (16, 110, 1),
    "Standard_NC64as_T4_v3": (64, 440, 4),
    "Standard_NC24ads_A100_v4": (24, 220, 1),
    "Standard_NC48ads_A100_v4": (48, 440, 2),
    "Standard_NC96ads_A100_v4": (96, 880, 4),
    "Standard_NC40ads_H100_v5": (40, 320, 1),
    "Standard_NC80adis_H100_v5": (80, 640, 2),
    "Standard_ND96asr_v4": (96, 900, 8),
    "Standard_ND96isr_H100_v5": (96, 1900, 8),
}

_AWS_SIZE = re.compile(
    r"(?P<family>[a-z]+)(?P<generation>\d)(?P<extras>[a-z]*)\.(?P<size>medium|large|xlarge|(?P<times>\d+)xlarge)"
)
_AWS_RATIOS = {"m": 4, "c": 2, "r": 8}
_AWS_CPUS = {"medium": 1, "large": 2, "xlarge": 4}
# vCPUs, GiB, GPUs, pods. The number of pods follows from the network interfaces and their addresses:
# https://github.com/aws/amazon-vpc-cni-k8s/blob/master/misc/eni-max-pods.txt
_AWS_TABLE: Mapping[str, tuple[int, float, int, int]] = {
    "t3.nano": (2, 0.5, 0, 4),
    "t3.micro": (2, 1, 0, 4),
    "t3.small": (2, 2, 0, 11),
    "t3.medium": (2, 4, 0, 17),
    "t3.large": (2, 8, 0, 35),
    "t3.xlarge": (4, 16, 0, 58),
    "t3.2xlarge": (8, 32, 0, 58),
    "g4dn.xlarge": (4, 16, 1, 29),
    "g4dn.2xlarge": (8, 32, 1, 29),
    "g4dn.4xlarge": (16, 64, 1, 29),
    "g4dn.8xlarge": (32, 128, 1, 58),
    "g4dn.12xlarge": (48, 192, 4, 234),
    "g4dn.16xlarge": (64, 256, 1, 58),
    "g5.xlarge": (4, 16, 1, 58),
    "g5.2xlarge": (8, 32, 1, 58),
    "g5.4xlarge": (16, 64, 1, 234),
    "g5.8xlarge": (32, 128, 1, 234),
    "g5.12xlarge": (48, 192, 4, 737),
    "g5.16xlarge": (64, 256, 1, 234),
    "g5.24xlarge": (96, 384, 4, 737),
    "g5.48xlarge": (192, 768, 8, 345),
    "g6.xlarge": (4, 16, 1, 58),
    "g6.2xlarge": (8, 32, 1, 58),
    "g6.4xlarge": (16, 64, 1, 234),
    "g6.8xlarge": (32, 128, 1, 234),
    "g6.12xlarge": (48, 192, 4, 234),
    "g6.16xlarge": (64, 256, 1, 737),
    "g6.24xlarge": (96, 384, 4, 737),
    "g6.48xlarge": (192, 768, 8, 737),
    "g6e.xlarge": (4, 32, 1, 58),
    "g6e.2xlarge": (8, 64, 1, 58),
    "g6e.4xlarge": (16, 128, 1, 234),
    "g6e.8xlarge": (32, 256, 1, 234),
    "g6e.12xlarge": (48, 384, 4, 292),
    "g6e.16xlarge": (64, 512, 1, 737),
    "g6e.24xlarge": (96, 768, 4, 492),
    "g6e.48xlarge": (192, 1536, 8, 492),
    "p3.2xlarge": (8, 61, 1, 58),
    "p3.8xlarge": (32, 244, 4, 234),
    "p3.16xlarge": (64, 488, 8, 234),
    "p4d.24xlarge": (96, 1152, 8, 737),
    "p5.48xlarge": (192, 2048, 8, 100),
}
# (at most this many vCPUs, pods) in the families with a rule, from the same list.
_AWS_PODS_BY_CPUS = ((1, 8), (2, 29), (8, 58), (48, 234), (1000, 737))


def azure_vm_size(name: str) -> VmSize:
    """A size of Azure. Raises UnknownVmSizeError."""
    if name in _AZURE_TABLE:
        cpus, memory, gpus = _AZURE_TABLE[name]
        return VmSize(cpus, memory * _GIB, gpus)
    match = _AZURE_SIZE.fullmatch(name)
    # The first generations of D and the small sizes of B have other ratios.
    if match is None or f"{match['family']}{match['version']}" in ("D1", "D2") or "t" in match["extras"]:
        raise UnknownVmSizeError(name)
    is_low_memory, is_arm = "l" in match["extras"], "p" in match["extras"]
    ratio = _AZURE_RATIOS.get(match["family"] + ("l" if is_low_memory else ""))
    if ratio is None and int(match["version"]) < _FIRST_COUNTED_VERSION:
        raise UnknownVmSizeError(name)
    cpus = int(match["cpus"])
    memory = cpus * (ratio or _ESTIMATED_RATIO) * _GIB
    return VmSize(cpus, memory, architecture="arm64" if is_arm else "amd64", is_estimate=ratio is None)


def aws_vm_size(name: str) -> VmSize:
    """An instance type of AWS. Raises UnknownVmSizeError."""
    if name in _AWS_TABLE:
        cpus, memory, gpus, pods = _AWS_TABLE[name]
        return VmSize(cpus, int(memory * _GIB), gpus, max_pods=_cap_pods(pods, cpus))
    match = _AWS_SIZE.fullmatch(name)
    if match is None:
        raise UnknownVmSizeError(name)
    cpus = 4 * int(match["times"]) if match["times"] else _AWS_CPUS[match["size"]]
    pods = next(pods for limit, pods in _AWS_PODS_BY_CPUS if cpus <= limit)
    architecture = "arm64" if match["extras"].startswith("g") else "amd64"
    ratio = _AWS_RATIOS.get(match["family"])
    memory = cpus * (ratio or _ESTIMATED_RATIO) * _GIB
    return VmSize(cpus, memory, 0, architecture, _cap_pods(pods, cpus), is_estimate=ratio is None)


def _cap_pods(pods: int, cpus: int) -> int:
    """The limit of managed node groups. Source: https://docs.aws.amazon.com/eks/latest/userguide/choosing-instance-type.html"""
    return min(pods, 110 if cpus < 30 else 250)


# The share of a machine's memory that firmware and kernel use, as nodes report their capacity; observed, rounded up:
# 4 % of 4 GiB in https://github.com/Azure/AKS/issues/3525, 5 to 6 % on EC2's Nitro machines (estimated).
_AZURE_SYSTEM_SHARE, _AWS_SYSTEM_SHARE = 0.04, 0.06
_EVICTION_THRESHOLD = 100  # MiB, of both clouds' kubelets


def azure_node_capacity(size: VmSize, pods: int, disk: int | None) -> NodeCapacity:
    """A node of AKS 1.29 or later. Source: https://learn.microsoft.com/azure/aks/node-resource-reservations"""
    memory = int(size.memory * (1 - _AZURE_SYSTEM_SHARE))
    reserved = min(20 * pods + 50, size.memory // 4)
    return NodeCapacity(
        size,
        pods,
        disk or _azure_default_disk(size.cpus),
        cpu=1000 * size.cpus,
        memory=memory,
        allocatable_cpu=1000 * size.cpus - _azure_reserved_cpu(size.cpus),
        allocatable_memory=memory - reserved - _EVICTION_THRESHOLD,
    )


def _azure_reserved_cpu(cpus: int) -> int:
    """Reserved milli-CPUs: 60, 100 and 140 of one, two and four cores, then 10 for each further core."""
    return {1: 60, 2: 100, 3: 120}.get(cpus, 140 + 10 * (cpus - 4))


def _azure_default_disk(cpus: int) -> int:
    """GiB. Source: https://learn.microsoft.com/azure/aks/concepts-storage (default OS disk sizing)"""
    return next(disk for limit, disk in ((7, 128), (15, 256), (63, 512), (10_000, 1024)) if cpus <= limit)


def aws_node_capacity(size: VmSize, disk: int) -> NodeCapacity:
    """A node of EKS: it reserves 255 MiB plus 11 MiB for each pod, and 6, 1, 0.5, 0.5, then 0.25 % of the cores.

    Source: https://github.com/awslabs/amazon-eks-ami/blob/main/nodeadm/internal/kubelet/config.go
    """
    memory, milli_cpus = int(size.memory * (1 - _AWS_SYSTEM_SHARE)), 1000 * size.cpus
    steps = ((0, 1000, 600), (1000, 2000, 100), (2000, 4000, 50), (4000, milli_cpus, 25))
    reserved = sum(
        (min(milli_cpus, end) - start) * share // 10_000 for start, end, share in steps if milli_cpus > start
    )
    return NodeCapacity(
        size,
        size.max_pods,
        disk,
        cpu=milli_cpus,
        memory=memory,
        allocatable_cpu=milli_cpus - reserved,
        allocatable_memory=memory - (255 + 11 * size.max_pods) - _EVICTION_THRESHOLD,
    )
