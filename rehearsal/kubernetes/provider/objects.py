"""Kubernetes objects as resources: what the program declares, applied by the real API server.

Server-side apply, as the real provider does it; a preview is a dry run, and a difference is what one would change.
Source of the rules: https://github.com/pulumi/pulumi-kubernetes/tree/master/provider/pkg (provider, await), at 4.32.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kernel.paths import Path
from rehearsal.kubernetes import schemas
from rehearsal.kubernetes.client import ApiClient, ApiError, ApiUnreachableError, NoKindMatchError, Object
from rehearsal.kubernetes.provider.await_logic import ReadinessWaiter
from rehearsal.kubernetes.provider.projection import (
    annotation,
    condition,
    declared,
    describe,
    field_manager,
    id_of,
    manifest,
    mark_secrets,
    outputs,
    previewed,
    project,
)
from rehearsal.kubernetes.provider.replacement import (
    Mutability,
    changes,
    group,
    immutable,
    replacing,
    touch,
    without_ignored,
    written,
)
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.simulation import Difference
from rehearsal.simulator.core.values import Values, has_unknown

API_SERVER_LOST = "the rehearsal's API server no longer answers. What it holds is kept: run the command again"

_REPLACE_UNREADY: Path = ("metadata", "annotations", "pulumi.com/replaceUnready")

# What to do about what the API server refuses, by its words.
_REMEDIES = {
    r"^namespaces .* not found": "Declare the namespace, and let what lives in it depend on it (depends_on).",
    r"^no matches for kind": "Its CustomResourceDefinition has to be there before: depend on what brings it.",
    r"failed calling webhook|failed to call webhook": "What answers the webhook has to be ready before the objects "
    "that it judges are made: depend on what brings it.",
    r"^Apply failed with \d+ conflict": "Something else manages these fields: leave them out of the program "
    '(ignore_changes), or take them with the annotation pulumi.com/patchForce: "true".',
    r"violates PodSecurity": "Give the pod the securityContext that it names, or put it where the level allows it.",
    r"exceeded quota": "Ask for less, or raise the namespace's ResourceQuota.",
    r"because it is being terminated": "Wait until the namespace is gone; what holds it is named where it is deleted.",
}


@dataclass(frozen=True)
class Settings:
    """What the provider's configuration says of objects. Names: those of kubernetes.Provider's arguments."""

    namespace: str = "default"
    mutability: Mutability = field(default_factory=Mutability)
    patch_force: bool = False
    upsert: bool = False

    @classmethod
    def of(cls, variables: Mapping[str, Any]) -> Settings:
        """From the variables of Configure, whose values are text."""

        def on(name: str) -> bool:
            return str(variables.get(name, "")).lower() == "true"

        namespace = variables.get("namespace")
        return cls(
            namespace if isinstance(namespace, str) and namespace else "default",
            Mutability(config_maps=on("enableConfigMapMutable"), secrets=on("enableSecretMutable")),
            on("enablePatchForce"),
            on("upsertExistingObjects"),
        )


@dataclass(frozen=True)
class ObjectRequest:
    """One request of the engine about one resource. `timeout` is in seconds, None where the program gives none."""

    urn: str
    type: str
    id: str = ""
    inputs: Values = field(default_factory=Values)
    old_inputs: Values = field(default_factory=Values)
    old_outputs: Values = field(default_factory=Values)
    ignored: Sequence[str] = ()
    timeout: float | None = None
    preview: bool = False
    seed: bytes = b""  # what a generated name is made from

    @property
    def name(self) -> str:
        """Pulumi's logical name."""
        return self.urn.rsplit("::", 1)[-1]


class InitializationError(CloudError):
    """The object exists, but did not become what was asked for: the state has to remember it."""

    def __init__(self, reason: str, id_: str, properties: Values) -> None:
        super().__init__(reason)
        self.id = id_
        self.properties = properties


def format_error(error: Exception) -> str:
    """A failure in the words for people: the API server's own, and what to do about it."""
    if isinstance(error, ApiUnreachableError):
        return API_SERVER_LOST
    message = str(error)
    remedies = [remedy for pattern, remedy in _REMEDIES.items() if re.search(pattern, message)]
    return " ".join([message.rstrip(".") + ".", *remedies]) if remedies else message


