"""Kubernetes objects as Pulumi resources, applied by the real API server.

As in the real provider, objects are applied server-side, a preview is a dry run, and the difference is what a dry run
would change. Source of the rules: https://github.com/pulumi/pulumi-kubernetes/tree/master/provider/pkg (provider,
await), at 4.32.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from kernel.paths import Path, format_path, look_up, overlaps
from rehearsal.kubernetes import schemas
from rehearsal.kubernetes.client import ApiClient, ApiError, ApiUnreachableError, NoKindMatchError, Object
from rehearsal.kubernetes.provider.await_logic import ReadinessWaiter
from rehearsal.kubernetes.provider.errors import InitializationError, format_error
from rehearsal.kubernetes.provider.object_request import ObjectRequest, ObjectSettings
from rehearsal.kubernetes.provider.projection import (
    choose_field_manager,
    describe,
    get_condition,
    get_pulumi_annotation,
    mark_secrets,
    object_id,
    project,
    strip_server_fields,
    to_manifest,
    to_outputs,
    to_preview_outputs,
)
from rehearsal.kubernetes.provider.replacement import (
    api_group,
    apply_ignore_changes,
    find_changes,
    find_immutable_fields,
    select_replacing,
)
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.simulation import Difference
from rehearsal.simulator.core.values import Values, has_unknown
from rehearsal.simulator.offline_kubernetes import make_name

_REPLACE_UNREADY: Path = ("metadata", "annotations", "pulumi.com/replaceUnready")


class Objects:
    """The operations on resources that are objects. Raise CloudError, ApiError and ApiUnreachableError."""

    def __init__(self, api: ApiClient, cancel: threading.Event) -> None:
        self._api = api
        self._cancel = cancel
        self.settings = ObjectSettings()

    def check(self, request: ObjectRequest) -> tuple[Values, list[str]]:
        """The inputs with name and namespace filled in, and the reasons why they are invalid."""
        kind = request.type.rsplit(":", 1)[-1]
        plain = dict(request.inputs.plain)
        if kind.endswith("Patch") and plain.get("kind") != kind:
            return request.inputs, [f"{request.type}: Patch resources are not simulated; declare the object itself"]
        if kind.endswith("List") and "items" in plain:
            return request.inputs, [f"{request.type}: lists cannot be created; declare the objects in it"]
        metadata = plain.get("metadata", {})
        if isinstance(metadata, Mapping):
            if "generateName" in metadata:
                return request.inputs, ["metadata.generateName is not supported with server-side apply: set a name"]
            plain["metadata"] = self._fill_in_metadata(request, plain, metadata)
            if plain["metadata"]["name"] is None:
                return request.inputs, ["metadata.name is not set, and `pulumi:autonaming` disables automatic names"]
        inputs = mark_secrets(Values(plain, request.inputs.secrets))
        # Checked here too, because a preview has no dry run while the namespace does not exist.
        is_checkable = schemas.is_built_in(plain) and not has_unknown(plain)
        error = schemas.find_schema_error(to_manifest(plain)) if is_checkable else None
        return inputs, [error] if error else []

    def diff(self, request: ObjectRequest) -> Difference:
        old, new = (self._set_namespace(to_manifest(each.plain)) for each in (request.old_inputs, request.inputs))
        changes, immutable = self._find_changes(request, old, new)
        replaces = {*select_replacing(changes, old, new, self.settings.mutability), *immutable}
        if get_pulumi_annotation(new, "replaceUnready") == "true" and self._is_incomplete_job(old):
            replaces.add(_REPLACE_UNREADY)
        keeps_name = _identify(old) == _identify(new) and get_pulumi_annotation(new, "autonamed") != "true"
        return Difference(
            sorted({format_path(path) for path in (*changes, *replaces)}),
            sorted(format_path(path) for path in replaces),
            bool(replaces) and keeps_name,
        )

    def create(self, request: ObjectRequest) -> tuple[str, Values]:
        manifest = to_manifest(request.inputs.plain)
        field_manager = choose_field_manager(request.urn, manifest)
        if request.preview:
            return "", self._preview_create(request, manifest, field_manager)
        self._refuse_existing(manifest, field_manager)
        waiter = ReadinessWaiter(self._api, self._cancel, manifest, request.timeout)
        applied = waiter.retry_while_unavailable(lambda: self._apply(manifest, field_manager))
        return object_id(applied), self._wait_until_ready(request, applied, field_manager)

    def read(self, request: ObjectRequest) -> tuple[Values, Values] | None:
        """Inputs and outputs of the live object, None if it no longer exists."""
        live = self._get_recorded(request)
        if live is None:
            return None
        field_manager = choose_field_manager(request.urn, live, request.old_outputs.plain)
        inputs = request.old_inputs if request.old_inputs.plain else Values(strip_server_fields(live))
        return project(live, inputs), to_outputs(live, request.old_inputs, field_manager)

    def update(self, request: ObjectRequest) -> Values:
        manifest = to_manifest(request.inputs.plain)
        if request.preview and (has_unknown(manifest) or not self._is_served(manifest)):
            return request.inputs
        live = self._get(manifest)
        if live is None:
            raise CloudError(f"{describe(manifest)} was not found: it has been deleted outside Pulumi (run a refresh)")
        field_manager = choose_field_manager(request.urn, manifest, request.old_outputs.plain)
        merged = apply_ignore_changes(manifest, live, request.ignored, field_manager)
        if request.preview:
            dry_run = self._dry_run(merged, field_manager)
            return request.inputs if dry_run is None else to_outputs(dry_run, request.inputs, field_manager)
        return self._wait_until_ready(request, self._apply(merged, field_manager), field_manager)

    def delete(self, request: ObjectRequest) -> None:
        live = self._get_recorded(request)
        if live is None:
            return
        policy = get_pulumi_annotation(live, "deletionPropagationPolicy").capitalize()
        self._api.delete(
            live["apiVersion"],
            live["kind"],
            live["metadata"]["name"],
            live["metadata"].get("namespace", ""),
            propagation_policy=policy if policy in ("Orphan", "Background") else "Foreground",
        )
        ReadinessWaiter(self._api, self._cancel, live, request.timeout).wait_until_deleted()

    def _fill_in_metadata(
        self, request: ObjectRequest, plain: Mapping[str, Any], metadata: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The metadata with a namespace, and with a generated name if the program does not set one."""
        filled = dict(metadata)
        if "name" not in filled:
            old = request.old_inputs.plain
            was_autonamed = get_pulumi_annotation(old, "autonamed") == "true"
            old_name = old.get("metadata", {}).get("name") if was_autonamed else None
            filled["name"] = old_name or make_name(request.name, request.hints)
            annotations = filled.get("annotations", {})
            if isinstance(annotations, Mapping):
                filled["annotations"] = {**annotations, "pulumi.com/autonamed": "true"}
        if not filled.get("namespace") and self._is_namespaced(plain):
            filled["namespace"] = self.settings.namespace
        return filled

    def _find_changes(self, request: ObjectRequest, old: Object, new: Object) -> tuple[list[Path], list[Path]]:
        """The paths that change, and the ones among them that the API server reports as immutable."""
        input_changes = list(find_changes(old, new))
        if has_unknown(new) or _identify(old) != _identify(new):
            return input_changes, []
        live = self._get(old)
        if live is None:
            return input_changes, []
        field_manager = choose_field_manager(request.urn, new, request.old_outputs.plain)
        merged = apply_ignore_changes(new, live, request.ignored, field_manager)
        try:
            dry_run = self._apply(merged, field_manager, dry_run=True)
        except ApiError as error:
            # Other errors are reported when the update is previewed.
            immutable = find_immutable_fields(error)
            replacing = [path for path in input_changes if any(overlaps(path, each) for each in immutable)]
            return input_changes, replacing or immutable
        texts = {*old.get("stringData", {}), *new.get("stringData", {})}
        changes = find_changes(strip_server_fields(live), strip_server_fields(dry_run))
        paths = [_undo_string_data(path, texts) for path in changes]
        return [path for path in paths if _declares(old, path) or _declares(new, path)], []

    def _preview_create(self, request: ObjectRequest, manifest: Object, field_manager: str) -> Values:
        """The outputs of a dry run; the inputs if its prerequisites are only created by the real run."""
        if has_unknown(manifest) or not self._is_served(manifest) or self._get(manifest) is not None:
            return request.inputs
        dry_run = self._dry_run(manifest, field_manager)
        return request.inputs if dry_run is None else to_preview_outputs(dry_run, request.inputs, field_manager)

    def _dry_run(self, manifest: Object, field_manager: str) -> Object | None:
        """The object as the API server would store it; None if only the real run can tell."""
        try:
            return self._apply(manifest, field_manager, dry_run=True)
        except ApiError as error:
            if error.status in (403, 404):
                return None
            raise

    def _refuse_existing(self, manifest: Object, field_manager: str) -> None:
        """Raise CloudError if another field manager created the object: since 4.29 the real provider adopts none.

        An object that an interrupted run of this resource created has its field manager.
        """
        live = self._get(manifest)
        if live is None or self.settings.upsert:
            return
        if any(entry.get("manager") == field_manager for entry in live["metadata"].get("managedFields", [])):
            return
        raise CloudError(
            f"{describe(live)} already exists, and this resource did not create it. If the resource was renamed, "
            "add an alias to it. Otherwise import it, or adopt it with upsert_existing_objects on the provider."
        )

    def _apply(self, manifest: Object, field_manager: str, *, dry_run: bool = False) -> Object:
        force = self.settings.patch_force or get_pulumi_annotation(manifest, "patchForce") == "true"
        return self._api.apply(self._set_namespace(manifest), field_manager, force=force, dry_run=dry_run)

    def _set_namespace(self, manifest: Object) -> Object:
        """The manifest with a namespace, by default `default`, if its kind is namespaced; otherwise without one.

        A kind that was not served when the object was checked may turn out to be cluster-wide.
        """
        metadata = manifest.get("metadata")
        if not isinstance(metadata, Mapping):
            return manifest
        if self._is_namespaced(manifest):
            return {**manifest, "metadata": {**metadata, "namespace": metadata.get("namespace") or "default"}}
        return {**manifest, "metadata": {key: value for key, value in metadata.items() if key != "namespace"}}

    def _wait_until_ready(self, request: ObjectRequest, applied: Object, field_manager: str) -> Values:
        waiter = ReadinessWaiter(self._api, self._cancel, applied, request.timeout)
        try:
            return to_outputs(waiter.wait_until_ready(), request.inputs, field_manager)
        except (CloudError, ApiError, ApiUnreachableError) as error:
            properties = to_outputs(waiter.live, request.inputs, field_manager)
            raise InitializationError(format_error(error), object_id(applied), properties) from None

    def _get(self, manifest: Object) -> Object | None:
        metadata = manifest["metadata"]
        return self._api.get(manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace", ""))

    def _get_recorded(self, request: ObjectRequest) -> Object | None:
        """The live object of a resource in the state, by the resource's ID."""
        api_version, kind = request.kind
        recorded = request.old_outputs.plain
        namespace, _, name = request.id.rpartition("/")
        return self._api.get(recorded.get("apiVersion", api_version), recorded.get("kind", kind), name, namespace)

    def _is_served(self, manifest: Object) -> bool:
        try:
            self._api.discover(manifest["apiVersion"], manifest["kind"])
        except NoKindMatchError:
            return False
        return True

    def _is_incomplete_job(self, manifest: Object) -> bool:
        live = self._get(manifest) if manifest.get("kind") == "Job" else None
        return live is not None and get_condition(live, "Complete").get("status") != "True"

    def _is_namespaced(self, manifest: Mapping[str, Any]) -> bool:
        """Whether the kind is namespaced; assumed of kinds that are not served."""
        try:
            return self._api.discover(str(manifest.get("apiVersion")), str(manifest.get("kind"))).namespaced
        except NoKindMatchError:
            return True


def _identify(manifest: Object) -> tuple[Any, ...]:
    """The fields that identify an object: if they change, it is another object."""
    names = (look_up(manifest, ("metadata", step), None) for step in ("namespace", "name"))
    return api_group(manifest), manifest.get("kind"), *names


def _undo_string_data(path: Path, texts: set[str]) -> Path:
    """The path as the program declares it, given that the API server stores a Secret's stringData as data."""
    return ("stringData", path[1]) if len(path) == 2 and path[0] == "data" and path[1] in texts else path


def _declares(inputs: Any, path: Path) -> bool:
    """Whether the program declares the value at a path, or a list or value that contains it."""
    for step in path:
        if not isinstance(inputs, Mapping):
            return True
        if step not in inputs:
            return False
        inputs = inputs[step]
    return True
