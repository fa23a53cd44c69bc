"""The steps as Kubeflow components. A component only names its step: its image has this package, and nothing is
installed when it starts.

kfp sends each function's source text and reads its annotations, so imports stand inside, and annotations are the types
themselves: no `from __future__ import annotations` here.
"""

from kfp.dsl import Artifact, Dataset, Input, Model, Output


def ingest(
    source: str,
    remote: str,
    tracking_uri: str,
    experiment: str,
    model: str,
    git_commit: str,
    table: Output[Dataset],
    run: Output[Artifact],
) -> None:
    """Bring the data, give it a version, start the run."""
    from lifecycle.training.steps import perform

    perform(
        "ingest",
        source=source,
        remote=remote,
        tracking_uri=tracking_uri,
        experiment=experiment,
        model=model,
        git_commit=git_commit,
        table=table.path,
        run=run.path,
    )


def validate(run: Input[Artifact], table: Input[Dataset], valid: Output[Dataset]) -> None:
    """Let the data pass that keeps its schema."""
    from lifecycle.training.steps import perform

    perform("validate", run=run.path, table=table.path, valid=valid.path)


def split(run: Input[Artifact], valid: Input[Dataset], parts: Output[Dataset]) -> None:
    """Part the rows into those to train on and those held out."""
    from lifecycle.training.steps import perform

    perform("split", run=run.path, valid=valid.path, parts=parts.path)


def tune(run: Input[Artifact], parts: Input[Dataset], family: str, trials: int, tuning: Output[Artifact]) -> None:
    """Search one family's parameters."""
    from lifecycle.training.steps import perform

    perform("tune", run=run.path, parts=parts.path, family=family, trials=trials, tuning=tuning.path)


def train(run: Input[Artifact], parts: Input[Dataset], tuning: Input[Artifact], candidate: Output[Model]) -> None:
    """Train one model with the parameters found."""
    from lifecycle.training.steps import perform

    perform("train", run=run.path, parts=parts.path, tuning=tuning.path, candidate=candidate.path)


def evaluate(
    run: Input[Artifact],
    parts: Input[Dataset],
    forest: Input[Model],
    boosting: Input[Model],
    evaluation: Output[Artifact],
) -> None:
    """Log the better model, its metrics and the held-out data."""
    from lifecycle.training.steps import perform

    perform(
        "evaluate",
        run=run.path,
        parts=parts.path,
        forest=forest.path,
        boosting=boosting.path,
        evaluation=evaluation.path,
    )


def gate(
    run: Input[Artifact],
    evaluation: Input[Artifact],
    min_accuracy: float,
    min_recall: float,
    margin: float,
    verdict: Output[Artifact],
) -> None:
    """Judge the model by thresholds and against the champion."""
    from lifecycle.training.steps import perform

    perform(
        "gate",
        run=run.path,
        evaluation=evaluation.path,
        min_accuracy=min_accuracy,
        min_recall=min_recall,
        margin=margin,
        verdict=verdict.path,
    )


def register(
    run: Input[Artifact], evaluation: Input[Artifact], verdict: Input[Artifact], version: Output[Artifact]
) -> None:
    """Register the model and make it the challenger."""
    from lifecycle.training.steps import perform

    perform("register", run=run.path, evaluation=evaluation.path, verdict=verdict.path, version=version.path)
