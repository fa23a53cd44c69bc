"""The VPC: three zones, each with a public, a private and a data subnet."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import GetAvailabilityZonesFilterArgs, ec2, get_availability_zones

from infra.access import Store
from infra.contract import Endpoint
from infra.core.component import Component, StackContext

_ZONES = 3
# EKS puts no control plane into these.
# Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
_ZONES_WITHOUT_EKS = ("use1-az3", "usw1-az2", "cac1-az3")
_INTERFACE_SERVICES = ("ecr.api", "ecr.dkr", "secretsmanager", "sts", "logs", "kms")
HTTPS = 443
POSTGRES = 5432


@dataclass(frozen=True)
class Blocks:
    """The VPC's address space, cut: one block per zone for each kind of subnet."""

    private: Sequence[str]
    public: Sequence[str]
    data: Sequence[str]

    @classmethod
    def cut(cls, cidr: str) -> Blocks:
        """A quarter of the space for each zone's nodes, since pods take addresses of their node's subnet.

        What needs few addresses shares the last quarter: of a /20, 123 in each public and data subnet.
        """
        *private, shared = map(str, ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=2))
        small = [str(block) for block in ipaddress.IPv4Network(shared).subnets(prefixlen_diff=3)]
        return cls(private, public=small[:_ZONES], data=small[_ZONES : 2 * _ZONES])


@dataclass(frozen=True)
class NetworkArgs:
    context: StackContext


