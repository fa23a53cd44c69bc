"""Quotas of the clouds' services that a deployment may reach: dated data, with sources and the day of the check.

The simulated clouds enforce them, and preflight checks the same ones. An account's own quotas may be higher; preflight
queries those. Quotas that cannot be raised are limits of the settings too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

CHECKED = date(2026, 11, 30)
# Clouds raise quotas more often than they lower them: an outdated quota makes only a rehearsal fail.
LONGEST_WITHOUT_CHECK = timedelta(days=365)

_VPC = "https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html"
_EKS = "https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html"
_IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"
# From memory, not found in a page. The page to compare with is named beside each, without its scheme.
_UNVERIFIED = ""


@dataclass(frozen=True)
class ServiceQuota:
    """
    name    what is limited, and the unit
    limit   default of an account that has not requested an increase
    source  URL of the page that states it; empty: unverified
    code    AWS's quota code, if the quota can be raised
    """

    name: str
    limit: int
    source: str
    code: str = ""


VPCS = ServiceQuota("VPCs of a region", 5, _VPC, "L-F678F1CE")
INTERNET_GATEWAYS = ServiceQuota("internet gateways of a region", 5, _VPC, "L-A4707A72")
ADDRESSES = ServiceQuota("Elastic IP addresses of a region", 5, _VPC, "L-0263D0A3")
NAT_GATEWAYS = ServiceQuota("NAT gateways of an availability zone", 5, _VPC, "L-FE5A380F")
SUBNETS = ServiceQuota("subnets of a VPC", 200, _VPC, "L-407747CB")
INTERFACE_ENDPOINTS = ServiceQuota("interface and gateway load balancer endpoints of a VPC", 50, _VPC, "L-29B6F2EB")
RULES_OF_A_GROUP = ServiceQuota("rules of a security group in one direction", 60, _VPC, "L-0EA8095F")
CLUSTERS = ServiceQuota("EKS clusters of a region", 100, _EKS, "L-1194D53C")
NODE_GROUPS = ServiceQuota("managed node groups of a cluster", 30, _EKS, "L-6D54EA21")
# What ListAWSDefaultServiceQuotas answers; until 2022 EKS' own page said 100.
NODES_OF_A_GROUP = ServiceQuota(
    "nodes of a managed node group", 450, "https://github.com/awsdocs/amazon-eks-user-guide/pull/291", "L-BD136A63"
)
ROLES = ServiceQuota("IAM roles of an account", 1000, _IAM, "L-FE177D64")
POLICIES_OF_A_ROLE = ServiceQuota("managed policies of an IAM role", 10, _IAM, "L-0DA4ABF3")
INLINE_POLICIES_SIZE = ServiceQuota("characters of all inline policies of an IAM role, without blanks", 10240, _IAM)
TRAILS = ServiceQuota(
    "trails of a region", 5, "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/WhatIsCloudTrail-Limits.html"
)
TARGETS_OF_A_RULE = ServiceQuota(
    "targets of an EventBridge rule", 5, "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html"
)
DATABASES = ServiceQuota(
    "RDS instances of a region",
    40,
    "https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html",
    "L-7B6409FD",
)

# On-demand instances of a region, in vCPUs, by the first letters of their families.
# docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
STANDARD_INSTANCES = ServiceQuota("Running On-Demand Standard instances", 5, _UNVERIFIED, "L-1216C47A")
GRAPHICS_INSTANCES = ServiceQuota("Running On-Demand G and VT instances", 0, _UNVERIFIED, "L-DB2E81BA")
ACCELERATED_INSTANCES = ServiceQuota("Running On-Demand P instances", 0, _UNVERIFIED, "L-417A185B")
_FAMILIES: Mapping[ServiceQuota, frozenset[str]] = {
    STANDARD_INSTANCES: frozenset({"a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"}),
    GRAPHICS_INSTANCES: frozenset({"g", "gr", "vt"}),
    ACCELERATED_INSTANCES: frozenset({"p"}),
}

# learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits
REGIONAL_CORES = ServiceQuota("Total Regional vCPUs", 20, _UNVERIFIED)
FAMILY_CORES = ServiceQuota("vCPUs of a series of virtual machines in a region", 20, _UNVERIFIED)
AGENT_POOLS = ServiceQuota(
    "node pools of a cluster",
    100,
    "https://learn.microsoft.com/azure/aks/quotas-skus-regions#service-quotas-and-limits",
)
FEDERATED_CREDENTIALS = ServiceQuota(
    "federated credentials of an identity",
    20,
    "https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations",
)
DIAGNOSTIC_SETTINGS = ServiceQuota(
    "diagnostic settings of a resource",
    5,
    "https://learn.microsoft.com/azure/azure-monitor/essentials/diagnostic-settings",
)
STORAGE_ACCOUNTS = ServiceQuota(
    "storage accounts of a region",
    250,
    "https://learn.microsoft.com/azure/storage/common/scalability-targets-standard-account",
)
ROLE_ASSIGNMENTS = ServiceQuota(
    "role assignments of a subscription",
    4000,
    "https://learn.microsoft.com/azure/role-based-access-control/troubleshoot-limits",
)


def find_instance_quota(size: str) -> ServiceQuota | None:
    """The quota that an EC2 instance size counts towards; None for the rare ones."""
    family = re.match("[a-z]+", size)
    return next((quota for quota, families in _FAMILIES.items() if family and family.group() in families), None)


def count_instance_vcpus(size: str) -> int:
    """The vCPUs of an EC2 instance size, from its name; 0 if the name does not show them, as for bare metal.

    Source: https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-types.html
    """
    family, _, extent = size.partition(".")
    if match := re.fullmatch(r"(\d*)xlarge", extent):
        return 4 * int(match[1] or 1)
    small = {"large": 2, "medium": 2 if family.startswith("t") else 1, "small": 2, "micro": 2, "nano": 2}
    return small.get(extent, 0)


def count_machine_vcpus(size: str) -> int:
    """The vCPUs of an Azure size, from its name; 0 if the name does not show them.

    Source: https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions
    """
    match = re.fullmatch(r"Standard_[A-Z]+?(\d+)(?:-(\d+))?[a-z]*(?:_.*)?", size)
    return int(match[2] or match[1]) if match else 0


def name_machine_family(size: str) -> str:
    """The series of an Azure size as quotas name it: `standardDSv5Family` for Standard_D4s_v5."""
    match = re.fullmatch(r"Standard_([A-Z]+?)\d+(?:-\d+)?([a-z]*)(?:_[A-Z]\w*?)?(?:_(v\d+))?", size)
    return f"standard{match[1]}{match[2].upper()}{match[3] or ''}Family" if match else size
