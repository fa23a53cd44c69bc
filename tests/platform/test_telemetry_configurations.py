"""The configurations of Alloy, Loki and Tempo, as the stack renders them.

Proves that Alloy's own parser accepts its configuration, that every component, block, attribute and key in the three is
documented, and that every reference in Alloy's configuration leads to a component. The programs themselves are not run:
Loki and Tempo are licensed under the AGPL, under which nothing is built here, and Alloy contains parts of both.
Therefore a value of the wrong type, or a combination that they reject, is not found.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.cluster.tempo import Tempo, TempoArgs
from infra.contract import NetworkPolicyEngine
from rehearsal.simulator.offline_kubernetes import RELEASE
from rehearsal.toolchain import ROOT
from tests.support.alloy_parser import parse
from tests.support.declared_cluster import list_declared
from tests.support.recording import stack_context
from tests.support.sample_platform import record_components

ALLOY = ROOT / "infra" / "cluster" / "telemetry.alloy"
_OUTPUT = {"metrics", "logs", "traces"}
# The blocks of the components that are used, with their attributes.
# Source: https://grafana.com/docs/alloy/latest/reference/components/ and .../reference/config-blocks/logging/
ALLOY_BLOCKS: Mapping[str, set[str]] = {
    "logging": {"level", "format", "write_to"},
    "discovery.kubernetes": {"role", "api_server", "kubeconfig_file"},
    "discovery.relabel": {"targets"},
    "discovery.relabel rule": {
        *("action", "modulus", "regex", "replacement", "separator", "source_labels", "target_label")
    },
    "loki.source.kubernetes": {"targets", "forward_to"},
    "loki.source.kubernetes clustering": {"enabled"},
    "loki.source.kubernetes_events": {"forward_to", "job_name", "log_format", "namespaces"},
    "loki.write": {"external_labels", "max_streams"},
    "loki.write endpoint": {"url", "tenant_id", "remote_timeout", "batch_wait", "batch_size", "headers"},
    "otelcol.receiver.otlp": set(),
    "otelcol.receiver.otlp grpc": {"endpoint", "transport", "max_recv_msg_size"},
    "otelcol.receiver.otlp http": {"endpoint", "max_request_body_size"},
    "otelcol.receiver.otlp output": _OUTPUT,
    "otelcol.processor.batch": {"timeout", "send_batch_size", "send_batch_max_size"},
    "otelcol.processor.batch output": _OUTPUT,
    "otelcol.exporter.otlp": {"timeout"},
    "otelcol.exporter.otlp client": {"endpoint", "compression", "balancer_name", "headers"},
    "otelcol.exporter.otlp client tls": {"insecure", "insecure_skip_verify", "server_name", "ca_file"},
}
# Source: https://grafana.com/docs/tempo/latest/configuration/
TEMPO_KEYS = {
    "server.http_listen_port",
    "distributor.receivers.otlp.protocols.grpc.endpoint",
    "ingester.flush_all_on_shutdown",
    "ingester.lifecycler.ring.replication_factor",
    "memberlist.join_members",
    "compactor.compaction.block_retention",
    "storage.trace.backend",
    "storage.trace.wal.path",
    *(f"storage.trace.s3.{key}" for key in ("bucket", "endpoint", "region")),
    *(
        f"storage.trace.azure.{key}"
        for key in ("container_name", "storage_account_name", "endpoint_suffix", "use_federated_token")
    ),
    "overrides.per_tenant_override_config",
    "usage_report.reporting_enabled",
}
# Top-level blocks. Source: https://grafana.com/docs/loki/latest/configure/#supported-contents-and-default-values-of-lokiyaml
LOKI_BLOCKS = {
    *("auth_enabled", "analytics", "bloom_build", "bloom_gateway", "chunk_store_config", "common", "compactor"),
    *("distributor", "frontend", "frontend_worker", "index_gateway", "ingester", "limits_config", "memberlist"),
    *("pattern_ingester", "querier", "query_range", "query_scheduler", "ruler", "runtime_config", "schema_config"),
    *("server", "storage_config", "table_manager", "tracing", "ui"),
}


def test_alloys_parser_accepts_it_and_its_blocks_are_documented() -> None:
    blocks = parse(ALLOY)
    assert blocks
    for block in blocks:
        documented = ALLOY_BLOCKS.get(" ".join(block.path))
        assert documented is not None, block.path
        assert set(block.attributes) <= documented, block.path


def test_alloys_references_lead_to_components() -> None:
    blocks = parse(ALLOY)
    components = {f"{block.path[0]}.{block.label}" for block in blocks if block.label}
    references = {
        found
        for block in blocks
        for expression in block.attributes.values()
        for found in re.findall(
            r"\b((?:discovery|loki|otelcol)(?:\.\w+)+?)\.(?:output|targets|receiver|input)\b", expression
        )
    }
    assert references <= components
    assert len(references) == 5


def test_alloys_parser_rejects_an_invalid_configuration(tmp_path: Path) -> None:
    broken = tmp_path / "broken.alloy"
    broken.write_text(ALLOY.read_text().replace("{", "", 1))
    with pytest.raises(AssertionError, match=r"broken\.alloy"):
        parse(broken)


def list_keys(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from list_keys(inner, f"{path}.{key}" if path else key)
    else:
        yield path


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_tempos_keys_are_documented(environment: str) -> None:
    context = stack_context("azure", environment)
    recorder = record_components(lambda foundation, options: Tempo("tempo", TempoArgs(context, foundation), options))
    (release,) = [item.inputs for item in recorder.of_type(RELEASE) if item.inputs["chart"] == "tempo"]
    assert set(list_keys(json.loads(release["values"]["config"]))) <= TEMPO_KEYS


def test_lokis_blocks_are_documented_and_its_retention_is_the_stacks() -> None:
    if "GROUNDWORK_CHARTS" not in os.environ:
        pytest.skip("GROUNDWORK_CHARTS does not name a folder with the charts")
    maps = [item for item in list_declared(NetworkPolicyEngine.CILIUM) if item["kind"] == "ConfigMap"]
    (config,) = [item["data"]["config.yaml"] for item in maps if item["metadata"]["name"] == "loki"]
    rendered = yaml.safe_load(config)
    assert set(rendered) <= LOKI_BLOCKS
    assert rendered["limits_config"]["retention_period"].endswith("h")
    assert rendered["compactor"]["retention_enabled"] is True
