"""Routes at the gateway, and policies that decide who may use them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_random as random
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.cluster import envoy_gateway, gateway
from infra.cluster.namespaces import GATEWAY as GATEWAY_NAMESPACE
from infra.core.component import Component


def create_route(
    parent: Component,
    name: str,
    namespace: str,
    host: str,
    rules: Sequence[Mapping[str, Any]],
    policies: Sequence[pulumi.Resource],
) -> None:
    """A route for requests to a host. It is created after its policies, since it would be open until they exist."""
    CustomResource(
        f"{name}-route",
        api_version=gateway.API_VERSION,
        kind="HTTPRoute",
        metadata=ObjectMetaArgs(name=name, namespace=namespace),
        spec={
            "parentRefs": [{"name": gateway.GATEWAY, "namespace": GATEWAY_NAMESPACE, "sectionName": "https"}],
            "hostnames": [host],
            "rules": list(rules),
        },
        opts=parent.child_options(depends_on=list(policies)),
    )


def create_policy(
    parent: Component, name: str, namespace: str, spec: Mapping[str, Any], after: pulumi.Resource
) -> CustomResource:
    """A policy of Envoy Gateway for the route of this name, which does not have to exist yet."""
    target = {"group": gateway.GROUP, "kind": "HTTPRoute", "name": name}
    return CustomResource(
        f"{name}-sign-in",
        api_version=envoy_gateway.API_VERSION,
        kind="SecurityPolicy",
        metadata=ObjectMetaArgs(name=name, namespace=namespace),
        spec={"targetRefs": [target], **spec},
        opts=parent.child_options(depends_on=[after]),
    )


def create_passwords(parent: Component, user: str, login: str, passwords: str, namespace: str) -> Secret:
    """A Secret with the hash of a generated password, for the gateway; another Secret, `login`, has the password."""
    password = random.RandomPassword(f"{login}-password", length=32, special=False, opts=parent.child_options())
    Secret(
        login,
        metadata=ObjectMetaArgs(name=login, namespace=namespace),
        string_data={"username": user, "password": password.result},
        opts=parent.child_options(),
    )
    return Secret(
        passwords,
        metadata=ObjectMetaArgs(name=passwords, namespace=namespace),
        string_data={".htpasswd": password.result.apply(lambda known: format_password(user, known))},
        opts=parent.child_options(),
    )


def require_password(passwords: str) -> Mapping[str, Any]:
    """The part of a policy that admits the users whose names and password hashes are in this Secret."""
    return {"basicAuth": {"users": {"name": passwords}}}


def format_password(user: str, password: str) -> str:
    """A line of a password file in the only form that Envoy reads, SHA-1. The password is too long to be guessed.

    Source: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/basic_auth_filter
    """
    digest = base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest()).decode()
    return f"{user}:{{SHA}}{digest}"
