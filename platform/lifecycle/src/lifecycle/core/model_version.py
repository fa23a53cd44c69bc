"""A version of a registered model, and its lineage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lifecycle.core.names import ANNOTATION_DOMAIN, DATA_VERSION_TAG, GIT_COMMIT_TAG, TRAILER_PREFIX

_FACTS = ("model", "version", "run-id", "data-version", "git-commit")


@dataclass(frozen=True)
class Lineage:
    """What a model version was trained from; a field is empty if it is unknown.

    run_id        the MLflow run that trained it
    data_version  DVC's hash of the data, 32 hexadecimal digits
    git_commit    of the training code; ends in `-dirty` if files were changed
    """

    run_id: str = ""
    data_version: str = ""
    git_commit: str = ""

    @property
    def tags(self) -> dict[str, str]:
        """MLflow tags; the run needs none, because MLflow stores it with every version."""
        return {DATA_VERSION_TAG: self.data_version, GIT_COMMIT_TAG: self.git_commit}


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model; `model` is the registered model's name."""

    model: str
    version: str
    lineage: Lineage = field(default_factory=Lineage)

    def __str__(self) -> str:
        return f"{self.model} version {self.version}"

    @property
    def uri(self) -> str:
        """The model URI that MLflow resolves: `models:/<model>/<version>`."""
        return f"models:/{self.model}/{self.version}"

    @property
    def annotations(self) -> dict[str, str]:
        """Annotations of the Kubernetes objects that serve this version: `groundwork.dev/run-id` and so on."""
        return {f"{ANNOTATION_DOMAIN}/{fact}": value for fact, value in self._facts().items()}

    @property
    def trailers(self) -> dict[str, str]:
        """Trailers of the commit that declares this version: `Groundwork-Run-Id` and so on."""
        return {f"{TRAILER_PREFIX}-{fact.title()}": value for fact, value in self._facts().items()}

    @classmethod
    def from_annotations(cls, annotations: Mapping[str, str]) -> ModelVersion:
        """The version that `annotations` describe."""
        model, version, *lineage = (annotations.get(f"{ANNOTATION_DOMAIN}/{fact}", "") for fact in _FACTS)
        return cls(model, version, Lineage(*lineage))

    def _facts(self) -> dict[str, str]:
        lineage = self.lineage
        values = (self.model, self.version, lineage.run_id, lineage.data_version, lineage.git_commit)
        return {fact: value for fact, value in zip(_FACTS, values, strict=True) if value}


@dataclass(frozen=True)
class RegisteredVersion:
    """A model version as the model registry has it.

    state   MLflow's own: READY, PENDING_REGISTRATION or FAILED_REGISTRATION
    status  the value of the status tag, see `names.Status`; empty if it was never set
    """

    model_version: ModelVersion
    state: str
    status: str

    @property
    def is_ready(self) -> bool:
        return self.state == "READY"

    @property
    def has_failed(self) -> bool:
        return self.state == "FAILED_REGISTRATION"
