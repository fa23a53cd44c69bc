"""Where alerts go: Alertmanager's configuration, from the settings of `alerting`, and the secrets that it reads.

Alertmanager reads each secret from a file when it notifies. It can therefore start before External Secrets has synced
them, and keeps running when one is replaced.
Source: https://prometheus.io/docs/alerting/latest/configuration/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from infra.cluster.external_secrets import create_external_secret
from infra.cluster.flows import Flow, Place, Pods
from infra.cluster.namespaces import MONITORING
from infra.cluster.retraining_access import ALERTS, TOKEN_KEY, TOKEN_SECRET, URL, is_deployed
from infra.contract import SecretsContract
from infra.core.component import Component, StackContext
from infra.core.settings import Settings

ALERTMANAGER = Pods(MONITORING, "alertmanager", {"app.kubernetes.io/name": "alertmanager"})

_SECRET = "alert-receivers"  # noqa: S105 the Secret's name
_FOLDER = "/etc/alertmanager/receivers"
_TEAM, _PAGE, _HEARTBEAT, _RETRAINING = "team", "page", "heartbeat", "retraining"
_TOKEN_FOLDER = "/etc/alertmanager/retraining"  # noqa: S105
# What a person needs to start: what is wrong, where, how to look at it, and what to do.
_TEXT = (
    "{{ range .Alerts }}{{ .Annotations.description }}\n"
    "Stack {{ .Labels.stack }}, severity {{ .Labels.severity }}, owner {{ .Labels.owner }}\n"
    "Dashboard: {{ .Annotations.dashboard }}\nRunbook: {{ or .Annotations.runbook .Annotations.runbook_url }}\n"
    "{{ end }}"
)
_TITLE = "{{ .Status | toUpper }} {{ .CommonLabels.alertname }}: {{ .CommonAnnotations.summary }}"


@dataclass(frozen=True)
class AlertReceiversArgs:
    context: StackContext
    secrets: SecretsContract


class AlertReceivers(Component):
    """A Secret with the URLs and keys of the receivers, from the stack's store, if any receiver has one."""

    layer = "cluster"

    def __init__(self, name: str, args: AlertReceiversArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        keys = dict(_list_secrets(args.context.settings))
        if keys:
            setting = f"alerting.{next(iter(keys))}"
            create_external_secret(args.secrets, _SECRET, MONITORING, keys, setting, self.child_options())
        if not has_receivers(args.context.settings):
            self.warn(
                "Alerts are shown only in Grafana and sent to nobody: no receiver is set. Set alerting.slack, "
                "alerting.teams, alerting.pagerduty or alerting.smtpHost."
            )
        self.register_outputs({})


def has_receivers(settings: Settings) -> bool:
    """Whether alerts are sent to people. A heartbeat alone does not count: it only shows that alerting works."""
    alerting = settings.alerting
    return bool(alerting.slack or alerting.teams or alerting.pagerduty or alerting.smtp_host)


def list_flows(settings: Settings) -> Iterator[Flow]:
    """Flows from Alertmanager to its receivers, which may be in a connected network."""
    if not has_receivers(settings):
        return
    alerting = settings.alerting
    ports = {443} if alerting.slack or alerting.teams or alerting.pagerduty or alerting.heartbeat else set()
    if alerting.smtp_host:
        ports.add(int(alerting.smtp_host.rpartition(":")[2]))
    for port in sorted(ports):
        for place in (Place.INTERNET, Place.PRIVATE_NETWORK):
            yield Flow(ALERTMANAGER, place, port, "notifies the receivers of alerts")


def mount_secrets(settings: Settings) -> Mapping[str, Any]:
    """Values of the chart's `alertmanagerSpec` that mount the secrets as files; optional, since they exist later."""
    folders = {_SECRET: _FOLDER, **({TOKEN_SECRET: _TOKEN_FOLDER} if is_deployed(settings) else {})}
    return {
        "volumes": [{"name": name, "secret": {"secretName": name, "optional": True}} for name in folders],
        "volumeMounts": [{"name": name, "mountPath": path, "readOnly": True} for name, path in folders.items()],
    }


def list_unsent(settings: Settings) -> Sequence[Mapping[str, Any]]:
    """Prometheus' relabeling that drops alerts: these are shown, but not sent to Alertmanager.

    The chart's alerts of severity `info` explain others. The alert that always fires is sent only with a heartbeat.
    """
    unsent = [{"source_labels": ["severity"], "regex": "info", "action": "drop"}]
    if not settings.alerting.heartbeat:
        unsent.append({"source_labels": ["severity"], "regex": "none", "action": "drop"})
    return unsent


def build_configuration(settings: Settings) -> Mapping[str, Any]:
    """Alertmanager's configuration: alerts go to the team or to a pager by severity, the heartbeat out of the cluster.

    Alerts that start a retraining go to the retraining service as well as to people.
    """
    team, page = _list_channels(settings), _list_pagers(settings)
    routes: list[Mapping[str, Any]] = []
    receivers = [{"name": _TEAM, **(team or page)}]
    if settings.alerting.heartbeat:
        # The receiver of the heartbeat raises an alert if the calls stop for longer than this.
        every = {"group_wait": "0s", "group_interval": "1m", "repeat_interval": "5m"}
        routes.append({"receiver": _HEARTBEAT, "matchers": ['severity="none"'], **every})
        call = {"url_file": _file("heartbeat"), "send_resolved": False}
        receivers.append({"name": _HEARTBEAT, "webhook_configs": [call]})
    if is_deployed(settings):
        routes.append({"receiver": _RETRAINING, "matchers": [f'alertname=~"{"|".join(ALERTS)}"'], "continue": True})
        receivers.append({"name": _RETRAINING, "webhook_configs": [_build_retraining_call()]})
    if page:
        receivers.append({"name": _PAGE, **team, **page})
        routes.append({"receiver": _PAGE, "matchers": ['severity="critical"'], "repeat_interval": "1h"})
    return {
        "global": {"resolve_timeout": "5m", **_build_mail_server(settings)},
        "route": {
            "receiver": _TEAM,
            "group_by": ["alertname", "namespace", "model"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "12h",
            "routes": routes,
        },
        "inhibit_rules": _INHIBITIONS,
        "receivers": receivers,
    }


def _build_retraining_call() -> Mapping[str, Any]:
    """The webhook of retraining. Alertmanager retries it if the response is 5xx; a resolved alert starts nothing."""
    token = {"type": "Bearer", "credentials_file": f"{_TOKEN_FOLDER}/{TOKEN_KEY}"}
    return {"url": f"{URL}/alerts", "send_resolved": False, "http_config": {"authorization": token}}


# An alert that follows from a more severe one is not sent.
_INHIBITIONS: Sequence[Mapping[str, Any]] = (
    {
        "source_matchers": ['severity="critical"'],
        "target_matchers": ['severity="warning"'],
        "equal": ["alertname", "namespace", "model"],
    },
    {
        "source_matchers": ['alertname="ModelNotServing"'],
        "target_matchers": ['alertname=~"Model(ErrorRateHigh|LatencyHigh|RequestsStopped|.*BudgetBurn)"'],
        "equal": ["namespace", "model"],
    },
    {
        "source_matchers": ['alertname="MlflowDown"'],
        "target_matchers": ['alertname=~"MlflowErrorRateHigh|Promotion.*"'],
    },
    {
        "source_matchers": ['alertname="ArgoCdDown"'],
        "target_matchers": ['alertname=~"ArgoCd(OutOfSync|Unhealthy|SyncFailing)"'],
    },
    {
        "source_matchers": ['alertname="WorkloadUnavailable"'],
        "target_matchers": ['alertname="DeploymentReplicasMismatch"'],
        "equal": ["namespace", "deployment"],
    },
)


def _list_secrets(settings: Settings) -> Iterator[tuple[str, str]]:
    """The files of the Secret, named after the settings, each with the name of its secret in the store."""
    alerting = settings.alerting
    secrets = {
        "slack": alerting.slack,
        "teams": alerting.teams,
        "pagerduty": alerting.pagerduty,
        "heartbeat": alerting.heartbeat,
        "smtpPassword": alerting.smtp_password,
    }
    yield from ((key, name) for key, name in secrets.items() if name)


def _list_channels(settings: Settings) -> dict[str, Any]:
    """The receivers that people read during working hours."""
    alerting, message = settings.alerting, {"send_resolved": True, "title": _TITLE, "text": _TEXT}
    channels: dict[str, Any] = {}
    if alerting.slack:
        channels["slack_configs"] = [{"api_url_file": _file("slack"), **message}]
    if alerting.teams:
        channels["msteamsv2_configs"] = [{"webhook_url_file": _file("teams"), **message}]
    if alerting.smtp_host:
        mail = {"to": settings.telemetry.alert_email, "send_resolved": True, "headers": {"Subject": _TITLE}}
        channels["email_configs"] = [{**mail, "text": _TEXT, "html": ""}]
    return channels


def _list_pagers(settings: Settings) -> dict[str, Any]:
    """The receivers that wake somebody up."""
    if not settings.alerting.pagerduty:
        return {}
    details = {"text": _TEXT}
    pager = {"routing_key_file": _file("pagerduty"), "severity": "{{ .CommonLabels.severity }}"}
    return {"pagerduty_configs": [{**pager, "description": _TITLE, "details": details, "send_resolved": True}]}


def _build_mail_server(settings: Settings) -> Mapping[str, Any]:
    alerting = settings.alerting
    if not alerting.smtp_host:
        return {}
    server = {"smtp_smarthost": alerting.smtp_host, "smtp_from": settings.telemetry.alert_email}
    if not alerting.smtp_user:
        return server
    return {
        **server,
        "smtp_auth_username": alerting.smtp_user,
        "smtp_auth_password_file": _file("smtpPassword"),
    }


def _file(key: str) -> str:
    return f"{_FOLDER}/{key}"
