"""What the clouds' documentation limits settings to, with the source of each limit."""

from __future__ import annotations

from infra.core.settings.clouds import Cloud

# Regions with three availability zones.
# Source: https://learn.microsoft.com/azure/reliability/regions-list
AZURE_LOCATIONS = frozenset(
    "australiaeast brazilsouth canadacentral centralindia centralus eastasia eastus eastus2 francecentral "
    "germanywestcentral israelcentral italynorth japaneast japanwest koreacentral mexicocentral "
    "newzealandnorth northeurope norwayeast polandcentral qatarcentral southafricanorth southcentralus "
    "southeastasia spaincentral swedencentral switzerlandnorth uaenorth uksouth westeurope westus2 "
    "westus3".split()
)
# Source: https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html; us-west-1 is
# missing because it offers new accounts only two zones.
AWS_LOCATIONS = frozenset(
    "af-south-1 ap-east-1 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 "
    "ap-southeast-2 ap-southeast-3 ap-southeast-4 ca-central-1 ca-west-1 eu-central-1 eu-central-2 eu-north-1 "
    "eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 sa-east-1 "
    "us-east-1 us-east-2 us-west-2".split()
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
