"""How people reach Argo CD, Grafana, MLflow and experiments, with an OpenID Connect issuer and without one.

Proves what is declared, from one table of roles. Rehearsals prove that the schemas of Envoy Gateway's kinds accept it.
Not proven: that a person can sign in at an issuer.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from infra.cluster.gateway_access import format_password
from infra.people import ID_TOKEN_HEADER
from kernel.annotations import SETTING
from rehearsal.simulator.offline_kubernetes import RELEASE
from tests.support.recording import Recorder
from tests.support.sample_platform import record_platform

pytestmark = pytest.mark.slow

SSO = {
    "issuer": "https://login.example.com/acme",
    "authorizationUrl": "https://login.example.com/acme/authorize",
    "tokenUrl": "https://login.example.com/acme/token",
    "keysUrl": "https://login.example.com/acme/keys",
    "clientId": "ml-platform",
    "clientSecret": "sso-client",
    "scopes": ["groups"],
    "adminGroup": "ml admins",
    "viewerGroup": "data-scientists",
}


def record(**settings: Any) -> Recorder:
    return record_platform(gateway={"domain": "ml.example.com"}, **settings)


@pytest.fixture(scope="module")
def with_issuer() -> Recorder:
    return record(sso=SSO)


@pytest.fixture(scope="module")
def without_issuer() -> Recorder:
    return record()


def of_kind(platform: Recorder, kind: str) -> dict[str, Any]:
    """Inputs, keyed by namespace; a namespace has at most one of them that is for people."""
    return {
        item.inputs["metadata"]["namespace"]: item.inputs
        for item in platform.resources
        if item.type.endswith(f":{kind}")
    }


def values(platform: Recorder, chart: str) -> Any:
    (release,) = [item.inputs for item in platform.of_type(RELEASE) if item.inputs["chart"] == chart]
    return release["values"]


def groups(rule: Any) -> list[str]:
    (claim,) = rule["principal"]["jwt"]["claims"]
    assert claim["name"] == "groups"
    names: list[str] = claim["values"]
    return names


def test_each_service_has_a_route_that_comes_after_its_policy(with_issuer: Recorder, without_issuer: Recorder) -> None:
    for platform, secured in ((with_issuer, {"grafana", "mlflow"}), (without_issuer, {"mlflow"})):
        routes = [
            item for item in platform.resources if item.name.endswith(("argocd-route", "grafana-route", "mlflow-route"))
        ]
        hosts = {item.inputs["spec"]["hostnames"][0] for item in routes}
        assert hosts == {f"{service}.ml.example.com" for service in ("argocd", "grafana", "mlflow")}
        for route in routes:
            before = {name for _, name in platform.list_dependencies(route.type, route.name)}
            service = route.name.removesuffix("-route")
            assert (f"{service}-sign-in" in before) is (service in secured)


def test_with_an_issuer_the_gateway_admits_only_its_groups(with_issuer: Recorder) -> None:
    policies = of_kind(with_issuer, "SecurityPolicy")
    assert policies.keys() == {"mlflow", "monitoring"}
    for policy in policies.values():
        spec = policy["spec"]
        assert spec["authorization"]["defaultAction"] == "Deny"
        assert {group for rule in spec["authorization"]["rules"] for group in groups(rule)} == {
            "ml admins",
            "data-scientists",
        }
        (provider,) = spec["jwt"]["providers"]
        assert (provider["issuer"], provider["audiences"]) == (SSO["issuer"], ["ml-platform"])
        assert provider["extractFrom"]["headers"] == [{"name": spec["oidc"]["forwardIDToken"]["header"]}]
        assert spec["oidc"]["clientSecret"] == {"name": "sso-client"}
        assert "basicAuth" not in spec
    # Cookies of the same name would be mistaken for each other if a browser sends both.
    cookies = [policy["spec"]["oidc"]["cookieNames"]["idToken"] for policy in policies.values()]
    assert len(set(cookies)) == len(cookies)
    secrets = of_kind(with_issuer, "ExternalSecret")
    assert policies.keys() <= secrets.keys()
    assert secrets["mlflow"]["metadata"]["annotations"][SETTING] == "groundwork:sso.clientSecret"
    assert secrets["mlflow"]["spec"]["data"][0]["remoteRef"] == {"key": "gw/sso-client"}


@pytest.mark.parametrize(
    ("method", "path", "is_allowed"),
    [
        ("GET", "/", True),
        ("GET", "/api/2.0/mlflow/registered-models/get", True),
        ("POST", "/ajax-api/2.0/mlflow/runs/search", True),
        ("POST", "/api/2.0/mlflow/experiments/search", True),
        ("POST", "/graphql", True),
        ("POST", "/api/2.0/mlflow/runs/create", False),
        ("POST", "/api/2.0/mlflow/registered-models/alias", False),
        ("POST", "/api/2.0/mlflow/runs/create/search/../create", False),
        ("DELETE", "/api/2.0/mlflow/registered-models/delete", False),
        ("PATCH", "/api/2.0/mlflow/model-versions/update", False),
    ],
)
def test_viewers_only_read_in_mlflow(with_issuer: Recorder, method: str, path: str, is_allowed: bool) -> None:
    rules = of_kind(with_issuer, "SecurityPolicy")["mlflow"]["spec"]["authorization"]["rules"]
    operations = [rule["operation"] for rule in rules if groups(rule) == ["data-scientists"]]
    assert operations
    allowed = [
        method in operation["methods"] and re.fullmatch(operation.get("path", {}).get("value", ".*"), path)
        for operation in operations
    ]
    assert any(allowed) is is_allowed
    assert [rule for rule in rules if groups(rule) == ["ml admins"] and "operation" not in rule]


def test_argo_cd_and_grafana_take_their_roles_from_the_same_groups(with_issuer: Recorder) -> None:
    argo_cd = values(with_issuer, "argo-cd")["configs"]
    assert argo_cd["rbac"]["policy.csv"] == 'g, "ml admins", role:admin\ng, "data-scientists", role:readonly'
    assert argo_cd["cm"]["admin.enabled"] == "false"
    assert "secret" not in argo_cd["cm"]["oidc.config"].lower()
    assert json.loads(argo_cd["cm"]["oidc.config"])["enablePKCEAuthentication"] is True
    # The issuer redirects people to the name that Argo CD is configured with.
    hosts = {
        host for route in of_kind(with_issuer, "HTTPRoute").values() for host in route["spec"].get("hostnames", ())
    }
    assert values(with_issuer, "argo-cd")["global"]["domain"] in hosts
    grafana = values(with_issuer, "kube-prometheus-stack")["grafana"]["grafana.ini"]
    assert grafana["auth.jwt"]["role_attribute_path"] == (
        "contains(groups[*], 'ml admins') && 'Admin' || contains(groups[*], 'data-scientists') && 'Viewer'"
    )
    assert grafana["auth.jwt"]["header_name"] == ID_TOKEN_HEADER
    assert grafana["auth.jwt"]["role_attribute_strict"] is True


def test_without_an_issuer_mlflow_requires_a_generated_password(without_issuer: Recorder) -> None:
    policies = of_kind(without_issuer, "SecurityPolicy")
    assert policies.keys() == {"mlflow"}
    assert policies["mlflow"]["spec"]["basicAuth"] == {"users": {"name": "mlflow-passwords"}}
    names = {item.inputs["metadata"]["name"] for item in without_issuer.of_type("kubernetes:core/v1:Secret")}
    assert {"mlflow-passwords", "mlflow-admin"} <= names
    assert values(without_issuer, "argo-cd")["configs"]["cm"]["admin.enabled"] == "true"
    assert "auth.jwt" not in values(without_issuer, "kube-prometheus-stack")["grafana"]["grafana.ini"]


def test_mlflow_answers_under_its_name_at_the_gateway(without_issuer: Recorder) -> None:
    mlflow = values(without_issuer, "mlflow")
    assert "mlflow.ml.example.com" in mlflow["serverAllowedHosts"]
    assert mlflow["corsAllowedOrigins"] == ["https://mlflow.ml.example.com"]


def test_a_password_is_in_the_format_that_envoy_reads() -> None:
    # `htpasswd -nbs admin secret`
    assert format_password("admin", "secret") == "admin:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
