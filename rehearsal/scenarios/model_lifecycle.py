"""The model lifecycle scenario: good versions of a model are rolled out, faulty ones are rolled back.

Its summary has the duration of each step and the resulting git log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rehearsal import project, toolchain
from rehearsal.console import UserError, info
from rehearsal.gitops_repository import GitOpsRepository
from rehearsal.helm import charts
from rehearsal.scenarios import model_steps, pod_processes
from rehearsal.scenarios.environment import ScenarioEnvironment, run_environment
from rehearsal.scenarios.processes import python
from rehearsal.scenarios.prometheus import PROMETHEUS
from rehearsal.scenarios.step_runner import StepRunner
from rehearsal.session import Rehearsal, RunningRehearsal

_WIDTH = 100
_SIMULATED = (
    "  the clouds, with the databases; nodes, kubelets, the cluster's network and gateway; External Secrets;\n"
    "  Argo CD's Redis; the models' users"
)


@dataclass(frozen=True)
class Challenger:
    """A new version of the model.

    kind            who trains it: `pipeline`, or which of the challengers made for rehearsals of a rollback it is
    is_rolled_back  whether its rollout is to end with the champion that was there before
    outlier_rate    share of the requests, from 0 to 1, that the kind `failing` cannot answer
    """

    kind: str
    is_rolled_back: bool = False
    outlier_rate: float = 0.0


CHALLENGERS = (
    Challenger("pipeline"),
    Challenger("pipeline"),
    Challenger("slow", is_rolled_back=True),
    Challenger("failing", is_rolled_back=True, outlier_rate=0.3),
)


def run(stack: str, port: int = 0) -> int:
    """Roll out one challenger after the other on a new stack of its own; returns an exit code.

    Raises UserError when a step fails.
    """
    rehearsal = Rehearsal(stack, "lifecycle")
    _check_prerequisites(stack)
    rehearsal.remove()
    return run_on(rehearsal, port)


def run_on(rehearsal: Rehearsal, port: int = 0, challengers: Sequence[Challenger] = CHALLENGERS) -> int:
    """Do the same on a rehearsal that may have been brought up before, but has never had a model."""
    stack = rehearsal.stack
    prometheus_program = toolchain.ensure(PROMETHEUS)
    runner = StepRunner()
    info(f"Rehearsing the model lifecycle on {stack}; the clouds, nodes and the cluster's network are simulated.")
    with rehearsal.running(port) as running:
        if running.cluster is None:
            raise UserError(f"Without a control plane no model can be served: {running.unavailable_reason}")
        cluster = running.cluster
        runner.run_step("Bring the stack up", lambda: bring_up(rehearsal, running.environment))
        folder = rehearsal.folder / "lifecycle"
        with run_environment(cluster, require_repository(running, stack), folder) as environment:
            prepare_gitops(runner, environment, stack)
            runner.run_step("Start Prometheus", lambda: environment.start_prometheus(prometheus_program))
            for number, challenger in enumerate(challengers, start=1):
                _challenge(runner, environment, challenger, number)
            problems = cluster.plane.problems()
            log = environment.repository.log()
    print(_render_summary(stack, runner, log), flush=True)
    for problem in problems:
        info(problem)
    return int(bool(problems))


def _check_prerequisites(stack: str) -> None:
    folder = project.current().require("gitops") / "stacks" / stack
    if not (folder / "kustomization.yaml").is_file():
        raise UserError(
            f"{project.current().shorten(folder)}/kustomization.yaml does not exist, which says how models are served "
            "on this stack: copy it from another stack, as `make new-stack` writes it."
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
    """Raises UserError with the end of what the engine said where it fails."""
    process = rehearsal.pulumi(["up", "--yes", "--skip-preview"], environment, quiet=True)
    if process.returncode != 0:
        raise UserError(f"`pulumi up` of the stack failed:\n{process.stdout[-3000:]}{process.stderr[-1000:]}")


def require_repository(running: RunningRehearsal, stack: str) -> GitOpsRepository:
    """The repository that models are deployed from. Raises UserError where the stack has none."""
    if running.repository is None:
        raise UserError(f"{stack} has no repository that models are deployed from: set groundwork:gitops.repository.")
    return running.repository


def prepare_gitops(runner: StepRunner, environment: ScenarioEnvironment, stack: str) -> None:
    """Have Argo CD sync the repository, which has no model yet, and run the processes of the stack's own services."""
    pod_processes.commit_annotation(environment.repository, stack)
    runner.run_step("Sync the empty repository", lambda: model_steps.wait_until_synced(environment))
    runner.run_step("Start promotion and rollout", lambda: pod_processes.run_services(environment.plane.api))
    runner.run_step("Webhook registered in MLflow", lambda: model_steps.wait_until_registered(environment))


