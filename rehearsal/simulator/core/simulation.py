"""One simulated cloud: its resource models applied to its state.

Every operation that changes something runs inside `_journaled`, which writes the journal, and is the place for injected
faults and delays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from kernel.paths import Path, format_path, look_up
from kernel.values import UNKNOWN
from rehearsal.simulator.core import defaults
from rehearsal.simulator.core.canaries import Canaries
from rehearsal.simulator.core.circumstances import USUAL, Circumstances
from rehearsal.simulator.core.cloud import Cloud
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.naming import NO_HINTS, NamingHints
from rehearsal.simulator.core.node_drain import NO_CLUSTER, NodeDrain
from rehearsal.simulator.core.remains import ByProduct
from rehearsal.simulator.core.resource_model import (
    ResourceModel,
    ResourceRequest,
    Rule,
    StateReader,
    Template,
    render_template,
)
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore
from rehearsal.simulator.core.suppression import suppress
from rehearsal.simulator.core.values import Values, find_strings, has_unknown

HOW_TO_ADD: Final = 'Groundwork\'s CONTRIBUTING.md says how to add one, under "Add a resource model".'


@dataclass
class Difference:
    """What an update would change.

    changed                property paths whose value differs
    replaces               those of them that force a replacement
    delete_before_replace  whether the replacement has the same name, so that the old resource must be deleted first
    """

    changed: list[str] = field(default_factory=list)
    replaces: list[str] = field(default_factory=list)
    delete_before_replace: bool = False


class Simulation:
    """Responds as the provider of one cloud does; raises CloudError if the cloud refuses a request."""

    def __init__(
        self,
        cloud: Cloud,
        state: StateStore,
        drain: NodeDrain = NO_CLUSTER,
        circumstances: Circumstances = USUAL,
        canaries: Canaries | None = None,
    ) -> None:
        self._cloud = cloud
        self._state = state
        self._drain = drain
        self._circumstances = circumstances
        self._canaries = Canaries() if canaries is None else canaries
        self._account = {**cloud.account, **circumstances.caller.describe()}

    @property
    def cloud(self) -> Cloud:
        return self._cloud

    def with_own_configuration(self) -> Simulation:
        """The same cloud for another instance of its provider, which has its own configuration."""
        return Simulation(self._cloud, self._state, self._drain, self._circumstances, self._canaries)

    def configure(self, variables: Mapping[str, Any]) -> None:
        self._account.update(self._cloud.configure(variables))

    def check(
        self, urn: str, type_: str, inputs: Values, old: Values | None = None, hints: NamingHints = NO_HINTS
    ) -> tuple[Values, list[str]]:
        """The inputs with the provider's defaults, and the problems of the inputs themselves; in previews too.

        `old` are the inputs of the existing resource.
        """
        model = self._cloud.get_model(type_)
        if model is None:
            return inputs, []  # so that a preview continues and finds every type without a model
        request = replace(self._request(model, urn, inputs), hints=hints)
        try:
            complete = Values(defaults.fill_in(model, request, old.plain if old else {}), inputs.secrets)
        except CloudError as error:
            return inputs, [str(error)]
        previous = ResourceRecord(type_, "", urn, 0, defaults.hide(old.plain), {}) if old and old.plain else None
        request = replace(self._request(model, urn, complete), previous=previous)
        unset = [f"missing required property '{path}'" for path in sorted(model.required) if request.get(path) is None]
        problems = unset + list(_apply_rules(model.rules, request))
        # The provider validates inputs before the API does, and its messages are clearer.
        return complete, problems or model.constraints.find_problems(request.inputs, complete.secrets)

    def diff(self, urn: str, type_: str, id_: str, old: Values, new: Values) -> Difference:
        model = self._get_model(type_)
        new = suppress(model, old.plain, new, old.plain)
        changed = [format_path(path) for path in _changed_paths(defaults.hide(old.plain), defaults.hide(new.plain))]
        # An input that an earlier version of the provider did not fill in has not changed.
        added = {path for path in model.defaults if look_up(old.plain, path, None) is None}
        replaces = [path for path in changed if path not in added and model.is_replaced_by(path, old.plain, new.plain)]
        delete_first = bool(replaces) and self._is_name_kept(model, urn, id_, old, new)
        return Difference(changed, replaces, delete_first)

    def create(self, urn: str, type_: str, inputs: Values, *, preview: bool) -> tuple[str, Values]:
        """The ID and outputs of the new resource; a preview changes nothing and knows no ID."""
        if preview and not self.has_model(type_):
            return "", inputs
        model = self._get_model(type_)
        if preview:
            return "", _merge_outputs(model, inputs, dict.fromkeys(model.outputs, UNKNOWN))
        with self._journaled("create", type_, urn):
            self._require_region(self._request(model, urn, inputs).account)
            generation = self._state.next_generation(urn)
            request = self._request(model, urn, inputs, generation=generation)
            id_ = str(render_template(model.id, request))
            if self._state.get(type_, id_) is not None:
                raise CloudError(f'a resource with the ID "{id_}" already exists: its name is taken')
            self._require_free_name(model, request, on_deletion=False)
            self._require_acceptable(model, request, inputs.secrets)
            outputs = self._store(model, replace(request, id=id_), inputs)
            self._create_by_products(model.creation_by_products, request)
            return id_, outputs

    def update(self, urn: str, type_: str, id_: str, inputs: Values, old_outputs: Values, *, preview: bool) -> Values:
        """The new outputs. A preview changes nothing, and refuses what the cloud would refuse for the old values."""
        model = self._get_model(type_)
        record = self._state.get(type_, id_)
        if record:
            inputs = suppress(model, old_outputs.plain, inputs, record.inputs)
        request = self._request(model, urn, inputs, generation=record.generation if record else 0, id_=id_)
        previous = replace(record, inputs=defaults.hide(record.inputs)) if record else None
        request = replace(request, previous=previous, drain=self._drain)
        if preview:
            _require_none(_apply_rules(model.transitions, request))
            stored = defaults.hide(inputs.replace_secrets(self._state.key))
            return _merge_outputs(model, inputs, _preview_outputs(model, request, stored, old_outputs))
        with self._journaled("update", type_, urn):
            self._require_region(request.account)
            if record is None:
                raise CloudError(f"{id_} was not found: it has been deleted outside Pulumi (run a refresh)")
            self._require_acceptable(model, request, inputs.secrets)
            if model.is_never_updated:
                return Values.restore_secrets(record.outputs, old_outputs, self._state.key)
            return self._store(model, request, inputs, old_outputs)

    def read(self, type_: str, id_: str, inputs: Values, outputs: Values) -> tuple[Values, Values] | None:
        """Inputs and outputs of an existing resource, or None if it no longer exists.

        The state stores no secrets: they are restored from the `inputs` and `outputs` that the engine sends.
        """
        record, model = self._state.get(type_, id_), self._cloud.get_model(type_)
        if model:
            self._require_region(self._request(model, "", inputs).account)
        if record is None:
            return None
        key = self._state.key
        return Values.restore_secrets(record.inputs, inputs, key), Values.restore_secrets(record.outputs, outputs, key)

    def delete(self, urn: str, type_: str, id_: str) -> None:
        """Delete a resource. It is not an error if it no longer exists."""
        model = self._get_model(type_)
        record = self._state.get(type_, id_)
        if record is None:
            return
        with self._journaled("delete", type_, urn):
            self._require_region(self._request(model, urn, Values(dict(record.inputs))).account)
            users = [user.id for user in self._state.find_referrers(record)]
            if users:
                raise CloudError(f"{id_} is in use by {', '.join(sorted(users)[:3])} and cannot be deleted")
            inputs = Values(dict(record.inputs))
            request = self._request(model, urn, inputs, generation=record.generation, id_=id_)
            for reason in _apply_rules(model.delete_rules, request):
                raise CloudError(reason)
            self._require_free_name(model, request, on_deletion=True)
            self._state.remove(record)
            self._add_tombstone(model, request)
            self._create_by_products(model.deletion_by_products, request)

    def find_refusals(self, record: ResourceRecord, state: StateReader) -> list[str]:
        """The cloud's errors had an existing resource been created when only the resources in `state` existed."""
        model = self._get_model(record.type)
        request = self._request(model, record.urn, Values(dict(record.inputs)), generation=record.generation)
        request = replace(request, state=state)
        missing = (self._cloud.find_missing_reference(request, text) for text in find_strings(request.inputs))
        return [*_apply_rules(model.state_rules, request), *filter(None, missing)]

    def invoke(self, token: str, arguments: Values) -> Values:
        """The result of a provider function."""
        function = self._cloud.functions.get(token)
        if function is None:
            raise CloudError(self.describe_missing(token))
        with self._journaled("invoke", token, ""):
            self._require_region(self._account)
            result = Values(dict(function(arguments.plain, self._state, self._account)))
        if token in self._cloud.secret_functions:
            result.secrets = {(name,) for name in result.plain}
            self._canaries.add_result(result.plain.values(), token)
        return result

    def generates_secrets(self, type_: str) -> bool:
        model = self._cloud.get_model(type_)
        return model is not None and bool(model.secrets)

    def remember(self, urn: str, type_: str, outputs: Values) -> None:
        """Remember the secrets that were generated for a resource at its creation, and that the engine sends back."""
        model = self._cloud.get_model(type_)
        for name in model.secrets if model else ():
            owner = f"{type_.rpartition(':')[2]} {urn.rpartition('::')[2]}"
            self._canaries.add(outputs.plain.get(name), f"the {name} of {owner}")

    def has_model(self, type_: str) -> bool:
        return self._cloud.get_model(type_) is not None

    def describe_missing(self, token: str) -> str:
        """The message about a resource type or a function that the simulation does not have."""
        return f"the simulated {self._cloud.name} has no model of {token}. {HOW_TO_ADD}"

    def _get_model(self, type_: str) -> ResourceModel:
        model = self._cloud.get_model(type_)
        if model is None:
            raise CloudError(self.describe_missing(type_))
        return model

    def _request(
        self, model: ResourceModel, urn: str, inputs: Values, *, generation: int = 0, id_: str = ""
    ) -> ResourceRequest:
        # The resource's own inputs, such as its region, take precedence over the provider's configuration.
        own = {name: inputs.plain[name] for name in model.defaults if isinstance(inputs.plain.get(name), str)}
        account = {name: own.get(name, value) for name, value in self._account.items()}
        return ResourceRequest(
            model.type,
            urn,
            defaults.hide(inputs.plain),
            self._state,
            account,
            generation,
            id_,
            circumstances=self._circumstances,
        )

    def _require_region(self, account: Mapping[str, Any]) -> None:
        """Raise CloudError if the region of a request has an outage."""
        for region in self._state.read_outages() & {account.get("region"), account.get("location")}:
            raise CloudError(
                f"RequestError: send request failed: the endpoints of {region} do not answer (i/o timeout)"
            )

    def _require_acceptable(self, model: ResourceModel, request: ResourceRequest, secrets: Iterable[Path]) -> None:
        reasons = list(_apply_rules((*model.rules, *model.transitions, *model.state_rules), request))
        reasons = reasons or model.constraints.find_problems(request.inputs, secrets)
        missing = (self._cloud.find_missing_reference(request, text) for text in find_strings(request.inputs))
        _require_none([*reasons, *filter(None, missing)])

    def _require_free_name(self, model: ResourceModel, request: ResourceRequest, *, on_deletion: bool) -> None:
        """Raise CloudError if the name still belongs to a deleted resource, or to what a deletion left behind."""
        tombstone, today = model.tombstone, self._circumstances.today
        if tombstone is None or tombstone.is_left_by_deletion is not on_deletion or tombstone.duration(request) is None:
            return
        if self._state.has_tombstone(model.type, str(render_template(tombstone.name, request)), today):
            raise CloudError(request.fill(tombstone.message))

    def _add_tombstone(self, model: ResourceModel, request: ResourceRequest) -> None:
        duration = model.tombstone.duration(request) if model.tombstone else None
        if model.tombstone and duration:
            name = str(render_template(model.tombstone.name, request))
            self._state.add_tombstone(model.type, name, self._circumstances.today + duration)

    def _create_by_products(self, by_products: Iterable[ByProduct], request: ResourceRequest) -> None:
        """Create the resources that a service creates itself. They have no URN: no program declares them."""
        for each in by_products:
            created = replace(request, id=str(render_template(each.id, request)))
            if each.is_created(created) and self._state.get(each.type, created.id) is None:
                outputs = {name: render_template(template, created) for name, template in each.outputs.items()}
                self._state.put(ResourceRecord(each.type, created.id, "", 0, each.inputs(created), outputs))

    def _store(
        self, model: ResourceModel, request: ResourceRequest, inputs: Values, old: Values | None = None
    ) -> Values:
        # A generated secret survives updates: the cloud does not generate it again.
        kept = {name: old.plain[name] for name in model.secrets if name in old.plain} if old else {}
        computed = {
            name: kept.get(name) or render_template(template, request) for name, template in model.outputs.items()
        }
        outputs = _merge_outputs(model, inputs, computed)
        self.remember(request.urn, model.type, outputs)
        key = self._state.key
        stored_inputs, stored_outputs = inputs.replace_secrets(key), outputs.replace_secrets(key)
        self._state.put(
            ResourceRecord(model.type, request.id, request.urn, request.generation, stored_inputs, stored_outputs)
        )
        return outputs

    def _is_name_kept(self, model: ResourceModel, urn: str, id_: str, old: Values, new: Values) -> bool:
        if has_unknown(new.plain):
            return True  # the safe answer: creating under a name that is taken fails, deleting first does not
        # The engine checks the replacement's inputs again, and the provider then generates other names.
        declared = self._request(model, urn, Values(defaults.remove_filled_in(new.plain)))
        try:
            new = Values(defaults.fill_in(model, declared, {}))
        except CloudError:
            return False
        name = look_up(new.plain, model.name_path, None) if model.name_path else None
        if name is not None and name == look_up(old.plain, model.name_path, None):
            return True
        return str(render_template(model.id, self._request(model, urn, new, generation=-1))) == id_

    @contextmanager
    def _journaled(self, operation: str, type_: str, urn: str) -> Iterator[None]:
        try:
            yield
        except CloudError as error:
            self._state.append_to_journal(operation, type_, urn, f"refused: {error}")
            raise
        self._state.append_to_journal(operation, type_, urn, "done")


