"""One simulated cloud: its models applied to its world.

Every operation passes one gate, `_journalled`: the place where what was asked is written down, and where faults
and delays would be put in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rehearsal.simulator.core.resource_model import Cloud, Draft, Model, Refusal, Rule, make
from rehearsal.simulator.core.state_store import FileWorld, Record
from rehearsal.simulator.core.values import UNKNOWN, Values, has_unknown, look_up, strings


@dataclass
class Difference:
    """What an update would change: dotted paths, and those of them that force a replacement."""

    changed: list[str] = field(default_factory=list)
    replaces: list[str] = field(default_factory=list)
    same_name: bool = False  # the replacement would take the name, so the old one has to go first


class Simulation:
    """Answers as the provider of one cloud would; raises Refusal where the cloud would refuse."""

    def __init__(self, cloud: Cloud, world: FileWorld) -> None:
        self._cloud = cloud
        self._world = world
        self._facts = dict(cloud.facts)

    @property
    def cloud(self) -> Cloud:
        return self._cloud

    def configure(self, variables: Mapping[str, Any]) -> None:
        self._facts.update(self._cloud.configure(variables))

    def check(self, urn: str, type_: str, inputs: Values) -> list[str]:
        """What is wrong with the inputs before anything is done, in previews too; empty when nothing is."""
        model = self._cloud.model(type_)
        if model is None:
            return [f"{type_} is not modelled by the simulated {self._cloud.name}: add an entry to its tables"]
        draft = self._draft(type_, urn, inputs)
        absent = [f"missing required property '{path}'" for path in sorted(model.required) if draft.get(path) is None]
        return absent + list(_broken(model.rules, draft))

    def diff(self, urn: str, type_: str, id_: str, old: Values, new: Values) -> Difference:
        model = self._model(type_)
        changed = list(_changed_paths(old.plain, new.plain))
        replaces = [path for path in changed if _touches(path, model.replaces)]
        return Difference(changed, replaces, bool(replaces) and self._keeps_name(model, urn, id_, old, new))

    def create(self, urn: str, type_: str, inputs: Values, *, preview: bool) -> tuple[str, Values]:
        model = self._model(type_)
        if preview:
            return "", self._outputs(model, inputs, dict.fromkeys(model.outputs, UNKNOWN))
        with self._journalled("create", type_, urn):
            generation = self._world.next_generation(urn)
            draft = self._draft(type_, urn, inputs, generation=generation)
            id_ = str(make(model.id, draft))
            if self._world.get(type_, id_) is not None:
                raise Refusal(f'a resource with the ID "{id_}" already exists: its name is taken')
            self._refuse_if_broken(model, draft)
            return id_, self._store(model, urn, id_, generation, inputs)

    def update(self, urn: str, type_: str, id_: str, inputs: Values, old_outputs: Values, *, preview: bool) -> Values:
        model = self._model(type_)
        if preview:
            made = {name: old_outputs.plain.get(name, UNKNOWN) for name in model.outputs}
            return self._outputs(model, inputs, made)
        with self._journalled("update", type_, urn):
            record = self._existing(type_, id_)
            self._refuse_if_broken(model, self._draft(type_, urn, inputs, id_=id_))
            return self._store(model, urn, id_, record.generation, inputs, old_outputs)

    def read(self, type_: str, id_: str, inputs: Values, outputs: Values) -> tuple[Values, Values] | None:
        """Inputs and outputs of what exists, None when it is gone. Secrets come from what the caller knows."""
        record = self._world.get(type_, id_)
        if record is None:
            return None
        key = self._world.key
        return Values.unsealed(record.inputs, inputs, key), Values.unsealed(record.outputs, outputs, key)

    def delete(self, urn: str, type_: str, id_: str) -> None:
        model = self._model(type_)
        record = self._world.get(type_, id_)
        if record is None:
            return
        with self._journalled("delete", type_, urn):
            users = [user.id for user in self._world.referrers(record)]
            if users:
                raise Refusal(f"{id_} is in use by {', '.join(sorted(users)[:3])} and cannot be deleted")
            draft = Draft(type_, urn, record.inputs, self._world, self._facts, record.generation, id_)
            for reason in _broken(model.keeps, draft):
                raise Refusal(reason)
            self._world.remove(record)

    def invoke(self, token: str, arguments: Values) -> Values:
        function = self._cloud.invokes.get(token)
        if function is None:
            raise Refusal(f"the function {token} is not modelled by the simulated {self._cloud.name}")
        with self._journalled("invoke", token, ""):
            result = Values(dict(function(arguments.plain, self._world, self._facts)))
        if token in self._cloud.secret_invokes:
            result.secrets = {(name,) for name in result.plain}
        return result

    def _model(self, type_: str) -> Model:
        model = self._cloud.model(type_)
        if model is None:
            raise Refusal(f"{type_} is not modelled by the simulated {self._cloud.name}")
        return model

    def _existing(self, type_: str, id_: str) -> Record:
        record = self._world.get(type_, id_)
        if record is None:
            raise Refusal(f"{id_} was not found: it has been deleted outside Pulumi (run a refresh)")
        return record

    def _draft(self, type_: str, urn: str, inputs: Values, *, generation: int = 0, id_: str = "") -> Draft:
        return Draft(type_, urn, inputs.plain, self._world, self._facts, generation, id_)

    def _refuse_if_broken(self, model: Model, draft: Draft) -> None:
        reasons = list(_broken((*model.rules, *model.live), draft))
        missing = (self._cloud.missing(draft, text) for text in strings(draft.inputs))
        reasons += [reason for reason in missing if reason]
        if reasons:
            raise Refusal("; ".join(dict.fromkeys(reasons)))

    def _store(
        self, model: Model, urn: str, id_: str, generation: int, inputs: Values, old: Values | None = None
    ) -> Values:
        draft = self._draft(model.type, urn, inputs, generation=generation, id_=id_)
        # What was generated as a secret stays what it was: an update makes no new password.
        kept = {name: old.plain[name] for name in model.secrets if name in old.plain} if old else {}
        made = {name: kept.get(name) or make(output, draft) for name, output in model.outputs.items()}
        outputs = self._outputs(model, inputs, made)
        key = self._world.key
        self._world.put(Record(model.type, id_, urn, generation, inputs.sealed(key), outputs.sealed(key)))
        return outputs

    def _outputs(self, model: Model, inputs: Values, made: Mapping[str, Any]) -> Values:
        secrets = inputs.secrets | {(name,) for name in model.secrets}
        return Values({**inputs.plain, **made}, secrets)

    def _keeps_name(self, model: Model, urn: str, id_: str, old: Values, new: Values) -> bool:
        if has_unknown(new.plain):
            return True  # the safe side: a name that is taken fails, an early delete does not
        name = look_up(new.plain, model.named) if model.named else None
        if name is not None and name == look_up(old.plain, model.named):
            return True
        return str(make(model.id, self._draft(model.type, urn, new, generation=-1))) == id_

    @contextmanager
    def _journalled(self, operation: str, type_: str, urn: str) -> Iterator[None]:
        try:
            yield
        except Refusal as refusal:
            self._world.note(operation, type_, urn, f"refused: {refusal}")
            raise
        self._world.note(operation, type_, urn, "done")


def _broken(rules: Any, draft: Draft) -> Iterator[str]:
    rule: Rule
    for rule in rules:
        reason = rule(draft)
        if reason:
            yield reason


def _changed_paths(old: Any, new: Any, prefix: str = "") -> Iterator[str]:
    """Dotted paths at which two property trees differ; a list counts as one value."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _changed_paths(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else key)
    elif old != new:
        yield prefix


def _touches(path: str, replaces: Any) -> bool:
    """Whether a change at `path` is a change of, or within, or around one of the replacing paths."""
    return any(path == wanted or path.startswith(f"{wanted}.") or wanted.startswith(f"{path}.") for wanted in replaces)
