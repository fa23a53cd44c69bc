"""One simulated cloud: its models applied to its state.

Every operation passes one gate, `_journalled`: the place where what was asked is written down, and where faults
and delays would be put in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.resource_model import Cloud, ResourceModel, ResourceRequest, Rule, render_template
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore
from rehearsal.simulator.core.values import UNKNOWN, Values, has_unknown, look_up, strings


@dataclass
class Difference:
    """What an update would change: dotted paths, and those of them that force a replacement."""

    changed: list[str] = field(default_factory=list)
    replaces: list[str] = field(default_factory=list)
    delete_before_replace: bool = False  # the replacement would take the name, so the old one has to go first


class Simulation:
    """Answers as the provider of one cloud would; raises CloudError where the cloud would refuse."""

    def __init__(self, cloud: Cloud, state: StateStore) -> None:
        self._cloud = cloud
        self._state = state
        self._account = dict(cloud.account)

    @property
    def cloud(self) -> Cloud:
        return self._cloud

    def configure(self, variables: Mapping[str, Any]) -> None:
        self._account.update(self._cloud.configure(variables))

    def check(self, urn: str, type_: str, inputs: Values) -> list[str]:
        """What is wrong with the inputs before anything is done, in previews too; empty when nothing is."""
        model = self._cloud.model(type_)
        if model is None:
            return [f"{type_} is not modelled by the simulated {self._cloud.name}: add an entry to its tables"]
        request = self._request(type_, urn, inputs)
        absent = [f"missing required property '{path}'" for path in sorted(model.required) if request.get(path) is None]
        return absent + list(_broken(model.rules, request))

    def diff(self, urn: str, type_: str, id_: str, old: Values, new: Values) -> Difference:
        model = self._model(type_)
        changed = list(_changed_paths(old.plain, new.plain))
        replaces = [path for path in changed if _touches(path, model.replace_on_changes)]
        return Difference(changed, replaces, bool(replaces) and self._keeps_name(model, urn, id_, old, new))

    def create(self, urn: str, type_: str, inputs: Values, *, preview: bool) -> tuple[str, Values]:
        model = self._model(type_)
        if preview:
            return "", self._outputs(model, inputs, dict.fromkeys(model.outputs, UNKNOWN))
        with self._journalled("create", type_, urn):
            generation = self._state.next_generation(urn)
            request = self._request(type_, urn, inputs, generation=generation)
            id_ = str(render_template(model.id, request))
            if self._state.get(type_, id_) is not None:
                raise CloudError(f'a resource with the ID "{id_}" already exists: its name is taken')
            self._refuse_if_broken(model, request)
            return id_, self._store(model, urn, id_, generation, inputs)

    def update(self, urn: str, type_: str, id_: str, inputs: Values, old_outputs: Values, *, preview: bool) -> Values:
        model = self._model(type_)
        if preview:
            made = {name: old_outputs.plain.get(name, UNKNOWN) for name in model.outputs}
            return self._outputs(model, inputs, made)
        with self._journalled("update", type_, urn):
            record = self._existing(type_, id_)
            self._refuse_if_broken(model, self._request(type_, urn, inputs, id_=id_))
            return self._store(model, urn, id_, record.generation, inputs, old_outputs)

    def read(self, type_: str, id_: str, inputs: Values, outputs: Values) -> tuple[Values, Values] | None:
        """Inputs and outputs of what exists, None when it is gone. Secrets come from what the caller knows."""
        record = self._state.get(type_, id_)
        if record is None:
            return None
        key = self._state.key
        return Values.restore_secrets(record.inputs, inputs, key), Values.restore_secrets(record.outputs, outputs, key)

    def delete(self, urn: str, type_: str, id_: str) -> None:
        model = self._model(type_)
        record = self._state.get(type_, id_)
        if record is None:
            return
        with self._journalled("delete", type_, urn):
            users = [user.id for user in self._state.referrers(record)]
            if users:
                raise CloudError(f"{id_} is in use by {', '.join(sorted(users)[:3])} and cannot be deleted")
            request = ResourceRequest(type_, urn, record.inputs, self._state, self._account, record.generation, id_)
            for reason in _broken(model.delete_rules, request):
                raise CloudError(reason)
            self._state.remove(record)

    def invoke(self, token: str, arguments: Values) -> Values:
        function = self._cloud.invokes.get(token)
        if function is None:
            raise CloudError(f"the function {token} is not modelled by the simulated {self._cloud.name}")
        with self._journalled("invoke", token, ""):
            result = Values(dict(function(arguments.plain, self._state, self._account)))
        if token in self._cloud.secret_invokes:
            result.secrets = {(name,) for name in result.plain}
        return result

    def _model(self, type_: str) -> ResourceModel:
        model = self._cloud.model(type_)
        if model is None:
            raise CloudError(f"{type_} is not modelled by the simulated {self._cloud.name}")
        return model

    def _existing(self, type_: str, id_: str) -> ResourceRecord:
        record = self._state.get(type_, id_)
        if record is None:
            raise CloudError(f"{id_} was not found: it has been deleted outside Pulumi (run a refresh)")
        return record

    def _request(self, type_: str, urn: str, inputs: Values, *, generation: int = 0, id_: str = "") -> ResourceRequest:
        return ResourceRequest(type_, urn, inputs.plain, self._state, self._account, generation, id_)

    def _refuse_if_broken(self, model: ResourceModel, request: ResourceRequest) -> None:
        reasons = list(_broken((*model.rules, *model.state_rules), request))
        missing = (self._cloud.find_missing_reference(request, text) for text in strings(request.inputs))
        reasons += [reason for reason in missing if reason]
        if reasons:
            raise CloudError("; ".join(dict.fromkeys(reasons)))

    def _store(
        self, model: ResourceModel, urn: str, id_: str, generation: int, inputs: Values, old: Values | None = None
    ) -> Values:
        request = self._request(model.type, urn, inputs, generation=generation, id_=id_)
        # What was generated as a secret stays what it was: an update makes no new password.
        kept = {name: old.plain[name] for name in model.secrets if name in old.plain} if old else {}
        made = {name: kept.get(name) or render_template(output, request) for name, output in model.outputs.items()}
        outputs = self._outputs(model, inputs, made)
        key = self._state.key
        self._state.put(
            ResourceRecord(model.type, id_, urn, generation, inputs.replace_secrets(key), outputs.replace_secrets(key))
        )
        return outputs

    def _outputs(self, model: ResourceModel, inputs: Values, made: Mapping[str, Any]) -> Values:
        secrets = inputs.secrets | {(name,) for name in model.secrets}
        return Values({**inputs.plain, **made}, secrets)

    def _keeps_name(self, model: ResourceModel, urn: str, id_: str, old: Values, new: Values) -> bool:
        if has_unknown(new.plain):
            return True  # the safe side: a name that is taken fails, an early delete does not
        name = look_up(new.plain, model.name_path) if model.name_path else None
        if name is not None and name == look_up(old.plain, model.name_path):
            return True
        return str(render_template(model.id, self._request(model.type, urn, new, generation=-1))) == id_

    @contextmanager
    def _journalled(self, operation: str, type_: str, urn: str) -> Iterator[None]:
        try:
            yield
        except CloudError as refusal:
            self._state.append_to_journal(operation, type_, urn, f"refused: {refusal}")
            raise
        self._state.append_to_journal(operation, type_, urn, "done")


def _broken(rules: Any, request: ResourceRequest) -> Iterator[str]:
    rule: Rule
    for rule in rules:
        reason = rule(request)
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