def _merge_outputs(model: ResourceModel, inputs: Values, computed: Mapping[str, Any]) -> Values:
    secrets = inputs.secrets | {(name,) for name in model.secrets}
    return Values({**defaults.hide(inputs.plain), **computed}, secrets)


class _ChangedInputError(Exception):
    """Computing an output reads an input that changes."""


class _InputsOfUpdate(Mapping[str, Any]):
    """The inputs of an update. Reading one that changes raises _ChangedInputError."""

    def __init__(self, inputs: Mapping[str, Any], changed: Collection[str]) -> None:
        self._inputs, self._changed = inputs, changed

    def __getitem__(self, name: str) -> Any:
        if name in self._changed:
            raise _ChangedInputError
        return self._inputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._inputs)

    def __len__(self) -> int:
        return len(self._inputs)


def _preview_outputs(
    model: ResourceModel, request: ResourceRequest, stored: Mapping[str, Any], old: Values
) -> dict[str, Any]:
    """The outputs that a preview of an update knows already; UNKNOWN for those that may change.

    `stored` are the request's inputs as the state would store them.
    """
    before = request.previous.inputs if request.previous else {}
    changed = {name for name in {*before, *stored} if before.get(name) != stored.get(name)}
    readable = replace(request, inputs=_InputsOfUpdate(request.inputs, changed))
    return {
        name: old.plain.get(name, UNKNOWN) if _is_stable(model, name, template, readable) else UNKNOWN
        for name, template in model.outputs.items()
    }


def _is_stable(model: ResourceModel, name: str, template: Template, request: ResourceRequest) -> bool:
    if model.stable_outputs is not None:
        return name in model.stable_outputs
    if name in model.secrets:
        return True
    try:
        render_template(template, request)
    except _ChangedInputError:
        return False
    return True


def _require_none(reasons: Iterable[str]) -> None:
    found = dict.fromkeys(reasons)
    if found:
        raise CloudError("; ".join(found))


def _apply_rules(rules: Iterable[Rule], request: ResourceRequest) -> Iterator[str]:
    return filter(None, (rule(request) for rule in rules))


def _changed_paths(old: Any, new: Any, path: Path = ()) -> Iterator[Path]:
    """Paths at which two property trees differ; a list counts as one value."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _changed_paths(old.get(key), new.get(key), (*path, key))
    elif old != new:
        yield path
