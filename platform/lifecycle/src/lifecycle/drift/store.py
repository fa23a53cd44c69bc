"""The artifact store, through MLflow's adapters: on either cloud with a pod's identity, or a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from lifecycle.core import LifecycleError


class ArtifactStore:
    """The files below a URI: `s3://...`, `wasbs://...` or a folder. Methods raise LifecycleError if it fails."""

    def __init__(self, uri: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self._uri = (uri if "://" in uri else Path(uri).resolve().as_uri()).rstrip("/")
        with self._translate_errors():
            self._repository = get_artifact_repository(self._uri)

    def locate(self, path: str) -> str:
        """The URI of a file."""
        return f"{self._uri}/{path}"

    def list_folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder; empty if it does not exist."""
        with self._translate_errors():
            return [PurePosixPath(item.path).name for item in self._repository.list_artifacts(folder) if item.is_dir]

    def list_files(self, folder: str, suffix: str) -> list[str]:
        """The paths of the files in a folder whose names have this suffix, in order."""
        with self._translate_errors():
            found = self._repository.list_artifacts(folder)
        return sorted(item.path for item in found if not item.is_dir and item.path.endswith(suffix))

    def download(self, path: str, destination: Path) -> Path:
        """A local copy of a file, below the folder `destination`; the file itself if the store is a folder."""
        with self._translate_errors():
            if self._uri.startswith("file://"):
                return Path(self._repository.download_artifacts(path))  # type: ignore[no-untyped-call]
            destination.mkdir(parents=True, exist_ok=True)
            return Path(self._repository.download_artifacts(path, str(destination)))  # type: ignore[no-untyped-call]

    def upload(self, file: Path, folder: str) -> str:
        """Write a local file to a folder of the store, replacing a file of this name; returns its URI."""
        with self._translate_errors():
            self._repository.log_artifact(str(file), folder)  # type: ignore[no-untyped-call]
        return self.locate(f"{folder}/{file.name}")

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """The clouds' clients raise exceptions of any type."""
        try:
            yield
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise LifecycleError(
                f"The artifact store {self._uri} failed with {type(error).__name__}: {reason}. Set DRIFT_STORE to the "
                "stack's artifact store, and give this process access to it."
            ) from None
