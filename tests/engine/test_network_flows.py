"""The stack's network policies allow what its charts need, with each cloud's engine, and its monitors have targets.

The required connections are read from the rendered charts, not from the flows that components declare. `pytest -s`
prints each connection and the policies that allow it. Needs the chart packages of GROUNDWORK_CHARTS. Does not prove
anything about connections that manifests do not show; a rehearsal evaluates the same on a cluster in which operators
have run.
"""

from __future__ import annotations

import os

import pytest

from infra.contract import NetworkPolicyEngine
from rehearsal.helm.charts import FOLDER_VARIABLE
from rehearsal.kubernetes.readiness import monitors, network_flows
from tests.support.declared_cluster import NETWORKS, declare_cluster

pytestmark = pytest.mark.skipif(
    FOLDER_VARIABLE not in os.environ, reason=f"{FOLDER_VARIABLE} does not name a folder with chart packages"
)


@pytest.mark.parametrize("engine", NetworkPolicyEngine)
def test_every_required_connection_is_allowed(engine: NetworkPolicyEngine) -> None:
    snapshot = declare_cluster(engine)
    evaluated = network_flows.evaluate_flows(snapshot, NETWORKS[engine])
    print(f"\n{network_flows.format_table(evaluated, NETWORKS[engine].engine)}")
    assert len(evaluated) > 50
    assert [problem.message for problem in network_flows.find_problems(snapshot, NETWORKS[engine])] == []


def test_a_missing_policy_is_named_with_what_it_blocks() -> None:
    engine = NetworkPolicyEngine.CILIUM
    snapshot = declare_cluster(engine, without=("CiliumNetworkPolicy", "prometheus"))
    problems = network_flows.find_problems(snapshot, NETWORKS[engine])
    blocked = {
        message.partition(", port ")[2].partition(" ")[0] for message in (problem.message for problem in problems)
    }
    assert {"9100", "10250"} <= blocked


def test_a_monitor_of_a_missing_service_is_named() -> None:
    snapshot = declare_cluster(NetworkPolicyEngine.VPC_CNI, without=("Service", "mlflow"))
    (problem,) = monitors.find_problems(snapshot)
    assert problem.workload == "ServiceMonitor mlflow/mlflow"
    assert "matches no Service" in problem.reason


def test_every_monitor_has_targets() -> None:
    snapshot = declare_cluster(NetworkPolicyEngine.VPC_CNI)
    assert len(monitors.list_scrapes(snapshot)) > 10
    assert [problem.message for problem in monitors.find_problems(snapshot)] == []
