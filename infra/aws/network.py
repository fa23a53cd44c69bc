"""The VPC: public, private and data subnets in three zones."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import GetAvailabilityZonesFilterArgs, ec2, ec2transitgateway, get_availability_zones

from infra.access import Store
from infra.contract import Endpoint
from infra.core.component import Component, StackContext

_ZONES = 3
# Zones in which EKS cannot place a control plane.
# Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
_ZONES_WITHOUT_EKS = ("use1-az3", "usw1-az2", "cac1-az3")
_INTERFACE_SERVICES = (
    # of nodes and of workloads
    *("ecr.api", "ecr.dkr", "eks-auth", "kms", "logs", "secretsmanager", "sts"),
    # of the controllers of nodes, disks and load balancers
    *("ec2", "eks", "elasticloadbalancing", "sqs", "ssm"),
)
_PRIVATE_BLOCKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")  # RFC 1918
HTTPS = 443
POSTGRES = 5432


@dataclass(frozen=True)
class SubnetBlocks:
    """Address blocks of the subnets: for each kind of subnet, one per zone."""

    private: Sequence[str]
    public: Sequence[str]
    data: Sequence[str]

    @classmethod
    def split(cls, cidr: str) -> SubnetBlocks:
        """A quarter of the network for the nodes of each zone, since pods have addresses of their node's subnet.

        The other subnets need few addresses and share the last quarter: in a /20, each of them has 123.
        """
        *private, shared = map(str, ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=2))
        small = [str(block) for block in ipaddress.IPv4Network(shared).subnets(prefixlen_diff=3)]
        return cls(private, public=small[:_ZONES], data=small[_ZONES : 2 * _ZONES])


@dataclass(frozen=True)
class NetworkArgs:
    context: StackContext


class Network(Component):
    """Nine subnets, NAT gateways, and endpoints of AWS services within the network."""

    layer = "aws"

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._context = args.context
        self._blocks = SubnetBlocks.split(args.context.settings.network.cidr)
        self._zones = self._find_zones()
        self._vpc = self._create_vpc(name)
        self._public = self._create_subnets(name, "public", self._blocks.public, {"kubernetes.io/role/elb": "1"})
        self._private = self._create_subnets(
            name, "private", self._blocks.private, {"kubernetes.io/role/internal-elb": "1"}
        )
        self._data = self._create_subnets(name, "data", self._blocks.data, {})
        self._gateways = self._create_nat_gateways(name)
        tables = self._create_private_route_tables(name, self._gateways, self._create_hub_routes(f"{name}-hub"))
        self._associate_route_tables(
            name,
            "data",
            self._data,
            [ec2.RouteTable(f"{name}-data", **self._route_table_args("data"), opts=self.child_options())],
        )
        self._s3 = self._create_gateway_endpoint(name, "s3", tables)
        self._dynamodb = self._create_gateway_endpoint(name, "dynamodb", tables)
        self._create_interface_endpoints(name)
        self.register_outputs({"vpc": self.vpc_id})

    @property
    def vpc_id(self) -> pulumi.Output[str]:
        vpc: pulumi.Output[str] = self._vpc.id
        return vpc

    @property
    def zones(self) -> Sequence[str]:
        return self._zones

    @property
    def private_subnets(self) -> Sequence[pulumi.Output[str]]:
        return [subnet.id for subnet in self._private]

    @property
    def private_blocks(self) -> Sequence[str]:
        return self._blocks.private

    @property
    def data_subnets(self) -> Sequence[pulumi.Output[str]]:
        return [subnet.id for subnet in self._data]

    @property
    def nat_gateways(self) -> Sequence[pulumi.Output[str]]:
        """IDs of the gateways to the internet."""
        return [gateway.id for gateway in self._gateways]

    @property
    def endpoints(self) -> Mapping[Store, Endpoint]:
        """The endpoint of each store. S3 and DynamoDB have public addresses even with a gateway endpoint."""
        buckets, database = Endpoint(self._s3.cidr_blocks, HTTPS), Endpoint(self._blocks.data, POSTGRES)
        return {
            Store.ARTIFACTS: buckets,
            Store.INFERENCES: buckets,
            Store.EXPERIMENTS: Endpoint(self._dynamodb.cidr_blocks, HTTPS),
            Store.REGISTRY: Endpoint(self._blocks.private, HTTPS),
            Store.TRACKING_DB: database,
            Store.LIFECYCLE_DB: database,
            Store.SECRETS: Endpoint(self._blocks.private, HTTPS),
            Store.LOGS: buckets,
            Store.TRACES: buckets,
        }

    def _find_zones(self) -> Sequence[str]:
        """Three zones of this account that EKS can use, in any state: a stack keeps its zones if one fails.

        The filter excludes local zones, which require opt-in.
        """
        available = get_availability_zones(
            exclude_zone_ids=_ZONES_WITHOUT_EKS,
            filters=[GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])],
            opts=pulumi.InvokeOptions(parent=self),
        )
        if len(available.names) < _ZONES:
            location = self._context.settings.location
            raise pulumi.RunError(
                f"groundwork:location = '{location}' offers this account {len(available.names)} zones that EKS "
                f"supports, but the network needs {_ZONES}. Remedy: use another region"
            )
        return tuple(sorted(available.names)[:_ZONES])

    def _tags(self, suffix: str) -> Mapping[str, str]:
        """The EC2 console shows resources by their tag `Name`."""
        return {**self._context.naming.tags, "Name": self._context.naming.regional_name(suffix)}

    def _create_vpc(self, name: str) -> ec2.Vpc:
        vpc = ec2.Vpc(
            name,
            cidr_block=self._context.settings.network.cidr,
            # The private DNS names of EKS and of interface endpoints require both.
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags("vpc"),
            opts=self.child_options(),
        )
        # The default group has no rules, so that resources without their own security group have no traffic.
        ec2.DefaultSecurityGroup(
            f"{name}-default", vpc_id=vpc.id, tags=self._tags("default"), opts=self.child_options()
        )
        return vpc

    def _create_subnets(
        self, name: str, kind: str, blocks: Sequence[str], tags: Mapping[str, str]
    ) -> Sequence[ec2.Subnet]:
        return [
            ec2.Subnet(
                f"{name}-{kind}-{number}",
                vpc_id=self._vpc.id,
                availability_zone=zone,
                cidr_block=block,
                map_public_ip_on_launch=False,
                tags={**self._tags(f"{kind}-{number}"), **tags},
                # Otherwise a zone that is added to the region would move the network, with all resources in it.
                opts=self.child_options(ignore_changes=["availabilityZone"]),
            )
            for number, (zone, block) in enumerate(zip(self._zones, blocks, strict=True), start=1)
        ]

    def _create_nat_gateways(self, name: str) -> Sequence[ec2.NatGateway]:
        """Routes to the internet. NAT gateways are billed by the hour, so one for all zones costs a third."""
        internet = ec2.InternetGateway(
            f"{name}-internet", vpc_id=self._vpc.id, tags=self._tags("internet"), opts=self.child_options()
        )
        to_internet = ec2.RouteTableRouteArgs(cidr_block="0.0.0.0/0", gateway_id=internet.id)
        public = ec2.RouteTable(
            f"{name}-public", **self._route_table_args("public"), routes=[to_internet], opts=self.child_options()
        )
        self._associate_route_tables(name, "public", self._public, [public])
        gateways = []
        subnets = self._public if self._context.settings.resilience.nat_gateway_per_zone else self._public[:1]
        for number, subnet in enumerate(subnets, start=1):
            address = ec2.Eip(
                f"{name}-nat-{number}",
                domain="vpc",
                tags=self._tags(f"nat-{number}"),
                opts=self.child_options(depends_on=[internet]),
            )
            gateway = ec2.NatGateway(
                f"{name}-nat-{number}",
                allocation_id=address.id,
                subnet_id=subnet.id,
                tags=self._tags(f"nat-{number}"),
                opts=self.child_options(depends_on=[internet]),
            )
            gateways.append(gateway)
        return gateways

    def _create_hub_routes(self, name: str) -> Sequence[ec2.RouteTableRouteArgs]:
        """Routes to all private networks, through the transit gateway of the hub."""
        settings = self._context.settings.network
        if not settings.hub:
            return []
        attachment = ec2transitgateway.VpcAttachment(
            name,
            transit_gateway_id=settings.hub,
            vpc_id=self._vpc.id,
            subnet_ids=self.private_subnets,
            tags=self._tags("hub"),
            opts=self.child_options(),
        )
        return [
            # From the attachment, because EC2 rejects routes to a gateway that is not attached.
            ec2.RouteTableRouteArgs(cidr_block=block, transit_gateway_id=attachment.transit_gateway_id)
            for block in _PRIVATE_BLOCKS
            if block != settings.cidr  # the network's own block has a local route already
        ]

    def _create_private_route_tables(
        self, name: str, gateways: Sequence[ec2.NatGateway], routes: Sequence[ec2.RouteTableRouteArgs]
    ) -> Sequence[ec2.RouteTable]:
        tables = []
        for number, gateway in enumerate(gateways, start=1):
            to_nat = ec2.RouteTableRouteArgs(cidr_block="0.0.0.0/0", nat_gateway_id=gateway.id)
            suffix = f"private-{number}"
            tables.append(
                ec2.RouteTable(
                    f"{name}-{suffix}",
                    **self._route_table_args(suffix),
                    routes=[to_nat, *routes],
                    opts=self.child_options(),
                )
            )
        self._associate_route_tables(name, "private", self._private, tables)
        return tables

    def _route_table_args(self, suffix: str) -> dict[str, pulumi.Input[str] | Mapping[str, str]]:
        return {"vpc_id": self._vpc.id, "tags": self._tags(suffix)}

    def _associate_route_tables(
        self, name: str, kind: str, subnets: Sequence[ec2.Subnet], tables: Sequence[ec2.RouteTable]
    ) -> None:
        """Associate each subnet with the route table of its zone, or with the only one."""
        for index, subnet in enumerate(subnets):
            ec2.RouteTableAssociation(
                f"{name}-{kind}-{index + 1}",
                subnet_id=subnet.id,
                route_table_id=tables[index % len(tables)].id,
                opts=self.child_options(),
            )

    def _create_gateway_endpoint(self, name: str, service: str, tables: Sequence[ec2.RouteTable]) -> ec2.VpcEndpoint:
        return ec2.VpcEndpoint(
            f"{name}-{service}",
            vpc_id=self._vpc.id,
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{self._context.settings.location}.{service}",
            route_table_ids=[table.id for table in tables],
            tags=self._tags(service),
            opts=self.child_options(),
        )

    def _create_interface_endpoints(self, name: str) -> None:
        """Endpoints are billed by zone and hour. Those in one zone also serve the nodes of the others."""
        group = ec2.SecurityGroup(
            f"{name}-endpoints",
            vpc_id=self._vpc.id,
            name=self._context.naming.regional_name("endpoints", limit=255),
            description="Interface endpoints of AWS services",
            ingress=[tcp_rule("HTTPS from the network", HTTPS, HTTPS, [self._context.settings.network.cidr])],
            tags=self._tags("endpoints"),
            opts=self.child_options(),
        )
        resilience = self._context.settings.resilience
        subnets = self._private if resilience.private_endpoint_per_zone else self._private[:1]
        for service in _INTERFACE_SERVICES:
            suffix = service.replace(".", "-")
            ec2.VpcEndpoint(
                f"{name}-{suffix}",
                vpc_id=self._vpc.id,
                vpc_endpoint_type="Interface",
                service_name=f"com.amazonaws.{self._context.settings.location}.{service}",
                subnet_ids=[subnet.id for subnet in subnets],
                security_group_ids=[group.id],
                private_dns_enabled=True,
                tags=self._tags(suffix),
                opts=self.child_options(),
            )


def tcp_rule(
    description: str, first: int, last: int, blocks: Sequence[str] | None = None, *, itself: bool = False
) -> dict[str, object]:
    """A TCP rule, in the form of both ingress and egress rules of security groups."""
    rule: dict[str, object] = {"description": description, "protocol": "tcp", "from_port": first, "to_port": last}
    return {**rule, "self": True} if itself else {**rule, "cidr_blocks": blocks}
