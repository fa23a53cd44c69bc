"""The adapter to MLflow: the only place that knows its client, its errors and its URIs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx

from lifecycle.core.errors import ArtifactError, LifecycleError, RegistryError, UnreachableError, is_transient
from lifecycle.core.model_version import Lineage, ModelVersion, RegisteredVersion
from lifecycle.core.names import CHALLENGER, DATA_VERSION_TAG, GIT_COMMIT_TAG, STATUS_TAG, Status
from lifecycle.core.text import to_line

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion
    from mlflow.entities.webhook import Webhook, WebhookEventStr

# By default MLflow's client retries seven times with growing pauses, minutes in all. The callers of this package (a
# queue, a pipeline, a kubelet) retry anyway.
_DEFAULTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
_FAIL_FAST = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
_HEALTH_TIMEOUT = 10.0  # seconds
_MAX_MESSAGE = 300  # characters of an MLflow message that an error quotes

# MLflow's client has no type for a transient failure, only this wording (mlflow/utils/rest_utils.py, 3.17).
_TRANSIENT = re.compile(
    r"failed with (timeout )?exception|error code 5\d\d|Max retries exceeded|too many 5\d\d|error code 429"
)
# The store's wording if something does not exist. The error code is no help: an alias that is not set has the code of
# a malformed request, and a 404 of any web server has the code of a missing model.
# https://github.com/mlflow/mlflow/blob/v3.17.2/mlflow/store/model_registry/sqlalchemy_store.py
_NOT_FOUND = re.compile(r"(Registered Model with name=|Model Version \(name=|Registered model alias ).*not found")

T = TypeVar("T")


class ModelRegistry:
    """The MLflow server at `uri`.

    Methods raise UnreachableError if MLflow does not answer, RegistryError if it rejects the call. `client` is
    MLflow's own, for its tracking API: call it within `translate_errors()`.
    """

    def __init__(self, uri: str, *, fail_fast: bool = False) -> None:
        """`fail_fast` is for callers with a retry queue: one retry, and a timeout of 20 seconds."""
        from mlflow import MlflowClient  # takes seconds to import, and most steps do not need it

        for name, value in ({**_DEFAULTS, **_FAIL_FAST} if fail_fast else _DEFAULTS).items():
            os.environ.setdefault(name, value)
        self.uri = uri
        self.client = MlflowClient(uri, uri)

    @classmethod
    def connect(cls, uri: str) -> ModelRegistry:
        """The registry at `uri`, after it has passed a health check."""
        try:
            httpx.get(f"{uri.rstrip('/')}/health", timeout=_HEALTH_TIMEOUT).raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable(uri, error) from None
        return cls(uri)

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Turn the exceptions of MLflow's client into this package's."""
        import requests
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            raise _unreachable(self.uri, error) from None
        except MlflowException as error:
            if _TRANSIENT.search(error.message) or error.error_code == "TEMPORARILY_UNAVAILABLE":
                raise _unreachable(self.uri, error) from None
            raise RegistryError(f"MLflow at {self.uri} rejects the call: {_first_line(error)}") from None
        except requests.exceptions.RequestException as error:
            raise RegistryError(f"MLflow at {self.uri} fails: {_first_line(error)}") from None

    def has_model(self, model: str) -> bool:
        return self._find(lambda: self.client.get_registered_model(model)) is not None

    def find_version(self, model: str, version: str) -> RegisteredVersion | None:
        return _registered(self._find(lambda: self.client.get_model_version(model, version)))

    def find_by_alias(self, model: str, alias: str) -> RegisteredVersion | None:
        """The version that an alias points to; None if there is no such alias or model."""
        return _registered(self._find(lambda: self.client.get_model_version_by_alias(model, alias)))

    def find_in_stage(self, model: str, stage: str) -> RegisteredVersion | None:
        """The latest version in a stage, for registries that still use stages."""
        found = self._find(lambda: self.client.get_latest_versions(model, stages=[stage]))
        return _registered(found[0]) if found else None

    def list_challengers(self) -> list[RegisteredVersion]:
        """The version that each model's challenger alias points to."""
        found = (self.find_by_alias(model, CHALLENGER) for model in self.list_models_with_alias(CHALLENGER))
        return [version for version in found if version is not None]

    def list_models_with_alias(self, alias: str) -> list[str]:
        """The models that have a version with this alias."""
        token: str | None = None
        models: list[str] = []
        while True:
            with self.translate_errors():
                page = self.client.search_registered_models(page_token=token)
            models += [model.name for model in page if alias in model.aliases]
            token = page.token
            if not token:
                return models

    def list_models_with_status(self, status: Status) -> set[str]:
        """The models that have a version with this status."""
        query, token, models = f"tags.`{STATUS_TAG}` = '{status}'", None, set[str]()
        while True:
            with self.translate_errors():
                page = self.client.search_model_versions(query, page_token=token)
            models |= {version.name for version in page}
            token = page.token
            if not token:
                return models

    def set_webhook(self, name: str, url: str, event: WebhookEventStr, secret: str) -> None:
        """Ensure that exactly one webhook has this name, and that it is active, with this address, event and secret.

        It is written even if it exists: MLflow does not reveal the secret that an existing webhook signs with.
        """
        with self.translate_errors():
            existing = [webhook.webhook_id for webhook in self._webhooks() if webhook.name == name]
            if existing:
                self.client.update_webhook(existing[0], url=url, events=[event], secret=secret, status="ACTIVE")
            else:
                self.client.create_webhook(name, url, [event], secret=secret)
            for duplicate in existing[1:]:
                self.client.delete_webhook(duplicate)

    def set_status(self, model: str, version: str, status: str) -> None:
        """Set the version's status tag; does nothing if the version no longer exists."""
        self.set_tags(model, version, {STATUS_TAG: status})

    def set_tags(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version one after the other, in order; does nothing if the version no longer exists."""
        # The client's own method first asks whether the model is a prompt, which doubles the load on the server.
        store = self.client._get_registry_client()  # type: ignore[no-untyped-call]
        for key, value in tags.items():
            self._find(partial(store.set_model_version_tag, model, version, key, value))

    def find_tags(self, model: str, version: str) -> Mapping[str, str] | None:
        """All tags of a version; None if it does not exist."""
        found = self._find(lambda: self.client.get_model_version(model, version))
        return None if found is None else dict(found.tags)

    def list_versions_with_tag(self, model: str, key: str, value: str) -> list[str]:
        """The versions of a model that have a tag with this value, which must not contain a quotation mark."""
        query, token, versions = f"tags.`{key}` = '{value}'", None, list[str]()
        while True:
            with self.translate_errors():
                page = self.client.search_model_versions(query, page_token=token)
            versions += [str(version.version) for version in page if version.name == model]
            token = page.token
            if not token:
                return versions

    def set_alias(self, model: str, alias: str, version: str) -> None:
        """Point an alias to a version, unless it points there already: each call fires MLflow's webhooks."""
        current = self.find_by_alias(model, alias)
        if current is None or current.model_version.version != version:
            self._find(lambda: self.client.set_registered_model_alias(model, alias, version))

    def remove_alias(self, model: str, alias: str, version: str) -> None:
        """Remove an alias if it points to this version."""
        current = self.find_by_alias(model, alias)
        if current is not None and current.model_version.version == version:
            self._find(lambda: self.client.delete_registered_model_alias(model, alias))

    def download(self, uri: str, destination: Path) -> Path:
        """Download a model or another artifact into the folder `destination`; returns its path there.

        `uri` is `models:/<model>/<version>`, `models:/m-...` or `runs:/<run>/<path>`.
        Raises ArtifactError if there is no such artifact, UnreachableError if its store does not answer.
        """
        from mlflow import artifacts

        destination.mkdir(parents=True, exist_ok=True)
        try:
            with self.translate_errors():
                location = self._locate(uri)
                path = Path(artifacts.download_artifacts(location, dst_path=str(destination), tracking_uri=self.uri))
        except Exception as error:
            if is_transient(error):
                raise
            raise _explain_download(uri, error) from None
        if path.is_dir() and not any(path.iterdir()):
            raise ArtifactError(f"The artifact {uri} is missing from MLflow's store: its folder is empty. Train again.")
        return path

    def _locate(self, uri: str) -> str:
        """The location of a model's files. MLflow itself resolves `models:/` at the process's default server."""
        if uri.startswith("models:/m-"):
            return str(self.client.get_logged_model(uri.removeprefix("models:/")).artifact_location)
        if uri.startswith("models:/"):
            model, version = uri.removeprefix("models:/").rsplit("/", 1)
            return self._locate(str(self.client.get_model_version(model, version).source))
        return uri

    def _webhooks(self) -> Iterator[Webhook]:
        token: str | None = None
        while True:
            page = self.client.list_webhooks(page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _find(self, call: Callable[[], T]) -> T | None:
        """The call's result; None if the requested entity does not exist."""
        try:
            with self.translate_errors():
                return call()
        except UnreachableError:
            raise
        except RegistryError as error:
            if _NOT_FOUND.search(str(error)):
                return None
            raise


def _registered(version: MlflowVersion | None) -> RegisteredVersion | None:
    if version is None:
        return None
    tags = version.tags
    # Anybody can write tags, and a lineage is written to commits and manifests.
    facts = (version.run_id or "", tags.get(DATA_VERSION_TAG, ""), tags.get(GIT_COMMIT_TAG, ""))
    lineage = Lineage(*map(to_line, facts))
    model_version = ModelVersion(version.name, str(version.version), lineage)
    return RegisteredVersion(model_version, str(version.status), tags.get(STATUS_TAG, ""))


def _unreachable(uri: str, error: Exception) -> UnreachableError:
    return UnreachableError(
        f"MLflow does not answer at {uri!r} ({_first_line(error)}). Start it, or set MLFLOW_TRACKING_URI to "
        "its address."
    )


def _explain_download(uri: str, error: Exception) -> LifecycleError:
    """The clients of the clouds' stores have their own errors, with the status of the response if there is one."""
    missing = ArtifactError(f"The artifact {uri} is missing from MLflow's store or unreadable: {_first_line(error)}")
    if not type(error).__module__.startswith(("botocore.", "azure.")):
        return missing
    response = getattr(error, "response", None)
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    if metadata.get("HTTPStatusCode", getattr(error, "status_code", None)) == httpx.codes.NOT_FOUND:
        return missing
    return UnreachableError(
        f"The store does not return the artifact {uri} ({type(error).__name__}: {_first_line(error)}). Check the "
        "store, and the permissions of this process."
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:_MAX_MESSAGE]