def _challenge(runner: StepRunner, environment: ScenarioEnvironment, challenger: Challenger, number: int) -> None:
    """Train the challenger, promote it and roll it out, to the end that it is made for."""
    champion = model_steps.get_aliases(environment).get("champion", "")
    if challenger.kind == "pipeline":
        train = partial(model_steps.train, environment, f"training-{number}")
        version = runner.run_step("Train, gate and register", train)
    else:
        register = partial(model_steps.register_faulty_challenger, environment, challenger.kind, f"training-{number}")
        version = runner.run_step(f"Train a {challenger.kind} challenger", register)
    promote(runner, environment, version)
    title = f"Roll version {version} out" + (", and back" if challenger.is_rolled_back else "")
    roll_out = partial(model_steps.roll_out, environment, version, outlier_rate=challenger.outlier_rate)
    _show_result(environment, runner.run_step(title, roll_out))
    _check_consistency(environment, champion if challenger.is_rolled_back else version)
    if challenger.is_rolled_back and "Revert" not in environment.repository.head_message():
        raise UserError(f"The {challenger.kind} challenger was not rolled back.")


def promote(runner: StepRunner, environment: ScenarioEnvironment, version: str) -> None:
    """Wait until a registered challenger is committed, synced and ready."""
    seconds = runner.run_step(
        f"Promote version {version} by webhook", lambda: model_steps.wait_until_promoted(environment, version)
    )
    info(f"  webhook to commit: {seconds:.1f} s, including the smoke test of the model")
    runner.run_step("Sync by Argo CD", lambda: model_steps.wait_until_synced(environment))
    runner.run_step("InferenceService Ready", lambda: model_steps.wait_until_ready(environment, "challenger"))


def _show_result(environment: ScenarioEnvironment, result: model_steps.RolloutResult) -> None:
    responses = f"responses by version and status: {dict(result.responses)}"
    for line in [*result.messages, responses, *environment.notifications.latest_lines()]:
        info(f"  {line}")


def _check_consistency(environment: ScenarioEnvironment, champion: str) -> None:
    """Check that git, the cluster and the registry agree, as they must after every rollout, however it ended."""
    model_steps.wait_until_synced(environment)
    model_steps.wait_until_deleted(environment, "challenger")
    model_steps.wait_until_ready(environment, "champion")
    aliases, weights = model_steps.get_aliases(environment), model_steps.get_weights(environment)
    if aliases != {"champion": champion} or list(weights.values()) != [100]:
        raise UserError(
            f"After the rollout version {champion} should be the champion and get all requests; the registry has "
            f"the aliases {aliases}, the route the weights {weights}."
        )


def _render_summary(stack: str, runner: StepRunner, log: str) -> str:
    title = f" Model lifecycle on {stack} "
    lines = [f"{title:=^{_WIDTH}}", "", "Steps"]
    lines += [f"  {seconds:6.1f} s  {name}" for name, seconds in runner.durations]
    lines += ["", "Commits", *(f"  {line}" for line in log.splitlines())]
    lines += ["", "Simulated", _SIMULATED]
    return "\n".join([*lines, "=" * _WIDTH])
