"""One rollout, whose next step is decided only from git and the model registry.

    promoted -> 10 % -> 25 % -> 50 % -> 100 % -> adopted -> settled
         \\_______\\_______\\______\\_______\\________\\__ rolled back

Adopted: champion.yaml names the challenger's version while the challenger still serves every request, so that the
champion's pods are replaced without an effect on users. Settled: the champion serves every request, the challenger
is removed. While an experiment decides on the challenger, the rollout waits at 0 %, then continues or is rolled back;
at its end the experiment's entry says `ended`. The controller has no state of its own between two steps, so any other
controller can replace one that was killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from lifecycle.core import (
    CHALLENGER,
    CHAMPION,
    ROLES,
    Action,
    LifecycleError,
    ModelRegistry,
    ModelVersion,
    Notification,
    Notifier,
    Status,
)
from lifecycle.core.names import MODEL_TRAILER, REPLACED_TRAILER, ROLLOUT_TRAILER, VERSION_TRAILER
from lifecycle.core.text import to_line
from lifecycle.gitops.manifests import check_name
from lifecycle.gitops.model_folder import (
    Edits,
    ModelFolder,
    edit_folder,
    edit_stack,
    generated_path,
    read_folder,
)
from lifecycle.gitops.publication import ChangePublisher, Publication
from lifecycle.gitops.repository import Change, Commit, Repository, Tree
from lifecycle.rollout.experiments import Experiments, ExperimentState
from lifecycle.rollout.guardrails import Evaluation, Guardrails, Periods, Result
from lifecycle.rollout.settings import RolloutSettings

_ADOPTED = "adopted"
_SETTLED = "settled"
_ROLLED_BACK = "rolled-back"
_FINAL_STATUS = {_SETTLED: Status.SERVING, _ROLLED_BACK: Status.ROLLED_BACK}
_NO_TRAILERS: Mapping[str, str] = MappingProxyType({})
_MAX_COMMITS = 200  # commits to one model's folder during one rollout, including those of people


class RolloutError(LifecycleError):
    """The rollout cannot continue by itself; the message says what a person has to do."""


@dataclass(frozen=True)
class StepResult:
    """The result of one step; `is_done` when there is nothing left to roll out.

    status  of the version whose rollout this step concluded; None if it did not conclude one
    """

    message: str
    is_done: bool = False
    status: Status | None = None


@dataclass(frozen=True)
class _Rollout:
    """A running rollout, as recorded in git.

    commits  of the promotion and the steps, newest first
    """

    folder: ModelFolder
    challenger: ModelVersion
    commits: Sequence[Commit]

    @property
    def champion(self) -> ModelVersion | None:
        return self.folder.champion

    @property
    def latest(self) -> Commit:
        return self.commits[0]

    @property
    def before(self) -> str:
        """The commit before the promotion."""
        return f"{self.commits[-1].sha}~1"

    @property
    def weight(self) -> int:
        return self.folder.weights.get(CHALLENGER, 0)


class Controller:
    """Rolls models out on one stack. After a RepositoryError or a RegistryError, call the method again later."""

    def __init__(
        self,
        settings: RolloutSettings,
        repository: Repository,
        registry: ModelRegistry,
        guardrails: Guardrails,
        notifier: Notifier,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._repository = repository
        self._changes = ChangePublisher(repository.settings)
        self._registry = registry
        self._experiments = Experiments(repository, registry)
        self._guardrails = guardrails
        self._notifier = notifier
        self._clock = clock

    def step(self, model: str) -> StepResult:
        """Evaluate the challenger, and take the next step if it is due.

        Raises RolloutError if a person has to act.
        """
        folder = self._read_folder(model)
        if folder.challenger is None:
            return self._conclude(folder)
        rollout = self._read_rollout(folder, folder.challenger)
        if self._changes.is_requested(self._repository, _name_event(rollout, _ROLLED_BACK)):
            return self._roll_back(rollout, [])  # people merge it, even if guardrails pass again
        return self._settle(rollout) if rollout.champion == rollout.challenger else self._advance(rollout)

    def abort(self, model: str, reason: str) -> StepResult:
        """Roll back, regardless of the evaluation."""
        folder = self._read_folder(model)
        if folder.challenger is None:
            return self._conclude(folder)
        return self._roll_back(self._read_rollout(folder, folder.challenger), [reason])

    def _read_folder(self, model: str) -> ModelFolder:
        check_name(model)
        return read_folder(self._repository.refresh(), self._repository.settings, model)

    def _read_history(self, model: str) -> Sequence[Commit]:
        """The latest commits of the model's promotions and rollouts, newest first."""
        commits = self._repository.history(generated_path(self._repository.settings, model), _MAX_COMMITS)
        return [commit for commit in commits if commit.trailers.get(MODEL_TRAILER) == model]

    def _read_rollout(self, folder: ModelFolder, challenger: ModelVersion) -> _Rollout:
        commits: list[Commit] = []
        for commit in self._read_history(folder.model):
            if ROLLOUT_TRAILER in commit.trailers:
                commits.append(commit)
            elif commit.trailers.get(VERSION_TRAILER) == challenger.version:
                return _Rollout(folder, challenger, [*commits, commit])
        raise RolloutError(
            f"none of the last {_MAX_COMMITS} commits promoted version {challenger.version} of {folder.model}, so "
            "there is no state to go back to; remove its challenger.yaml, or promote it with "
            "`python -m lifecycle.promotion promote`"
        )

    def _advance(self, rollout: _Rollout) -> StepResult:
        state = self._consult_experiment(rollout)
        if state.action is Action.STOP:
            return self._roll_back(rollout, state.explain())
        if state.is_waiting and state.has_entered and rollout.weight == 0:
            return StepResult(f"waiting: {state.message}")  # the experiment's router sends and guards its requests
        elapsed = self._elapsed(rollout.latest)
        has_requests = rollout.champion is not None and rollout.weight > 0
        periods = Periods(elapsed, self._elapsed(rollout.commits[-2])) if has_requests else None
        evaluation = self._guardrails.evaluate(rollout.challenger, rollout.champion, periods)
        if evaluation.result is Result.FAILED:
            return self._roll_back(rollout, evaluation.reasons)
        if evaluation.result is Result.INCONCLUSIVE:
            waited = min(elapsed, self._clock() - self._experiments.find_start(state))
            return self._wait_or_fail(rollout, evaluation, waited)
        if state.is_waiting:
            return self._hold(rollout, state)
        if has_requests and elapsed < self._settings.interval:
            remaining = self._settings.interval - elapsed
            return StepResult(f"guardrails pass at {rollout.weight} %, next step in {remaining:.0f} s")
        higher = [weight for weight in self._settings.steps if weight > rollout.weight]
        return self._set_weight(rollout, higher[0], state.explain()) if higher else self._adopt(rollout)

    def _consult_experiment(self, rollout: _Rollout) -> ExperimentState:
        """A first version has no champion to be compared with, so no experiment."""
        if rollout.champion is None:
            return ExperimentState()
        return self._experiments.consult(self._repository.tree(), rollout.challenger)

    def _hold(self, rollout: _Rollout, state: ExperimentState) -> StepResult:
        """Wait for the experiment, with no requests except its router's: a second split would mix its users."""
        if state.experiment is None:
            return StepResult(f"waiting: {state.message}")
        if rollout.weight > 0:
            return self._set_weight(rollout, 0, [f"The experiment {state.experiment.name} gives it requests."])
        self._experiments.enter(state.experiment, rollout.challenger, self._clock())
        return StepResult(f"waiting: {state.message}")

    def _elapsed(self, commit: Commit) -> float:
        """Seconds since a commit reached the branch."""
        return self._clock() - self._repository.arrival_time(commit)

    def _wait_or_fail(self, rollout: _Rollout, evaluation: Evaluation, elapsed: float) -> StepResult:
        deadline = self._settings.progress_deadline
        if elapsed > deadline:
            reason = f"the evaluation was inconclusive for {elapsed:.0f} s, longer than {deadline:g} s"
            return self._roll_back(rollout, [reason, *evaluation.reasons])
        return StepResult(f"evaluation inconclusive at {rollout.weight} %: {'; '.join(evaluation.reasons)}")

    def _set_weight(self, rollout: _Rollout, weight: int, why: Sequence[str]) -> StepResult:
        folder = rollout.folder
        self._registry.set_status(folder.model, rollout.challenger.version, Status.ROLLING_OUT)
        target = ModelFolder(folder.model, folder.versions, {CHAMPION: 100 - weight, CHALLENGER: weight})
        subject = f"Give {rollout.challenger} {weight} % of the requests"
        return self._commit(rollout, target, str(weight), subject, body=to_line(" ".join(why)))

    def _adopt(self, rollout: _Rollout) -> StepResult:
        folder = rollout.folder
        target = ModelFolder(folder.model, dict.fromkeys(ROLES, rollout.challenger), folder.weights)
        trailers = {REPLACED_TRAILER: rollout.champion.version} if rollout.champion else {}
        return self._commit(rollout, target, _ADOPTED, f"Make {rollout.challenger} the champion", trailers)

    def _settle(self, rollout: _Rollout) -> StepResult:
        """Move the alias after the commit that adopted the version; the champion's pods may still be starting."""
        model = rollout.folder.model
        self._registry.set_alias(model, CHAMPION, rollout.challenger.version)
        replaced = rollout.latest.trailers.get(REPLACED_TRAILER)
        if replaced:
            self._registry.set_status(model, replaced, Status.REGISTERED)
        evaluation = self._guardrails.probe(rollout.challenger, CHAMPION, has_requests=False)
        if evaluation.result is not Result.PASSED:
            return self._wait_or_fail(rollout, evaluation, self._elapsed(rollout.latest))
        target = ModelFolder(model, {CHAMPION: rollout.challenger}, {CHAMPION: 100})
        result = self._commit(rollout, target, _SETTLED, f"Let {rollout.challenger} serve alone")
        return self._conclude(target) if result.message == _SETTLED else result

    def _roll_back(self, rollout: _Rollout, reasons: Sequence[str]) -> StepResult:
        """Revert the whole rollout in one commit: the history keeps its commits, and the generated files are restored.

        The files are replaced rather than merged as by `git revert`: edits that people made meanwhile must not preserve
        bad weights.
        """
        settings, model = self._repository.settings, rollout.folder.model
        path = generated_path(settings, model)
        restored = self._repository.edits_to_restore(
            rollout.before, self._repository.changed_paths(rollout.before, path)
        )
        existed = any(text is not None for text in restored.values())

        def edit(tree: Tree) -> Edits:
            if read_folder(tree, settings, model).challenger != rollout.challenger:
                return {}
            edits = {**restored, **edit_stack(tree, settings, model, present=existed)}
            ended = self._experiments.edit_end(tree, rollout.challenger)
            after = tree.fork()
            after.apply(edits)
            is_alone = read_folder(after, settings, model).challenger is None  # otherwise an earlier challenger is back
            return {**edits, **ended} if is_alone else edits

        why = [f"At {rollout.weight} % of the requests:", *(f"- {to_line(reason)}" for reason in reasons)]
        reverts = [f"This reverts commit {commit.sha}." for commit in rollout.commits]
        body = "\n\n".join("\n".join(lines) for lines in (why, [*reverts, f"{path} is as it was before them."]))
        change = Change("", f"Revert the rollout of {rollout.challenger}", edit, body=body)
        publication = self._publish(rollout, change, _ROLLED_BACK, reasons)
        if publication.pull_request:
            return StepResult(f"the rollback is requested: {publication.pull_request}")
        return self._conclude(read_folder(self._repository.refresh(), settings, model))

    def _commit(
        self,
        rollout: _Rollout,
        target: ModelFolder,
        stage: str,
        subject: str,
        trailers: Mapping[str, str] = _NO_TRAILERS,
        body: str = "",
    ) -> StepResult:
        settings = self._repository.settings

        def edit(tree: Tree) -> Edits:
            if read_folder(tree, settings, target.model) != rollout.folder:
                return {}
            ended = self._experiments.edit_end(tree, rollout.challenger) if stage == _SETTLED else {}
            return {**edit_folder(tree, settings, target), **ended}

        publication = self._publish(rollout, Change("", subject, edit, trailers, body), stage)
        name = f"{stage} %" if stage.isdigit() else stage
        if publication.pull_request:
            return StepResult(f"{name} is requested: {publication.pull_request}")
        return StepResult(name if publication.commit else "another commit changed the folder meanwhile")

    def _publish(self, rollout: _Rollout, change: Change, stage: str, reasons: Sequence[str] = ()) -> Publication:
        """Publish a stage once, even if several controllers try; no commit if the folder has changed meanwhile."""
        event = _name_event(rollout, stage)
        trailers = {
            MODEL_TRAILER: rollout.folder.model,
            VERSION_TRAILER: rollout.challenger.version,
            ROLLOUT_TRAILER: stage,
        }
        change = replace(change, event=event, trailers={**trailers, **change.trailers})
        publication = self._changes.publish(self._repository, [change])[event]
        if publication.is_new:
            details = [change.subject, *reasons, publication.pull_request]
            self._notifier.send(Notification(rollout.challenger, self._repository.settings.stack, "requested", details))
        return publication

    def _conclude(self, folder: ModelFolder) -> StepResult:
        """Make the registry agree with a folder without a challenger; the status is set last and marks the end."""
        last = next((commit for commit in self._read_history(folder.model) if ROLLOUT_TRAILER in commit.trailers), None)
        if last is None or last.trailers[ROLLOUT_TRAILER] not in _FINAL_STATUS:
            return StepResult("there is no challenger to roll out", is_done=True)
        stage, version = last.trailers[ROLLOUT_TRAILER], last.trailers[VERSION_TRAILER]
        status = _FINAL_STATUS[stage]
        registered = self._registry.find_version(folder.model, version)
        is_concluded = registered is None or registered.status == status
        if registered is not None and not is_concluded:
            self._conclude_registry(folder, version)
            details = self._repository.message_paragraphs(last.sha)
            stack = self._repository.settings.stack
            self._notifier.send(Notification(registered.model_version, stack, status, details))
            self._registry.set_status(folder.model, version, status)
        return StepResult(f"{stage}: version {version}", is_done=True, status=None if is_concluded else status)

    def _conclude_registry(self, folder: ModelFolder, version: str) -> None:
        """Set the aliases, and the status of a champion that stays."""
        model = folder.model
        if folder.champion is None:
            self._registry.remove_alias(model, CHAMPION, version)
        else:
            self._registry.set_alias(model, CHAMPION, folder.champion.version)
            if folder.champion.version != version:  # adopting the challenger set another status
                self._registry.set_status(model, folder.champion.version, Status.SERVING)
        self._registry.remove_alias(model, CHALLENGER, version)


def _name_event(rollout: _Rollout, stage: str) -> str:
    """The ID contains the previous commit: after a revert by a person, the same stage may be reached again."""
    return f"rollout-{rollout.latest.sha[:12]}-{stage}"
