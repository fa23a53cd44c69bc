"""A whole stack, foundation and platform, declared against the simulated clouds without an engine. Proves nothing.

In addition to the stacks with files, there are two for each cloud: `aws-full` has everything that is optional, so that
no part of the program is left out, and `aws-long` is `aws-dev` with the longest name that a stack can have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

from infra.core import stack_config
from infra.core.component import StackContext
from infra.core.naming import Naming
from infra.core.settings import Cloud, Settings
from kernel import stack_file
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster, find_managed_cluster
from rehearsal.kubernetes.readiness.snapshot import Snapshot
from rehearsal.simulator.core.circumstances import Caller, Circumstances, Person
from rehearsal.toolchain import ROOT
from rehearsal.wiring.declared import Declared, Graph
from rehearsal.wiring.graph import StackResources, Wiring
from tests.support.objects_in_memory import FakeApiClient
from tests.support.recording import RecordedResource, Recorder, record_program

_DIGESTS = dict.fromkeys(("promotion", "experiment", "drift", "training"), f"sha256:{'a' * 64}")
_URL = "https://login.example.com/acme"
_GROUP = "11111111-2222-3333-4444-555555555555"
_OPTIONAL: Mapping[str, Any] = {
    "telemetry": {"alertEmail": "ml-oncall@example.com", "errorTracking": "error-tracking"},
    "alerting": {
        "slack": "alerts-slack",
        "teams": "alerts-teams",
        "pagerduty": "alerts-pagerduty",
        "heartbeat": "alerts-heartbeat",
        "smtpHost": "smtp.example.com:587",
        "smtpUser": "ml-platform",
        "smtpPassword": "alerts-smtp",
        "runbooks": "https://git.example.com/acme/groundwork/src/main/platform/runbooks",
    },
    "gitops": {"repository": "https://git.example.com/acme/models.git", "tokenSecret": "gitops-token"},
    "gateway": {
        "domain": "ml.example.com",
        "issuer": "acme",
        "acmeServer": "https://acme.example.com/directory",
        "acmeEmail": "ml-platform@example.com",
        "acmeHosts": ["mlflow", "argocd", "grafana", "experiments"],
    },
    "sso": {
        "issuer": _URL,
        "authorizationUrl": f"{_URL}/authorize",
        "tokenUrl": f"{_URL}/token",
        "keysUrl": f"{_URL}/keys",
        "clientId": "ml-platform",
        "clientSecret": "sso-client",
        "adminGroup": "ml-platform-admins",
        "viewerGroup": "data-scientists",
    },
    "images": _DIGESTS,
    "lifecycle": {"notifications": "slack-url", "dispatchProject": "acme/ml-platform"},
    "pipelines": {"enabled": True},
    "retraining": {"models": ["breast-cancer"], "scheduled": ["breast-cancer"]},
    "cost": {"monthlyBudget": 5000},
}
_OF_CLOUDS: Mapping[Cloud, Mapping[str, Any]] = {
    Cloud.AZURE: {
        "location": "westeurope",
        "subscription": "00000000-0000-4000-8000-000000000001",
        "training": {"outboundHosts": ["pypi.org", "*.pythonhosted.org"]},
        "cluster": {
            "privateAccessFrom": ["10.0.0.0/24"],
            "admins": [_GROUP],
            "gpuPool": {"size": "Standard_NC24ads_A100_v4"},
        },
        "network": {
            "hub": "/subscriptions/00000000-0000-4000-8000-00000000000a/resourceGroups/hub/providers/"
            "Microsoft.Network/virtualNetworks/hub"
        },
        "resilience": {"secondLocation": "northeurope"},
    },
    Cloud.AWS: {
        "location": "eu-west-1",
        "account": "111122223333",
        "cluster": {
            "privateAccessFrom": ["10.0.0.0/24"],
            "admins": ["arn:aws:iam::111122223333:role/pipeline"],
            "gpuPool": {"size": "g5.xlarge"},
        },
        "network": {"hub": "tgw-0123456789abcdef0"},
        "resilience": {"secondLocation": "eu-central-1"},
    },
}
_INSIDE = "10.0.0.5"  # in `privateAccessFrom`, also of the stacks with files
_FULL, _LONG = "-full", "-long"
_LONGEST = 100  # characters of a stack's name


@dataclass(frozen=True)
class DeclaredStack:
    """The resources that a program has declared, and the resulting cluster before anything runs in it."""

    name: str
    settings: Settings
    recorder: Recorder

    @cached_property
    def graph(self) -> Graph:
        return Graph(
            _describe(recorded, self.recorder.requests[recorded.type, recorded.name])
            for recorded in self.recorder.resources
        )

    @cached_property
    def managed(self) -> ManagedCluster:
        found = find_managed_cluster(self.recorder.state)
        assert found is not None
        return found

    @cached_property
    def objects(self) -> tuple[Object, ...]:
        """The objects of the program and its charts, and those that clouds and operators add."""
        # The module that declares a cluster imports the program, of which tests may have a changed copy.
        from tests.support.declared_cluster import build_objects

        return build_objects(self.recorder.resources, self.managed)

    @cached_property
    def cluster(self) -> Snapshot:
        return Snapshot(FakeApiClient(*self.objects))

    @property
    def wiring(self) -> Wiring:
        return Wiring(StackResources(self.recorder.state, self.recorder.stack), self.cluster)

    def list_callers(self) -> list[Caller]:
        """All callers that the settings allow: the first one, and those with access through `cluster.admins`."""
        first, admins = self.recorder.circumstances.caller, self.settings.cluster.admins
        others = [Caller(person, first.address, tuple(admins)) for person in (Person.PIPELINE, Person.COLLEAGUE)]
        return [first, *(others if admins else ())]


def read_settings(stack: str) -> Settings:
    """Read the settings of a stack with a file, or of one of the stacks without files."""
    if stack.endswith(_FULL):
        return _build_full_settings(stack)
    file = stack.replace(_LONG, "-dev")
    path = ROOT / "stacks" / f"Pulumi.{file}.yaml"
    return stack_config.check(stack_file.read(path, "groundwork", path.name), file)


def _build_full_settings(stack: str) -> Settings:
    cloud = Cloud(stack.removesuffix(_FULL))
    needed = {"cloud": cloud.value, "environment": "prod", "organization": "acme", "owner": "ml", "costCenter": "cc-1"}
    text = stack_file.format_content({"config": {**needed, **_merge(_OPTIONAL, _OF_CLOUDS[cloud])}})
    return stack_config.check(stack_file.parse(text.encode(), "groundwork", f"Pulumi.{stack}.yaml"), stack)


def declare_stack(stack: str, recorder: Recorder | None = None, settings: Settings | None = None) -> DeclaredStack:
    """Declare a stack, optionally with other settings; with the recorder of an earlier call, deploy it once more."""
    settings = settings or read_settings(stack)
    name = stack.ljust(_LONGEST, "a") if stack.endswith(_LONG) else stack
    context = StackContext(settings, Naming(settings, name))

    def declare() -> None:
        foundation = import_module(f"infra.{settings.cloud.value}").create_foundation(context)
        import_module("infra.cluster").create_platform(context, foundation)

    recorder, _ = record_program(declare, name, recorder or Recorder(describe_circumstances(settings)))
    return DeclaredStack(stack, settings, recorder)


def describe_circumstances(settings: Settings) -> Circumstances:
    ranges = settings.cluster.authorized_ranges
    return Circumstances(caller=Caller(address=str(ranges[0]).partition("/")[0] if ranges else _INSIDE))


def _merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(one)
    for key, value in other.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _urn(type_: str, name: str) -> str:
    return f"urn:pulumi:test::groundwork::{type_}::{name}"


def _describe(recorded: RecordedResource, request: Any) -> Declared:
    urn, provider = _urn(recorded.type, recorded.name), request.provider.rpartition("::")[0]
    return Declared(urn, recorded.type, recorded.inputs, _list_needs(request), provider, bool(request.protect))


def _list_needs(request: Any) -> list[str]:
    urns = [*request.dependencies, request.parent, request.provider.rpartition("::")[0]]
    return [_shorten(urn) for urn in urns if urn]


def _shorten(urn: str) -> str:
    """Reduce a URN to type and name: mocks assign another URN to a resource than the one its dependents refer to."""
    *_, types, name = urn.split("::")
    return _urn(types.rsplit("$", 1)[-1], name)
