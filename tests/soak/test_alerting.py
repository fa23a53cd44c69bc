"""Three faults of a rehearsed stack: who is notified, how soon, and whether the runbooks help.

Proves that the real Prometheus loads every rule as the operator wrote it and scrapes every real process; that the
alerts for a slow challenger, for a commit that cannot be synced and for an MLflow that has ended arrive within two
minutes after their `for`, through the Alertmanager configuration that the stack renders; that the commands of their
runbooks show the fault and fix it; and that the alerts end. Here no alert's `for` is longer than a minute, and the
receiver is on this machine. The clouds, the nodes and their kubelets are simulated, so `kubectl logs` and
`kubectl exec` are replaced by equivalents; Argo CD polls git every 3 seconds instead of every 3 minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rehearsal.scenarios.alert_delivery import LONGEST_FOR
from tests.support.alert_rules import list_rules
from tests.support.model_lifecycle import list_leftover_processes, needs_models
from tests.support.rehearsed_stacks import RehearsedStacks

pytestmark = pytest.mark.soak

_TIMEOUT = 3600  # seconds; ten minutes on two idle cores
_SCRAPED = ("breast-cancer", "drift-collector", "retraining", "mlflow", "argocd")
_BY_POD = "lifecycle/lifecycle "  # a PodMonitor for receiver, worker and rollout controller


@needs_models
def test_three_faults_cause_notifications_and_their_runbooks_fix_them(
    rehearsed_stacks: RehearsedStacks, tmp_path: Path
) -> None:
    stack = rehearsed_stacks.copy("azure-dev", tmp_path)
    result = tmp_path / "alerting.json"
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from rehearsal.scenarios.alerting import run_on\n"
        "from rehearsal.session import Rehearsal\n"
        f"sys.exit(run_on(Rehearsal({stack.name!r}), Path({str(result)!r})))"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=_TIMEOUT)
    assert run.returncode == 0, run.stderr[-5000:]
    found = json.loads(result.read_text())
    assert {rule.get("alert") or rule["record"] for rule in list_rules()} <= set(found["rules"])
    assert set(found["targets"].values()) == {"up"}
    jobs = " ".join(found["targets"])
    assert [name for name in _SCRAPED if name not in jobs] == [], jobs
    assert len([target for target in found["targets"] if target.startswith(_BY_POD)]) == 3, jobs
    assert [each["alert"] for each in found["timelines"]] == ["ModelLatencyHigh", "ArgoCdOutOfSync", "MlflowDown"]
    for timeline in found["timelines"]:
        assert timeline["notified"] <= LONGEST_FOR + 120, timeline
        assert timeline["followed"], timeline
        assert timeline["silent"] > timeline["fixed"] > timeline["notified"], timeline
    assert found["problems"] == []
    assert list_leftover_processes(tmp_path) == []
