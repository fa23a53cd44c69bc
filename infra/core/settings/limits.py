"""What the clouds' documentation limits settings to, with the source of each limit."""

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
# The only region in which Azure keeps copies of one; those without a pair keep none.
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

# The form of IDs, and an example of each.
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

# Ranges that neither network, pods nor services may touch.
RESERVED_BLOCKS = {
    # Source: https://learn.microsoft.com/azure/aks/concepts-network-ip-address-planning
    Cloud.AZURE: tuple(
        map(ipaddress.IPv4Network, ("169.254.0.0/16", "172.30.0.0/16", "172.31.0.0/16", "192.0.2.0/24"))
    ),
    # SageMaker's machines have Docker's network there.
    # Source: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
    Cloud.AWS: (ipaddress.IPv4Network("172.17.0.0/16"),),
}
# The longest and the shortest prefix of the services' block: AKS has it smaller than /12 and gives its DNS the tenth
# address; EKS takes /24 to /12.
# Source: https://learn.microsoft.com/azure/aks/concepts-network-ip-address-planning and
# https://docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html
SERVICE_PREFIXES = {Cloud.AZURE: (13, 28), Cloud.AWS: (12, 24)}
# With the overlay, AKS gives each node a block of this size out of the pods' block.
# Source: https://learn.microsoft.com/azure/aks/azure-cni-overlay
AZURE_PODS_PREFIX_OF_A_NODE = 24

# Blocks for examples, which are routed nowhere. Those of IPv6 (RFC 3849) are no ranges that a setting can have.
# Source: https://www.rfc-editor.org/rfc/rfc5737
DOCUMENTATION_BLOCKS = tuple(map(ipaddress.IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))

# Hosts for examples, at which nobody answers. Source: https://www.rfc-editor.org/rfc/rfc2606
EXAMPLE_HOSTS = r"(.+\.)?example(\.com|\.net|\.org)?|.+\.(test|invalid)"

# How many ranges may reach a public API: https://learn.microsoft.com/azure/aks/api-server-authorized-ip-ranges and
# https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html
AUTHORIZED_RANGES = {Cloud.AZURE: 200, Cloud.AWS: 40}

# The form of instance sizes, and an example of each.
# Source: https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions and
# https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
_AWS_SIZE = r"[a-z]+\d+[a-z]*(-[a-z0-9]+)?\.(nano|micro|small|medium|large|\d*xlarge|metal(-\d+xl)?)"
NODE_SIZE_FORMS = {
    Cloud.AZURE: (r"Standard_[A-Z]+(\d+)(-\d+)?[a-z]*(_[A-Z0-9]+)*(_v\d+)?", "Standard_D4s_v5"),
    Cloud.AWS: (_AWS_SIZE, "m6i.xlarge"),
}
# Sizes with NVIDIA GPUs, whose drivers both clouds' node images have, and x86 processors. Not those with AMD GPUs, such
# as ND_MI300X, NVv4 and g4ad; nor NV, for graphics, whose GPUs are shared; nor bare metal, whose names do not tell the
# number of processors.
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
# A system pool of AKS needs machines of this many virtual processors, and not burstable ones.
# Source: https://learn.microsoft.com/azure/aks/use-system-pools
AZURE_SYSTEM_POOL_PROCESSORS = 2

# Log Analytics keeps logs for any number of days in these bounds; CloudWatch for one of these numbers.
# Source: https://learn.microsoft.com/azure/azure-monitor/logs/data-retention-configure and
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
AZURE_RETENTION_DAYS = range(30, 731)
AWS_RETENTION_DAYS = (30, 60, 90, 120, 150, 180, 365, 400, 545, 731)

# Values of tags: any on Azure, these characters on AWS, where the prefix is reserved.
# Source: https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources and
# https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
AWS_TAG_VALUE = r"(?!(?i:aws:))[\w .:/=+@-]*"
AWS_TAG_CHARACTERS = "letters, digits, blanks and . : / = + - @ _"


@dataclass(frozen=True)
class TagLimits:
    """What a cloud allows of the tags that a stack adds.

    number        of tags beside the project's own
    key           form of a key, which `key_rule` says in words
    reserved      prefixes that a key cannot have, in any case; `reserved_for` says whose they are
    """

    number: int
    key: str
    key_rule: str
    reserved: str
    reserved_for: str


TAG_LIMITS = {
    # A private DNS zone takes 15 tags, whose keys have no blanks and special characters and do not start with a digit.
    # A key of a storage account's tag has at most 128 characters. 7 tags are the project's.
    # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources
    # and https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules for what is reserved
    Cloud.AZURE: TagLimits(
        15 - 7,
        r"[A-Za-z][A-Za-z0-9_.-]{0,127}",
        "it must start with a letter, and consist of at most 128 letters, digits, hyphens, underscores and periods",
        r"azure|microsoft|windows",
        "Azure reserves",
    ),
    # A resource takes 50 tags: 7 of the project, its name, and of subnets the role. Controllers of EKS find resources
    # by tags of Kubernetes.
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

# Words that Azure refuses at the start of a name that is part of a public address, or anywhere in it.
# Source: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-reserved-resource-name
AZURE_RESERVED_NAMES = r"(login|xbox).*|.*(microsoft|windows).*"
