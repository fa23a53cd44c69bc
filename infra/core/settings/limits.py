"""Limits of settings according to the clouds' documentation, with the source of each limit."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from infra.core.settings.clouds import Cloud
from kernel.regional_offers import AKS_API_IN_NETWORK

# Regions with three availability zones, in which API servers can be in a stack's network.
# Source: https://learn.microsoft.com/azure/reliability/regions-list
AZURE_LOCATIONS = tuple(
    location
    for location in (
        "australiaeast austriaeast belgiumcentral brazilsouth canadacentral centralindia centralus chilecentral "
        "eastasia eastus eastus2 francecentral germanywestcentral indonesiacentral israelcentral italynorth japaneast "
        "japanwest koreacentral malaysiawest mexicocentral newzealandnorth northeurope norwayeast polandcentral "
        "qatarcentral southafricanorth southcentralus southeastasia spaincentral swedencentral switzerlandnorth "
        "uaenorth uksouth westeurope westus2 westus3"
    ).split()
    if location not in AKS_API_IN_NETWORK.missing_in
)
# Source: https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-availability-zones.html; us-west-1 is
# missing because it offers new accounts only two zones.
AWS_LOCATIONS = tuple(
    "af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 "
    "ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-7 ca-central-1 ca-west-1 eu-central-1 "
    "eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 "
    "mx-central-1 sa-east-1 us-east-1 us-east-2 us-west-2".split()
)
# Each region's pair: the only region in which Azure keeps copies of its data. Regions without a pair have no copies.
# Source: https://learn.microsoft.com/azure/reliability/regions-paired
AZURE_PAIRS = dict(
    pair.split(":")
    for pair in (
        "australiaeast:australiasoutheast brazilsouth:southcentralus canadacentral:canadaeast centralindia:southindia "
        "centralus:eastus2 eastasia:southeastasia eastus:westus eastus2:centralus francecentral:francesouth "
        "germanywestcentral:germanynorth japaneast:japanwest japanwest:japaneast koreacentral:koreasouth "
        "northeurope:westeurope norwayeast:norwaywest southafricanorth:southafricawest southcentralus:northcentralus "
        "southeastasia:eastasia swedencentral:swedensouth switzerlandnorth:switzerlandwest uaenorth:uaecentral "
        "uksouth:ukwest westeurope:northeurope westus2:westcentralus westus3:eastus"
    ).split()
)
LOCATIONS = {Cloud.AZURE: AZURE_LOCATIONS, Cloud.AWS: AWS_LOCATIONS}

# Premium SSD sizes, GiB. Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-storage
AZURE_DATABASE_DISKS = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)

# The pattern of each kind of ID, and an example.
HUBS = {
    Cloud.AZURE: (
        r"(?i)/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/Microsoft\.Network/virtualNetworks/[^/]+",
        "/subscriptions/<ID>/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/hub",
    ),
    Cloud.AWS: (r"tgw-[0-9a-f]{17}", "tgw-0123456789abcdef0"),
}
ADMINS = {
    Cloud.AZURE: (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "11111111-2222-3333-4444-555555555555"),
    Cloud.AWS: (r"arn:aws(-cn|-us-gov)?:iam::\d{12}:role/[\w+=,.@/-]+", "arn:aws:iam::111122223333:role/ml-admins"),
}

# Ranges that must not overlap the blocks of the network, of pods or of services.
RESERVED_BLOCKS = {
    # Source: https://learn.microsoft.com/azure/aks/concepts-network-ip-address-planning
    Cloud.AZURE: tuple(
        map(ipaddress.IPv4Network, ("169.254.0.0/16", "172.30.0.0/16", "172.31.0.0/16", "192.0.2.0/24"))
    ),
    # SageMaker's machines use it for Docker's network.
    # Source: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
    Cloud.AWS: (ipaddress.IPv4Network("172.17.0.0/16"),),
}
# The shortest and the longest prefix of the services' block: AKS requires it to be smaller than /12, and assigns the
# tenth address to its DNS; EKS accepts /24 to /12.
# Source: https://learn.microsoft.com/azure/aks/concepts-network-ip-address-planning and
# https://docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html
SERVICE_PREFIXES = {Cloud.AZURE: (13, 28), Cloud.AWS: (12, 24)}
# With the overlay, AKS assigns each node a block of this size from the pods' block.
# Source: https://learn.microsoft.com/azure/aks/azure-cni-overlay
AZURE_PODS_PREFIX_OF_A_NODE = 24

# Blocks for examples, which are not routed. The IPv6 block (RFC 3849) is left out: no setting accepts IPv6 ranges.
# Source: https://www.rfc-editor.org/rfc/rfc5737
DOCUMENTATION_BLOCKS = tuple(map(ipaddress.IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))

# Hosts for examples, which never resolve to a real service. Source: https://www.rfc-editor.org/rfc/rfc2606
EXAMPLE_HOSTS = r"(.+\.)?example(\.com|\.net|\.org)?|.+\.(test|invalid)"

# How many ranges may reach a public API: https://learn.microsoft.com/azure/aks/api-server-authorized-ip-ranges and
# https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html
AUTHORIZED_RANGES = {Cloud.AZURE: 200, Cloud.AWS: 40}

# The pattern of instance sizes, and an example of each.
# Source: https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions and
# https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
_AWS_SIZE = r"[a-z]+\d+[a-z]*(-[a-z0-9]+)?\.(nano|micro|small|medium|large|\d*xlarge|metal(-\d+xl)?)"
NODE_SIZE_FORMS = {
    Cloud.AZURE: (r"Standard_[A-Z]+(\d+)(-\d+)?[a-z]*(_[A-Z0-9]+)*(_v\d+)?", "Standard_D4s_v5"),
    Cloud.AWS: (_AWS_SIZE, "m6i.xlarge"),
}
# Sizes with x86 processors and NVIDIA GPUs, whose drivers are in both clouds' node images. Excluded are sizes with AMD
# GPUs, such as ND_MI300X, NVv4 and g4ad; NV sizes, which share GPUs for graphics; and bare metal, whose names do not
# contain the number of processors.
# Source: https://learn.microsoft.com/azure/virtual-machines/sizes/overview#gpu-accelerated,
# https://learn.microsoft.com/azure/aks/use-nvidia-gpu and
# https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html
GPU_SIZE_FORMS = {
    Cloud.AZURE: (r"Standard_N[CD]\d+[a-z]*(_(T4|A100|H100|H200))?_v\d+", "Standard_NC4as_T4_v3"),
    Cloud.AWS: (r"(g4dn|g5|g6|g6e|gr6|p3|p3dn|p4d|p4de|p5|p5e|p5en)\.\d*xlarge", "g5.xlarge"),
}
# Azure's machine learning machines and databases have the names of virtual machines.
TRAINING_SIZE_FORMS = {
    Cloud.AZURE: (NODE_SIZE_FORMS[Cloud.AZURE][0], "Standard_D4s_v3"),
    Cloud.AWS: (rf"ml\.{_AWS_SIZE}", "ml.m5.xlarge"),
}
DATABASE_SIZE_FORMS = {
    Cloud.AZURE: (r"Standard_([BDE])(\d+)[a-z]*(_v\d+)?", "Standard_D2ds_v5"),
    Cloud.AWS: (rf"db\.{_AWS_SIZE}", "db.m6g.large"),
}
# A system pool of AKS needs machines with at least this many virtual processors, which must not be burstable.
# Source: https://learn.microsoft.com/azure/aks/use-system-pools
AZURE_SYSTEM_POOL_PROCESSORS = 2

# Log Analytics keeps logs for any number of days within these bounds; CloudWatch only for one of these numbers.
# Source: https://learn.microsoft.com/azure/azure-monitor/logs/data-retention-configure and
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
AZURE_RETENTION_DAYS = range(30, 731)
AWS_RETENTION_DAYS = (30, 60, 90, 120, 150, 180, 365, 400, 545, 731)

# Values of tags: any on Azure; on AWS, only these characters, and a reserved prefix.
# Source: https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources and
# https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
AWS_TAG_VALUE = r"(?!(?i:aws:))[\w .:/=+@-]*"
AWS_TAG_CHARACTERS = "letters, digits, spaces and . : / = + - @ _"


@dataclass(frozen=True)
class TagLimits:
    """A cloud's limits for the tags that a stack adds.

    number        maximum number of tags in addition to the project's own
    key           pattern of a key, which `key_rule` states in words
    reserved      prefixes that a key cannot have, ignoring case; `reserved_for` says who reserves them
    """

    number: int
    key: str
    key_rule: str
    reserved: str
    reserved_for: str


TAG_LIMITS = {
    # A private DNS zone has at most 15 tags, whose keys cannot contain spaces or special characters, nor start with a
    # digit. The keys of a storage account's tags have at most 128 characters. The project itself sets 7 tags.
    # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources
    # and https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules for what is reserved
    Cloud.AZURE: TagLimits(
        15 - 7,
        r"[A-Za-z][A-Za-z0-9_.-]{0,127}",
        "it must start with a letter, and consist of at most 128 letters, digits, hyphens, underscores and periods",
        r"azure|microsoft|windows",
        "Azure reserves",
    ),
    # A resource has at most 50 tags: 7 of the project, its name, and, of subnets, the role. EKS controllers find
    # resources by Kubernetes tags.
    # Source: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
    # and https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
    Cloud.AWS: TagLimits(
        50 - 9,
        r"[\w .:/=+@-]{1,128}",
        f"it must consist of at most 128 {AWS_TAG_CHARACTERS}",
        r"aws:|eks:|([a-z0-9.-]+\.)?(kubernetes|k8s)\.io/",
        "AWS and Kubernetes reserve",
    ),
}

# Words that Azure rejects at the start of a name that is part of a public address, or anywhere in it.
# Source: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-reserved-resource-name
AZURE_RESERVED_NAMES = r"(login|xbox).*|.*(microsoft|windows).*"