class Network(Component):
    """VPC, subnets, NAT, and the ways to AWS's services that do not leave the network."""

    layer = "aws"

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._context = args.context
        self._blocks = Blocks.cut(args.context.settings.network.cidr)
        self._zones = self._find_zones()
        self._vpc = self._create_vpc()
        self._public = self._create_subnets("public", self._blocks.public, {"kubernetes.io/role/elb": "1"})
        self._private = self._create_subnets("private", self._blocks.private, {"kubernetes.io/role/internal-elb": "1"})
        self._data = self._create_subnets("data", self._blocks.data, {})
        gateways = self._create_way_out()
        tables = self._create_private_routes(gateways)
        self._route(
            "data", self._data, [ec2.RouteTable("network-data", **self._table("data"), opts=self.child_options())]
        )
        self._s3 = self._create_gateway_endpoint("s3", tables)
        self._dynamodb = self._create_gateway_endpoint("dynamodb", tables)
        self._create_interface_endpoints()
        self.register_outputs({"vpc": self.vpc_id})

    def _find_zones(self) -> Sequence[str]:
        """Three zones of this account that EKS can use; local zones are those one has to opt into."""
        found = get_availability_zones(
            state="available",
            exclude_zone_ids=_ZONES_WITHOUT_EKS,
            filters=[GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])],
            opts=pulumi.InvokeOptions(parent=self),
        )
        if len(found.names) < _ZONES:
            location = self._context.settings.location
            raise pulumi.RunError(f"{location} offers this account {len(found.names)} zones, EKS here needs {_ZONES}")
        return tuple(sorted(found.names)[:_ZONES])

    def _tags(self, part: str) -> Mapping[str, str]:
        """EC2's console and bills know resources by their tag `Name`."""
        return {**self._context.naming.tags, "Name": self._context.naming.regional_name(part)}

    def _create_vpc(self) -> ec2.Vpc:
        vpc = ec2.Vpc(
            "network",
            cidr_block=self._context.settings.network.cidr,
            # EKS's private endpoint and the interface endpoints are found by private DNS, which needs both.
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags("vpc"),
            opts=self.child_options(),
        )
        # Without rules: what forgets to name its security group gets one that lets nothing through.
        ec2.DefaultSecurityGroup(
            "network-default", vpc_id=vpc.id, tags=self._tags("default"), opts=self.child_options()
        )
        return vpc

    def _create_subnets(self, kind: str, blocks: Sequence[str], tags: Mapping[str, str]) -> Sequence[ec2.Subnet]:
        return [
            ec2.Subnet(
                f"network-{kind}-{number}",
                vpc_id=self._vpc.id,
                availability_zone=zone,
                cidr_block=block,
                map_public_ip_on_launch=False,
                tags={**self._tags(f"{kind}-{number}"), **tags},
                opts=self.child_options(),
            )
            for number, (zone, block) in enumerate(zip(self._zones, blocks, strict=True), start=1)
        ]

    def _create_way_out(self) -> Sequence[ec2.NatGateway]:
        """One NAT gateway per zone in production; elsewhere one for all, at a third of the price."""
        internet = ec2.InternetGateway(
            "network-internet", vpc_id=self._vpc.id, tags=self._tags("internet"), opts=self.child_options()
        )
        to_internet = ec2.RouteTableRouteArgs(cidr_block="0.0.0.0/0", gateway_id=internet.id)
        public = ec2.RouteTable(
            "network-public", **self._table("public"), routes=[to_internet], opts=self.child_options()
        )
        self._route("public", self._public, [public])
        gateways = []
        for number, subnet in enumerate(self._redundant(self._public), start=1):
            address = ec2.Eip(
                f"network-nat-{number}",
                domain="vpc",
                tags=self._tags(f"nat-{number}"),
                opts=self.child_options(depends_on=[internet]),
            )
            gateway = ec2.NatGateway(
                f"network-nat-{number}",
                allocation_id=address.id,
                subnet_id=subnet.id,
                tags=self._tags(f"nat-{number}"),
                opts=self.child_options(depends_on=[internet]),
            )
            gateways.append(gateway)
        return gateways

    def _create_private_routes(self, gateways: Sequence[ec2.NatGateway]) -> Sequence[ec2.RouteTable]:
        tables = []
        for number, gateway in enumerate(gateways, start=1):
            to_nat = ec2.RouteTableRouteArgs(cidr_block="0.0.0.0/0", nat_gateway_id=gateway.id)
            part = f"private-{number}"
            tables.append(
                ec2.RouteTable(f"network-{part}", **self._table(part), routes=[to_nat], opts=self.child_options())
            )
        self._route("private", self._private, tables)
        return tables

    def _table(self, part: str) -> dict[str, pulumi.Input[str] | Mapping[str, str]]:
        return {"vpc_id": self._vpc.id, "tags": self._tags(part)}

    def _route(self, kind: str, subnets: Sequence[ec2.Subnet], tables: Sequence[ec2.RouteTable]) -> None:
        """Give each subnet its zone's table, or the only one."""
        for index, subnet in enumerate(subnets):
            ec2.RouteTableAssociation(
                f"network-{kind}-{index + 1}",
                subnet_id=subnet.id,
                route_table_id=tables[index % len(tables)].id,
                opts=self.child_options(),
            )

    def _create_gateway_endpoint(self, service: str, tables: Sequence[ec2.RouteTable]) -> ec2.VpcEndpoint:
        return ec2.VpcEndpoint(
            f"network-{service}",
            vpc_id=self._vpc.id,
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{self._context.settings.location}.{service}",
            route_table_ids=[table.id for table in tables],
            tags=self._tags(service),
            opts=self.child_options(),
        )

    def _create_interface_endpoints(self) -> None:
        """Paid by zone and hour, so in every zone in production only; private DNS serves the others too."""
        https = ec2.SecurityGroupIngressArgs(
            description="HTTPS from the network",
            protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            cidr_blocks=[self._context.settings.network.cidr],
        )
        group = ec2.SecurityGroup(
            "network-endpoints",
            vpc_id=self._vpc.id,
            name=self._context.naming.regional_name("endpoints", limit=255),
            description="Interface endpoints of AWS services",
            ingress=[https],
            tags=self._tags("endpoints"),
            opts=self.child_options(),
        )
        for service in _INTERFACE_SERVICES:
            part = service.replace(".", "-")
            ec2.VpcEndpoint(
                f"network-{part}",
                vpc_id=self._vpc.id,
                vpc_endpoint_type="Interface",
                service_name=f"com.amazonaws.{self._context.settings.location}.{service}",
                subnet_ids=[subnet.id for subnet in self._redundant(self._private)],
                security_group_ids=[group.id],
                private_dns_enabled=True,
                tags=self._tags(part),
                opts=self.child_options(),
            )

    def _redundant(self, subnets: Sequence[ec2.Subnet]) -> Sequence[ec2.Subnet]:
        return subnets if self._context.settings.production else subnets[:1]

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
    def endpoints(self) -> Mapping[Store, Endpoint]:
        """Where each store answers. S3 and DynamoDB keep their public addresses behind a gateway endpoint."""
        return {
            Store.ARTIFACTS: Endpoint(self._s3.cidr_blocks, HTTPS),
            Store.EXPERIMENTS: Endpoint(self._dynamodb.cidr_blocks, HTTPS),
            Store.REGISTRY: Endpoint(self._blocks.private, HTTPS),
            Store.TRACKING_DB: Endpoint(self._blocks.data, POSTGRES),
        }
