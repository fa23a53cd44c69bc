"""The resource group and its virtual network.

A subnet spans all zones of its location, so one of each kind is enough.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import network, privatedns, resources

from infra.core.component import Component, StackContext

ZONES = ("1", "2", "3")

# The DNS zones in which a service's public name resolves to its private endpoint, keyed by the endpoint's group ID.
# Source: https://learn.microsoft.com/azure/private-link/private-endpoint-dns
PRIVATE_ZONES: Mapping[str, Sequence[str]] = {
    "vault": ("privatelink.vaultcore.azure.net",),
    "registry": ("privatelink.azurecr.io",),
    "blob": ("privatelink.blob.core.windows.net",),
    "file": ("privatelink.file.core.windows.net",),
    "Sql": ("privatelink.documents.azure.com",),
    "amlworkspace": ("privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"),
}


@dataclass(frozen=True)
class SubnetBlocks:
    """Address blocks of the subnets.

    Pods have addresses outside of the network (overlay), so a quarter of the smallest network, a /22, has room for more
    nodes than both pools can have. The other three subnets need a few dozen addresses each.
    """

    nodes: str
    endpoints: str
    database: str
    api: str

    @classmethod
    def split(cls, cidr: str) -> SubnetBlocks:
        nodes, services, *_ = ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=2)
        endpoints, database, api, _ = services.subnets(prefixlen_diff=2)
        return cls(str(nodes), str(endpoints), str(database), str(api))


@dataclass(frozen=True)
class NetworkArgs:
    context: StackContext


class Network(Component):
    """Four subnets, a NAT gateway, and private DNS zones for the services with private endpoints."""

    layer = "azure"

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._context = args.context
        self.blocks = SubnetBlocks.split(args.context.settings.network.cidr)

        group = resources.ResourceGroup(
            name,
            resource_group_name=args.context.naming.regional_name("rg", limit=90),
            tags=args.context.naming.tags,
            opts=self.child_options(),
        )
        self._resource_group: pulumi.Output[str] = group.name
        self._resource_group_id: pulumi.Output[str] = group.id
        self._network = network.VirtualNetwork(
            name,
            resource_group_name=self.resource_group,
            virtual_network_name=args.context.naming.regional_name("vnet", limit=64),
            address_space=network.AddressSpaceArgs(address_prefixes=[args.context.settings.network.cidr]),
            tags=args.context.naming.tags,
            opts=self.child_options(),
        )
        self._id: pulumi.Output[str] = self._network.id
        self._gateway = self._create_nat_gateway(f"{name}-outbound")
        self._subnets: Mapping[str, pulumi.Output[str]] = {
            kind: subnet.id for kind, subnet in self._create_subnets(name, self._peer_with_hub(f"{name}-hub")).items()
        }
        self._zones: dict[str, pulumi.Output[str]] = {}
        for zone in (zone for zones in PRIVATE_ZONES.values() for zone in zones):
            self._zones[zone] = self._create_private_dns_zone(f"{name}-{zone.split('.')[1]}", zone)
        self._database_zone = self._create_private_dns_zone(
            f"{name}-postgres", f"{args.context.naming.prefix}.private.postgres.database.azure.com"
        )
        self.register_outputs({"id": self.id, "resource_group": self.resource_group})

    @property
    def resource_group(self) -> pulumi.Output[str]:
        return self._resource_group

    @property
    def resource_group_id(self) -> pulumi.Output[str]:
        return self._resource_group_id

    @property
    def id(self) -> pulumi.Output[str]:
        return self._id

    @property
    def nodes_subnet(self) -> pulumi.Output[str]:
        """ID of the subnet of the cluster's nodes."""
        return self._subnets["nodes"]

    @property
    def database_subnet(self) -> pulumi.Output[str]:
        """ID of the subnet delegated to PostgreSQL."""
        return self._subnets["database"]

    @property
    def api_subnet(self) -> pulumi.Output[str]:
        """ID of the subnet delegated to the Kubernetes API server."""
        return self._subnets["api"]

    @property
    def nat_gateway(self) -> pulumi.Output[str]:
        """ID of the gateway to the internet."""
        gateway: pulumi.Output[str] = self._gateway.id
        return gateway

    @property
    def database_zone(self) -> pulumi.Output[str]:
        """ID of PostgreSQL's private DNS zone; depends on the zone's link to the network."""
        return self._database_zone

    def create_private_endpoint(
        self, name: str, target: pulumi.Input[str], group: str, parent: pulumi.Resource
    ) -> network.PrivateEndpoint:
        """Make `target` reachable by its public name at an address of this network."""
        endpoint = network.PrivateEndpoint(
            name,
            resource_group_name=self.resource_group,
            private_endpoint_name=self._context.naming.regional_name(f"pe-{name}", limit=64),
            subnet=network.SubnetArgs(id=self._subnets["endpoints"]),
            private_link_service_connections=[
                network.PrivateLinkServiceConnectionArgs(
                    name=group.lower(), private_link_service_id=target, group_ids=[group]
                )
            ],
            tags=self._context.naming.tags,
            opts=pulumi.ResourceOptions(parent=parent),
        )
        network.PrivateDnsZoneGroup(
            name,
            resource_group_name=self.resource_group,
            private_endpoint_name=endpoint.name,
            private_dns_zone_group_name="default",
            private_dns_zone_configs=[
                network.PrivateDnsZoneConfigArgs(name=zone.replace(".", "-"), private_dns_zone_id=self._zones[zone])
                for zone in PRIVATE_ZONES[group]
            ],
            opts=pulumi.ResourceOptions(parent=endpoint),
        )
        return endpoint

    def _peer_with_hub(self, name: str) -> network.VirtualNetworkPeering | None:
        """This network's side of a peering with the hub, whose owner creates the other side."""
        hub = self._context.settings.network.hub
        if not hub:
            return None
        return network.VirtualNetworkPeering(
            name,
            resource_group_name=self.resource_group,
            virtual_network_name=self._network.name,
            virtual_network_peering_name="hub",
            remote_virtual_network=network.SubResourceArgs(id=hub),
            allow_virtual_network_access=True,
            # Traffic that a firewall or gateway in the hub forwards, such as a VPN's.
            allow_forwarded_traffic=True,
            opts=self.child_options(),
        )

    def _create_subnets(self, name: str, peering: network.VirtualNetworkPeering | None) -> Mapping[str, network.Subnet]:
        blocks = self.blocks
        nodes = self._create_subnet(f"{name}-nodes", blocks.nodes, rules=[], gateway=self._gateway, after=peering)
        endpoints = self._create_subnet(
            f"{name}-endpoints",
            blocks.endpoints,
            rules=[_allow_rule("https", blocks_from="VirtualNetwork", port="443"), _DENY_RULE],
            after=nodes,
        )
        database = self._create_subnet(
            f"{name}-database",
            blocks.database,
            # The standby replicates over the same port from within the subnet.
            rules=[
                _allow_rule("postgres", blocks_from=blocks.nodes, port="5432"),
                _allow_rule("standby", blocks_from=blocks.database, port="5432", priority=110),
                _DENY_RULE,
            ],
            delegation="Microsoft.DBforPostgreSQL/flexibleServers",
            after=endpoints,
        )
        api = self._create_subnet(
            f"{name}-api",
            blocks.api,
            rules=self._define_api_rules(),
            delegation="Microsoft.ContainerService/managedClusters",
            after=database,
        )
        return {"nodes": nodes, "endpoints": endpoints, "database": database, "api": api}

    def _define_api_rules(self) -> Sequence[network.SecurityRuleArgs]:
        """Rules for access to a private API server: from nodes, from its Azure load balancer, and as the settings say.

        By default a whole peered network has access. How requests from authorized ranges reach a public API server in
        the subnet is not documented, so it has no rules; AKS itself admits only these ranges.
        Source: https://learn.microsoft.com/azure/aks/api-server-vnet-integration#nsg-security-rules
        """
        sources = self._context.settings.cluster.private_access_from
        if not sources:
            return []
        return [
            *(
                _allow_rule(f"nodes-{port}", blocks_from=self.blocks.nodes, port=port, priority=100 + number)
                for number, port in enumerate(("443", "4443"))
            ),
            _allow_rule("probes", blocks_from="AzureLoadBalancer", port="9988", priority=110),
            *(
                _allow_rule(f"clients-{number}", blocks_from=block, port="443", priority=200 + number)
                for number, block in enumerate(sources)
            ),
            _DENY_RULE,
        ]

    def _create_nat_gateway(self, name: str) -> network.NatGateway:
        """A gateway for outbound traffic of the nodes, with one fixed address that partners can allow."""
        address = network.PublicIPAddress(
            name,
            resource_group_name=self.resource_group,
            public_ip_address_name=self._context.naming.regional_name("pip-outbound", limit=80),
            public_ip_allocation_method="Static",
            sku=network.PublicIPAddressSkuArgs(name="Standard"),
            zones=ZONES,
            tags=self._context.naming.tags,
            opts=self.child_options(),
        )
        return network.NatGateway(
            name,
            resource_group_name=self.resource_group,
            nat_gateway_name=self._context.naming.regional_name("nat", limit=80),
            sku=network.NatGatewaySkuArgs(name="Standard"),
            public_ip_addresses=[network.SubResourceArgs(id=address.id)],
            tags=self._context.naming.tags,
            opts=self.child_options(),
        )

    def _create_subnet(
        self,
        name: str,
        block: str,
        *,
        rules: Sequence[network.SecurityRuleArgs],
        delegation: str = "",
        gateway: network.NatGateway | None = None,
        after: pulumi.Resource | None = None,
    ) -> network.Subnet:
        """A subnet with a security group. Azure's default rules deny all traffic from the internet."""
        group = network.NetworkSecurityGroup(
            name,
            resource_group_name=self.resource_group,
            network_security_group_name=self._context.naming.regional_name(f"nsg-{name}", limit=80),
            security_rules=rules,
            tags=self._context.naming.tags,
            opts=self.child_options(),
        )
        return network.Subnet(
            name,
            resource_group_name=self.resource_group,
            virtual_network_name=self._network.name,
            subnet_name=name,
            address_prefix=block,
            network_security_group=network.NetworkSecurityGroupArgs(id=group.id),
            nat_gateway=network.SubResourceArgs(id=gateway.id) if gateway else None,
            delegations=[network.DelegationArgs(name="service", service_name=delegation)] if delegation else None,
            default_outbound_access=False,
            # Without this, the security group is not applied to private endpoints.
            private_endpoint_network_policies="Enabled",
            # Azure changes one subnet of a network at a time and rejects the others (AnotherOperationInProgress).
            opts=self.child_options(depends_on=[after] if after else []),
        )

    def _create_private_dns_zone(self, name: str, zone_name: str) -> pulumi.Output[str]:
        zone = privatedns.PrivateZone(
            name,
            resource_group_name=self.resource_group,
            private_zone_name=zone_name,
            location="global",
            tags=self._context.naming.tags,
            opts=self.child_options(),
        )
        link = privatedns.VirtualNetworkLink(
            name,
            resource_group_name=self.resource_group,
            private_zone_name=zone.name,
            virtual_network_link_name=self._context.naming.regional_name("vnet", limit=80),
            location="global",
            registration_enabled=False,
            virtual_network=privatedns.SubResourceArgs(id=self.id),
            tags=self._context.naming.tags,
            opts=self.child_options(),
        )
        return pulumi.Output.all(zone.id, link.id).apply(lambda ids: str(ids[0]))


def _allow_rule(name: str, *, blocks_from: str, port: str, priority: int = 100) -> network.SecurityRuleArgs:
    return network.SecurityRuleArgs(
        name=f"allow-{name}",
        priority=priority,
        direction="Inbound",
        access="Allow",
        protocol="Tcp",
        source_address_prefix=blocks_from,
        source_port_range="*",
        destination_address_prefix="*",
        destination_port_range=port,
    )


# Azure's default rules allow the whole network; this rule, the last one before them (4096), denies the rest.
_DENY_RULE = network.SecurityRuleArgs(
    name="deny-the-rest",
    priority=4096,
    direction="Inbound",
    access="Deny",
    protocol="*",
    source_address_prefix="*",
    source_port_range="*",
    destination_address_prefix="*",
    destination_port_range="*",
)