class Objects:
    """Resources that are objects of the API; raises CloudError, ApiError and ApiUnreachableError."""

    def __init__(self, api: ApiClient, stop: threading.Event) -> None:
        self._api = api
        self._stop = stop
        self.settings = Settings()

    def check(self, asked: ObjectRequest) -> tuple[Values, list[str]]:
        """The inputs with name and namespace filled in, and what is wrong with them."""
        kind = asked.type.rsplit(":", 1)[-1]
        plain = dict(asked.inputs.plain)
        if kind.endswith("Patch") and plain.get("kind") != kind:
            return asked.inputs, [f"{asked.type}: Patch resources are not simulated; declare the object itself"]
        if kind.endswith("List") and "items" in plain:
            return asked.inputs, [f"{asked.type}: lists cannot be created; declare the objects in it"]
        metadata = plain.get("metadata", {})
        if isinstance(metadata, Mapping):
            if "generateName" in metadata:
                return asked.inputs, ["metadata.generateName is not supported with server-side apply: give a name"]
            plain["metadata"] = self._named(asked, plain, metadata)
        inputs = mark_secrets(Values(plain, asked.inputs.secrets))
        # Said here too, for a preview has no dry run where the namespace is yet to be made.
        judged = schemas.is_built_in(plain) and not has_unknown(plain)
        complaint = schemas.complaint(manifest(plain)) if judged else None
        return inputs, [complaint] if complaint else []

    def diff(self, asked: ObjectRequest) -> Difference:
        old, new = (self._placed(manifest(each.plain)) for each in (asked.old_inputs, asked.inputs))
        changed, fixed = self._changed(asked, old, new)
        replaces = {*replacing(changed, old, new, self.settings.mutability), *fixed}
        if annotation(new, "replaceUnready") == "true" and self._is_unfinished_job(old):
            replaces.add(_REPLACE_UNREADY)
        stays = _place(old) == _place(new) and annotation(new, "autonamed") != "true"
        return Difference(
            sorted({written(path) for path in (*changed, *replaces)}),
            sorted(written(path) for path in replaces),
            bool(replaces) and stays,
        )

    def create(self, asked: ObjectRequest) -> tuple[str, Values]:
        wanted = manifest(asked.inputs.plain)
        manager = field_manager(asked.urn, wanted)
        if asked.preview:
            return "", self._preview_of_new(asked, wanted, manager)
        self._refuse_where_taken(wanted, manager)
        wait = ReadinessWaiter(self._api, self._stop, wanted, asked.timeout)
        applied = wait.retry_while_unavailable(lambda: self._apply(wanted, manager))
        return id_of(applied), self._awaited(asked, applied, manager)

    def read(self, asked: ObjectRequest) -> tuple[Values, Values] | None:
        """Inputs and outputs of the live object, None when it is gone."""
        live = self._recorded(asked)
        if live is None:
            return None
        manager = field_manager(asked.urn, live, asked.old_outputs.plain)
        known_inputs = asked.old_inputs if asked.old_inputs.plain else Values(declared(live))
        return project(live, known_inputs), outputs(live, asked.old_inputs, manager)

    def update(self, asked: ObjectRequest) -> Values:
        wanted = manifest(asked.inputs.plain)
        if asked.preview and (has_unknown(wanted) or not self._is_served(wanted)):
            return asked.inputs
        live = self._live(wanted)
        if live is None:
            raise CloudError(f"{describe(wanted)} was not found: it has been deleted outside Pulumi (run a refresh)")
        manager = field_manager(asked.urn, wanted, asked.old_outputs.plain)
        to_apply = without_ignored(wanted, live, asked.ignored, manager)
        if asked.preview:
            answer = self._dry_run(to_apply, manager)
            return asked.inputs if answer is None else outputs(answer, asked.inputs, manager)
        return self._awaited(asked, self._apply(to_apply, manager), manager)

    def delete(self, asked: ObjectRequest) -> None:
        live = self._recorded(asked)
        if live is None:
            return
        policy = annotation(live, "deletionPropagationPolicy").capitalize()
        propagation = policy if policy in ("Orphan", "Background") else "Foreground"
        metadata = live["metadata"]
        self._api.delete(
            live["apiVersion"],
            live["kind"],
            metadata["name"],
            metadata.get("namespace", ""),
            propagation_policy=propagation,
        )
        ReadinessWaiter(self._api, self._stop, live, asked.timeout).wait_until_deleted()

    def _named(self, asked: ObjectRequest, plain: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
        """The metadata with the name that Pulumi makes up where the program gives none, and a namespace."""
        named = dict(metadata)
        if "name" not in named:
            old = asked.old_inputs.plain.get("metadata", {})
            remembered = old.get("name") if annotation(asked.old_inputs.plain, "autonamed") == "true" else None
            named["name"] = remembered or f"{asked.name.lower()}-{asked.seed.hex()[:8] or 'rehearsed'}"
            annotations = named.get("annotations", {})
            if isinstance(annotations, Mapping):
                named["annotations"] = {**annotations, "pulumi.com/autonamed": "true"}
        if not named.get("namespace") and self._is_namespaced(plain):
            named["namespace"] = self.settings.namespace
        return named

    def _changed(self, asked: ObjectRequest, old: Object, new: Object) -> tuple[list[Path], list[Path]]:
        """Paths that would change, and those of them that the API server says cannot."""
        by_inputs = list(changes(old, new))
        if has_unknown(new) or _place(old) != _place(new):
            return by_inputs, []
        live = self._live(old)
        if live is None:
            return by_inputs, []
        manager = field_manager(asked.urn, new, asked.old_outputs.plain)
        try:
            answer = self._apply(without_ignored(new, live, asked.ignored, manager), manager, dry_run=True)
        except ApiError as error:
            # Whatever else it refuses, it will when the update is previewed.
            fixed = immutable(error)
            return by_inputs, [path for path in by_inputs if any(touch(path, each) for each in fixed)] or fixed
        texts = {*old.get("stringData", {}), *new.get("stringData", {})}
        found = [_as_written(path, texts) for path in changes(declared(live), declared(answer))]
        return [path for path in found if _speaks_of(old, path) or _speaks_of(new, path)], []

    def _preview_of_new(self, asked: ObjectRequest, wanted: Object, manager: str) -> Values:
        """What a dry run makes of it; the inputs, where what it needs will only be there in the real run."""
        if has_unknown(wanted) or not self._is_served(wanted) or self._live(wanted) is not None:
            return asked.inputs
        answer = self._dry_run(wanted, manager)
        return asked.inputs if answer is None else previewed(answer, asked.inputs, manager)

    def _dry_run(self, wanted: Object, manager: str) -> Object | None:
        """What the API server would make of it; None where only the real run can tell."""
        try:
            return self._apply(wanted, manager, dry_run=True)
        except ApiError as error:
            if error.status in (403, 404):
                return None
            raise

    def _refuse_where_taken(self, wanted: Object, manager: str) -> None:
        """Since 4.29 the real provider takes over nothing that exists.

        What a run of this very resource left behind when it was cut off is not meant by that.
        """
        live = self._live(wanted)
        if live is None or self.settings.upsert:
            return
        if any(entry.get("manager") == manager for entry in live["metadata"].get("managedFields", [])):
            return
        raise CloudError(
            f"{describe(live)} already exists, and is not this resource's. Was the resource renamed? Then give it an "
            "alias. Else import it, or take it over with upsert_existing_objects on the provider."
        )

    def _apply(self, wanted: Object, manager: str, *, dry_run: bool = False) -> Object:
        force = self.settings.patch_force or annotation(wanted, "patchForce") == "true"
        return self._api.apply(self._placed(wanted), manager, force=force, dry_run=dry_run)

    def _placed(self, thing: Object) -> Object:
        """An object in `default` where it names no namespace, in none where its kind has none.

        A kind that was not there when the object was checked may turn out to have none.
        """
        metadata = thing.get("metadata")
        if not isinstance(metadata, Mapping):
            return thing
        if self._is_namespaced(thing):
            return {**thing, "metadata": {**metadata, "namespace": metadata.get("namespace") or "default"}}
        return {**thing, "metadata": {key: value for key, value in metadata.items() if key != "namespace"}}

    def _awaited(self, asked: ObjectRequest, applied: Object, manager: str) -> Values:
        wait = ReadinessWaiter(self._api, self._stop, applied, asked.timeout)
        try:
            return outputs(wait.wait_until_ready(), asked.inputs, manager)
        except (CloudError, ApiError, ApiUnreachableError) as error:
            properties = outputs(wait.live, asked.inputs, manager)
            raise InitializationError(format_error(error), id_of(applied), properties) from None

    def _live(self, thing: Object) -> Object | None:
        metadata = thing["metadata"]
        return self._api.get(thing["apiVersion"], thing["kind"], metadata["name"], metadata.get("namespace", ""))

    def _recorded(self, asked: ObjectRequest) -> Object | None:
        """The live object of a resource that is in the state, found by its ID."""
        api_version, kind = _kind_of(asked.type)
        known = asked.old_outputs.plain
        namespace, _, name = asked.id.rpartition("/")
        return self._api.get(known.get("apiVersion", api_version), known.get("kind", kind), name, namespace)

    def _is_served(self, thing: Object) -> bool:
        try:
            self._api.discover(thing["apiVersion"], thing["kind"])
        except NoKindMatchError:
            return False
        return True

    def _is_unfinished_job(self, thing: Object) -> bool:
        live = self._live(thing) if thing.get("kind") == "Job" else None
        return live is not None and condition(live, "Complete").get("status") != "True"

    def _is_namespaced(self, thing: Mapping[str, Any]) -> bool:
        """As the API server says; a kind that is not there yet is taken for one."""
        try:
            return self._api.discover(str(thing.get("apiVersion")), str(thing.get("kind"))).namespaced
        except NoKindMatchError:
            return True


def _place(thing: Object) -> tuple[Any, ...]:
    """What makes an object another one when it changes."""
    metadata = thing.get("metadata", {})
    return group(thing), thing.get("kind"), metadata.get("namespace"), metadata.get("name")


def _kind_of(type_: str) -> tuple[str, str]:
    """apiVersion and kind of a type token: `kubernetes:core/v1:Pod` is a Pod of v1."""
    _, api_version, kind = type_.split(":")
    return api_version.removeprefix("core/"), kind


def _as_written(path: Path, texts: set[str]) -> Path:
    """The API server keeps a Secret's stringData as data; the program wrote it as text."""
    return ("stringData", path[1]) if len(path) == 2 and path[0] == "data" and path[1] in texts else path


def _speaks_of(inputs: Any, path: Path) -> bool:
    """Whether the program declares what lies at a path, or the whole that it is part of."""
    for step in path:
        if not isinstance(inputs, Mapping):
            return True
        if step not in inputs:
            return False
        inputs = inputs[step]
    return True
