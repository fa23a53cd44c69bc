"""One rollout, decided anew at each look from what git and the registry say.

    promoted -> 10 % -> 25 % -> 50 % -> 100 % -> adopted -> settled
         \\_______\\_______\\______\\_______\\________\\__ rolled back

Adopted: champion.yaml has the challenger's version while the challenger still answers everybody, so that the champion's
pods change without anyone noticing. Settled: the champion answers, the challenger is gone. The controller keeps nothing
between two looks; one that was killed is replaced by any other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from lifecycle.contract import LifecycleError
from lifecycle.gitops import folder
from lifecycle.gitops.folder import Folder
from lifecycle.gitops.manifests import CHALLENGER, CHAMPION, ROLES, Lineage
from lifecycle.gitops.repository import Change, Edits, Entry, Repository, Tree
from lifecycle.promotion.notify import News, Notifier
from lifecycle.promotion.registry import Registry
from lifecycle.rollout.guardrails import Grade, Guardrails, Judgement
from lifecycle.rollout.settings import RolloutSettings

_STAGE = "Groundwork-Rollout"
_VERSION = "Groundwork-Version"
_REPLACED = "Groundwork-Replaced"
_ADOPTED = "adopted"
_SETTLED = "settled"
_ROLLED_BACK = "rolled-back"
_FINAL = {_SETTLED: "serving", _ROLLED_BACK: "rolled-back"}
_NONE: Mapping[str, str] = MappingProxyType({})
_HISTORY = 200  # commits of one model's folder that one rollout can take, with people's among them


class RolloutError(LifecycleError):
    """The rollout cannot go on by itself; the message says what a person has to do."""


@dataclass(frozen=True)
class Step:
    """What one look led to; `done` when there is nothing left to roll out."""

    words: str
    done: bool = False


@dataclass(frozen=True)
class _Rollout:
    """What git says of a rollout that is going on.

    commits  the promotion's and the steps', newest first
    """

    now: Folder
    challenger: Lineage
    commits: Sequence[Entry]

    @property
    def champion(self) -> Lineage | None:
        return self.now.champion

    @property
    def latest(self) -> Entry:
        return self.commits[0]

    @property
    def before(self) -> str:
        """What worked: the commit before the promotion."""
        return f"{self.commits[-1].commit}~1"

    @property
    def weight(self) -> int:
        return self.now.weights.get(CHALLENGER, 0)


class Controller:
    """Rolls models out in one environment. Methods raise RepositoryError and RegistryError: look again later."""

    def __init__(
        self,
        settings: RolloutSettings,
        repository: Repository,
        registry: Registry,
        guardrails: Guardrails,
        notifier: Notifier,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._repository = repository
        self._registry = registry
        self._guardrails = guardrails
        self._notifier = notifier
        self._clock = clock

    def step(self, model: str) -> Step:
        """Look at a model, and do the next thing if it is time. Raises RolloutError when a person has to help."""
        tree = self._repository.refresh()
        now = folder.read(tree, self._repository.settings, model)
        if now.challenger is None:
            return self._conclude(now)
        rollout = self._read(now, now.challenger)
        return self._settle(rollout) if rollout.champion == rollout.challenger else self._advance(rollout)

    def abort(self, model: str, reason: str) -> Step:
        """Take the challenger back, whatever it does."""
        now = folder.read(self._repository.refresh(), self._repository.settings, model)
        if now.challenger is None:
            return self._conclude(now)
        return self._roll_back(self._read(now, now.challenger), [reason])

    def _read(self, now: Folder, challenger: Lineage) -> _Rollout:
        commits: list[Entry] = []
        for entry in self._repository.history(folder.place(self._repository.settings, now.model), _HISTORY):
            if _STAGE in entry.trailers:
                commits.append(entry)
            elif entry.trailers.get(_VERSION) == challenger.version:
                return _Rollout(now, challenger, [*commits, entry])
        raise RolloutError(
            f"no commit of the last {_HISTORY} promoted version {challenger.version} of {now.model}: there is nothing "
            "to go back to; remove its challenger.yaml, or promote it with `python -m lifecycle.promotion promote`"
        )

    def _advance(self, rollout: _Rollout) -> Step:
        elapsed = self._clock() - rollout.latest.at
        split = rollout.champion is not None and rollout.weight > 0
        judgement = self._guardrails.judge(rollout.challenger, requests_for=elapsed if split else None)
        if judgement.grade is Grade.BAD:
            return self._roll_back(rollout, judgement.reasons)
        if judgement.grade is Grade.UNKNOWN:
            return self._wait_or_fail(rollout, judgement, elapsed)
        if split and elapsed < self._settings.interval:
            return Step(f"{rollout.weight} % is good so far, {self._settings.interval - elapsed:.0f} s to go")
        higher = [weight for weight in self._settings.steps if weight > rollout.weight]
        return self._weigh(rollout, higher[0]) if higher else self._adopt(rollout)

    def _wait_or_fail(self, rollout: _Rollout, judgement: Judgement, elapsed: float) -> Step:
        if elapsed > self._settings.patience:
            waited = f"it could not be judged for {elapsed:.0f} s, which is longer than {self._settings.patience:g} s"
            return self._roll_back(rollout, [waited, *judgement.reasons])
        return Step(f"{rollout.weight} % cannot be judged yet: {'; '.join(judgement.reasons)}")

    def _weigh(self, rollout: _Rollout, weight: int) -> Step:
        now = rollout.now
        self._registry.mark(now.model, rollout.challenger.version, "rolling-out")
        after = Folder(now.model, now.versions, {CHAMPION: 100 - weight, CHALLENGER: weight})
        return self._commit(rollout, after, str(weight), f"Give {_title(rollout)} {weight} % of the requests")

    def _adopt(self, rollout: _Rollout) -> Step:
        now = rollout.now
        after = Folder(now.model, dict.fromkeys(ROLES, rollout.challenger), now.weights)
        replaced = {_REPLACED: rollout.champion.version} if rollout.champion else {}
        return self._commit(rollout, after, _ADOPTED, f"Make {_title(rollout)} the champion", replaced)

    def _settle(self, rollout: _Rollout) -> Step:
        """The alias follows the commit that adopted; the champion's pods may still be changing."""
        self._registry.point(rollout.now.model, CHAMPION, rollout.challenger.version)
        replaced = rollout.latest.trailers.get(_REPLACED)
        if replaced:
            self._registry.mark(rollout.now.model, replaced, "registered")
        judgement = self._guardrails.probe(rollout.challenger, CHAMPION)
        if judgement.grade is not Grade.GOOD:
            elapsed = self._clock() - rollout.latest.at
            return self._wait_or_fail(rollout, judgement, elapsed)
        after = Folder(rollout.now.model, {CHAMPION: rollout.challenger}, {CHAMPION: 100})
        done = self._commit(rollout, after, _SETTLED, f"Let {_title(rollout)} serve alone")
        return self._conclude(after) if done.words == _SETTLED else done

    def _roll_back(self, rollout: _Rollout, reasons: Sequence[str]) -> Step:
        """One commit that reverts all of the rollout's: the history keeps them, the files are what they were before.

        Whole files, where `git revert` would merge: a person's edit meanwhile must not keep bad weights in place.
        """
        settings, model = self._repository.settings, rollout.now.model
        place = folder.place(settings, model)
        was = self._repository.restored(rollout.before, self._repository.touched(rollout.before, place))
        stood = any(text is not None for text in was.values())

        def edit(tree: Tree) -> Edits:
            if folder.read(tree, settings, model).challenger != rollout.challenger:
                return {}
            return {**was, **folder.enlist(tree, settings, model, wanted=stood)}

        why = [f"At {rollout.weight} % of the requests:", *(f"- {' '.join(reason.split())}" for reason in reasons)]
        undone = [f"This reverts commit {entry.commit}." for entry in rollout.commits]
        restored = f"{place} is again what it was before them."
        body = "\n\n".join("\n".join(lines) for lines in (why, [*undone, restored]))
        self._push(rollout, Change("", f"Revert the rollout of {_title(rollout)}", edit, body=body), _ROLLED_BACK)
        return self._conclude(folder.read(self._repository.refresh(), settings, model))

    def _commit(
        self, rollout: _Rollout, after: Folder, stage: str, subject: str, trailers: Mapping[str, str] = _NONE
    ) -> Step:
        settings = self._repository.settings

        def edit(tree: Tree) -> Edits:
            unmoved = folder.read(tree, settings, after.model) == rollout.now
            return folder.write(tree, settings, after) if unmoved else {}

        if self._push(rollout, Change("", subject, edit, trailers), stage):
            return Step(f"{stage} %" if stage.isdigit() else stage)
        return Step("somebody else changed the folder meanwhile")

    def _push(self, rollout: _Rollout, change: Change, stage: str) -> bool:
        """Commit a stage once, whoever else does; False when the folder was not as it had been read."""
        # What the stage follows is part of the event: after a person's own revert the same stage may come again.
        event = f"rollout-{rollout.latest.commit[:12]}-{stage}"
        facts = {"Groundwork-Model": rollout.now.model, _VERSION: rollout.challenger.version, _STAGE: stage}
        change = replace(change, event=event, trailers={**facts, **change.trailers})
        return self._repository.commit([change])[event] is not None

    def _conclude(self, now: Folder) -> Step:
        """Make the registry agree with a folder without a challenger; the status tag comes last and says it is done."""
        entries = self._repository.history(folder.place(self._repository.settings, now.model), _HISTORY)
        last = next((entry for entry in entries if _STAGE in entry.trailers), None)
        if last is None or last.trailers[_STAGE] not in _FINAL:
            return Step("there is no challenger to roll out", done=True)
        stage, version = last.trailers[_STAGE], last.trailers[_VERSION]
        known = self._registry.version(now.model, version)
        if known is not None and known.status != _FINAL[stage]:
            if now.champion is not None:
                self._registry.point(now.model, CHAMPION, now.champion.version)
                if now.champion.version != version:  # adopting the other one had marked it as replaced
                    self._registry.mark(now.model, now.champion.version, _FINAL[_SETTLED])
            else:
                self._registry.withdraw(now.model, CHAMPION, version)
            self._registry.withdraw(now.model, CHALLENGER, version)
            environment = self._repository.settings.environment
            details = self._repository.words(last.commit)
            self._notifier.tell(News(now.model, version, environment, _FINAL[stage], details))
            self._registry.mark(now.model, version, _FINAL[stage])
        return Step(f"{stage}: version {version}", done=True)


def _title(rollout: _Rollout) -> str:
    return f"{rollout.now.model} version {rollout.challenger.version}"
