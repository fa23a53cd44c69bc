"""The model lifecycle scenario: stages in which versions of one model are rolled out, and promoted or rolled back.

Guardrails or an experiment decide on them, and drift leads to a retrained one. The summary shows the duration of each
step and the resulting git log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from rehearsal import project, toolchain
from rehearsal.console import UserError, info
from rehearsal.gitops_repository import GitOpsRepository
from rehearsal.helm import charts
from rehearsal.scenarios import model_steps, pod_processes
from rehearsal.scenarios.drift_stage import DriftStage
from rehearsal.scenarios.environment import ScenarioEnvironment, run_environment
from rehearsal.scenarios.experiment_stage import PROMOTE, STOP, ExperimentStage
from rehearsal.scenarios.model_steps import Traffic
from rehearsal.scenarios.processes import python
from rehearsal.scenarios.prometheus import PROMETHEUS
from rehearsal.scenarios.rollout_stage import RolloutStage
from rehearsal.scenarios.step_runner import StepRunner
from rehearsal.session import Rehearsal, RunningRehearsal

_WIDTH = 100
_SIMULATED = (
    "  the clouds, with the databases and stores, which are files here; nodes, kubelets, the cluster's network and\n"
    "  gateway; External Secrets; Argo CD's Redis; the models' users, and people who start a scheduled job at once"
)

Stage: TypeAlias = RolloutStage | ExperimentStage | DriftStage

STAGES: Sequence[Stage] = (
    RolloutStage("pipeline"),
    ExperimentStage("second-camera", "two-cameras", PROMOTE),
    ExperimentStage("old-data", "first-camera", STOP),
    DriftStage("two-cameras", "new-camera"),
    RolloutStage("slow", "new-camera", is_rolled_back=True, traffic=Traffic("new-camera")),
    RolloutStage("failing", "new-camera", is_rolled_back=True, traffic=Traffic("new-camera", outlier_rate=0.3)),
)


def run(stack: str, port: int = 0) -> int:
    """Run all stages on a new, separate stack; returns an exit code.

    Raises UserError when a step fails.
    """
    rehearsal = Rehearsal(stack, "lifecycle")
    _check_prerequisites(stack)
    rehearsal.remove()
    return run_on(rehearsal, port)


def run_on(rehearsal: Rehearsal, port: int = 0, stages: Sequence[Stage] = STAGES) -> int:
    """Run stages on a rehearsal that has never had a model; its stack is brought up unless it is up already."""
    stack = rehearsal.stack
    prometheus_program = toolchain.ensure(PROMETHEUS)
    runner = StepRunner()
    info(f"Rehearsing the model lifecycle on {stack}; the clouds, nodes and the cluster's network are simulated.")
    with rehearsal.running(port) as running:
        if running.cluster is None:
            raise UserError(
                f"Models cannot be served without a control plane, which cannot run here: {running.unavailable_reason}"
            )
        cluster = running.cluster
        if not rehearsal.read_resources():
            runner.run_step("Bring the stack up", lambda: bring_up(rehearsal, running.environment))
        folder = rehearsal.folder / "lifecycle"
        with run_environment(stack, cluster, require_repository(running, stack), folder) as environment:
            prepare_gitops(runner, environment, stack)
            runner.run_step("Start Prometheus", lambda: environment.start_prometheus(prometheus_program))
            for number, stage in enumerate(stages, start=1):
                stage.run(runner, environment, number)
            problems = [*runner.problems, *cluster.plane.problems()]
            log = environment.repository.log()
    print(_render_summary(stack, runner, log), flush=True)
    for problem in problems:
        info(problem)
    return int(bool(problems))


def _check_prerequisites(stack: str) -> None:
    folder = project.current().require("gitops") / "stacks" / stack
    if not (folder / "kustomization.yaml").is_file():
        raise UserError(
            f"{project.current().shorten(folder)}/kustomization.yaml does not exist. It configures how models are "
            "served on this stack: copy it from another stack, or create it with `make new-stack`."
        )
    if not python().exists():
        raise UserError("platform/lifecycle has no virtual environment yet: run `make lifecycle`, which creates it.")
    missing = charts.pinned_charts().keys() - set(charts.available_charts())
    if missing:
        raise UserError(
            f"Models need the charts {', '.join(sorted(missing))}, which are not available: set "
            f"{charts.FOLDER_VARIABLE} to a folder that contains them, or make their repositories reachable."
        )


def bring_up(rehearsal: Rehearsal, environment: Mapping[str, str]) -> None:
    """Bring the stack up. Raises UserError with the end of the engine's output if it fails."""
    process = rehearsal.pulumi(["up", "--yes", "--skip-preview"], environment, quiet=True)
    if process.returncode != 0:
        raise UserError(f"`pulumi up` of the stack failed:\n{process.stdout[-3000:]}{process.stderr[-1000:]}")


def require_repository(running: RunningRehearsal, stack: str) -> GitOpsRepository:
    """The repository that models are deployed from. Raises UserError if the stack has none."""
    if running.repository is None:
        raise UserError(f"{stack} has no repository to deploy models from: set groundwork:gitops.repository.")
    return running.repository


def prepare_gitops(runner: StepRunner, environment: ScenarioEnvironment, stack: str) -> None:
    """Have Argo CD sync the repository, which has no model yet, and run the processes of the stack's own services."""
    pod_processes.commit_label(environment.repository, stack)
    runner.run_step("Sync the empty repository", lambda: model_steps.wait_until_synced(environment))
    runner.run_step("Start the stack's own services", lambda: pod_processes.run_services(environment.plane.api))
    runner.run_step("Webhook registered in MLflow", lambda: model_steps.wait_until_registered(environment))


def _render_summary(stack: str, runner: StepRunner, log: str) -> str:
    title = f" Model lifecycle on {stack} "
    lines = [f"{title:=^{_WIDTH}}", "", "Steps"]
    lines += [f"  {seconds:6.1f} s  {name}" for name, seconds in runner.durations]
    lines += ["", "Commits", *(f"  {line}" for line in log.splitlines())]
    lines += ["", "Simulated", _SIMULATED]
    return "\n".join([*lines, "=" * _WIDTH])
