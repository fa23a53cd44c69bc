"""Checks of connectivity in a VPC: routes of the nodes' subnets, and endpoints of AWS's services.

Sources: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html,
https://docs.aws.amazon.com/vpc/latest/privatelink/gateway-endpoints.html,
https://docs.aws.amazon.com/vpc/latest/privatelink/create-interface-endpoint.html and
https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any

from kernel.values import as_list
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.wiring.data_paths import list_node_subnets
from rehearsal.wiring.graph import Wiring, describe

_TABLE, _ASSOCIATION = "aws:ec2/routeTable:RouteTable", "aws:ec2/routeTableAssociation:RouteTableAssociation"
_ENDPOINT, _NAT, _SUBNET = "aws:ec2/vpcEndpoint:VpcEndpoint", "aws:ec2/natGateway:NatGateway", "aws:ec2/subnet:Subnet"
_EVERYWHERE = "0.0.0.0/0"
_HTTPS = 443


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    nodes = list_node_subnets(wiring)
    associated = {str(found.inputs.get("subnetId")) for found in wiring.clouds.all(_ASSOCIATION)}
    for subnet in wiring.clouds.all(_SUBNET) if associated else ():
        if subnet.id not in associated:
            yield Problem(describe(subnet), "it has no route table", "associate one with it")
    for table in wiring.clouds.all(_TABLE):
        if wiring.find_one(_ASSOCIATION, "routeTableId", table.id) is None:
            yield Problem(describe(table), "no subnet uses it", "associate it with a subnet")
    for gateway in wiring.clouds.all(_NAT):
        public = wiring.clouds.find(str(gateway.inputs.get("subnetId")))
        if public and not any(route.get("gatewayId") for route in _list_routes(wiring, public)):
            reason = f"its subnet {public.id} has no route to an internet gateway"
            yield Problem(describe(gateway), reason, "place it in a public subnet")
    for endpoint in wiring.clouds.all(_ENDPOINT):
        if endpoint.inputs.get("vpcEndpointType", "Gateway") == "Gateway":
            yield from _check_gateway_endpoint(wiring, endpoint, nodes)
        else:
            yield from _check_interface_endpoint(wiring, endpoint, nodes)


def _list_tables(wiring: Wiring, subnet: Resource) -> list[Resource]:
    ids = [str(found.inputs.get("routeTableId")) for found in wiring.find_all(_ASSOCIATION, "subnetId", subnet.id)]
    return [table for id_ in ids if (table := wiring.clouds.find(id_)) is not None]


def _list_routes(wiring: Wiring, subnet: Resource) -> list[Any]:
    return [route for table in _list_tables(wiring, subnet) for route in as_list(table.inputs.get("routes"))]


def _check_gateway_endpoint(wiring: Wiring, endpoint: Resource, nodes: list[Resource]) -> Iterator[Problem]:
    """Check that nodes have a route to it: without one they use the NAT gateway, which costs and may be forbidden."""
    tables = {str(id_) for id_ in as_list(endpoint.inputs.get("routeTableIds"))}
    service = endpoint.inputs.get("serviceName")
    for subnet in nodes:
        own = [table.id for table in _list_tables(wiring, subnet)]
        if own and not tables & {*own}:
            reason = f"the nodes' subnet {subnet.id} has no route to this endpoint of {service}"
            yield Problem(describe(endpoint), reason, f"add the route table {own[0]} to routeTableIds")


def _check_interface_endpoint(wiring: Wiring, endpoint: Resource, nodes: list[Resource]) -> Iterator[Problem]:
    service, name = endpoint.inputs.get("serviceName"), describe(endpoint)
    if endpoint.inputs.get("privateDnsEnabled") is not True:
        yield Problem(name, f"the public name of {service} does not resolve to it", "set privateDnsEnabled")
    if not as_list(endpoint.inputs.get("subnetIds")):
        yield Problem(name, f"it has no address in the network, so it does not reach {service}", "set subnetIds")
    groups = [wiring.clouds.find(str(id_)) for id_ in as_list(endpoint.inputs.get("securityGroupIds"))]
    if not groups:
        reason = f"it uses the network's default security group, which may not allow access to {service}"
        yield Problem(name, reason, "set securityGroupIds")
        return
    admitted = [
        IPv4Network(str(block))
        for group in groups
        for rule in as_list(group.inputs.get("ingress") if group else None)
        if rule.get("protocol") == "-1" or int(rule.get("fromPort", 0)) <= _HTTPS <= int(rule.get("toPort", 0))
        for block in as_list(rule.get("cidrBlocks"))
    ]
    for subnet in nodes:
        block = IPv4Network(str(subnet.inputs.get("cidrBlock")))
        if not any(block.subnet_of(each) for each in admitted):
            reason = f"its security groups do not admit the nodes' subnet {block} to port {_HTTPS} of {service}"
            yield Problem(name, reason, "add an ingress rule")
