"""The names under which facts about a model version are stored in MLflow, in Kubernetes and in git."""

from __future__ import annotations

from enum import StrEnum

# The roles of a version on a stack; each is also the version's alias in the model registry.
CHAMPION = "champion"
CHALLENGER = "challenger"
ROLES = (CHAMPION, CHALLENGER)

# Tags of runs and model versions in MLflow.
STATUS_TAG = "groundwork.status"
DATA_VERSION_TAG = "groundwork.data_version"
GIT_COMMIT_TAG = "groundwork.git_commit"
GATE_TAG = "groundwork.gate"
GATE_REASONS_TAG = "groundwork.gate_reasons"
FAILURE_TAG = "groundwork.failure"
EXPERIMENT_TAG = "groundwork.experiment"
EXPERIMENT_SINCE_TAG = "groundwork.experiment_since"
VERDICT_TAG = "groundwork.verdict"
VERDICT_REASONS_TAG = "groundwork.verdict_reasons"
VERDICT_TIME_TAG = "groundwork.verdict_time"

# Artifacts of a training run, by their path below the run.
HELD_OUT_PATH = "evaluation/held-out.parquet"
SLICES_PATH = "evaluation/slices.json"
GATE_REPORT_PATH = "gate/report.json"
REFERENCE_PATH = "drift/reference.json"
CONTRACT_PATH = "environment/contract.yaml"
EXPERIMENTS_PATH = "experiments"  # with a folder for each experiment

# The name that the inference log gives an output that has no name in the model's signature.
DEFAULT_OUTPUT = "predict"

# Types of CloudEvents: a model's inferences have drifted; there is new data to train a model on.
DRIFT_EVENT = "dev.groundwork.drift"
NEW_DATA_EVENT = "dev.groundwork.new-data"

# Annotations and labels of Kubernetes objects start with this domain.
ANNOTATION_DOMAIN = "groundwork.dev"

# Trailers of commits in the GitOps repository.
TRAILER_PREFIX = "Groundwork"
EVENT_TRAILER = f"{TRAILER_PREFIX}-Event"
MODEL_TRAILER = f"{TRAILER_PREFIX}-Model"
VERSION_TRAILER = f"{TRAILER_PREFIX}-Version"
ROLLOUT_TRAILER = f"{TRAILER_PREFIX}-Rollout"
REPLACED_TRAILER = f"{TRAILER_PREFIX}-Replaced"
TRAILERS = (EVENT_TRAILER, MODEL_TRAILER, VERSION_TRAILER, ROLLOUT_TRAILER, REPLACED_TRAILER)  # those that are read


class Status(StrEnum):
    """Values of the status tag of a model version."""

    REGISTERED = "registered"
    REJECTED = "rejected"
    ROLLING_OUT = "rolling-out"
    SERVING = "serving"
    ROLLED_BACK = "rolled-back"


class Action(StrEnum):
    """What an experiment's verdict says to do with the challenger; the first two are final."""

    PROMOTE = "promote"
    STOP = "stop"
    CONTINUE = "continue"
    NO_DECISION = "no decision"
