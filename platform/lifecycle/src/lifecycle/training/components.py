"""The steps as Kubeflow components. A component only calls its step: the image contains this package, and nothing is
installed when a component starts.

kfp ships each function's source text and reads its annotations, so imports are inside the functions, and annotations
are the types themselves: no `from __future__ import annotations` here.
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
    """Fetch the data, record its version, and start the run."""
    from lifecycle.training.steps import run_step

    run_step(
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


def validate(run: Input[Artifact], table: Input[Dataset], validated: Output[Dataset]) -> None:
    """Check the data against its schema."""
    from lifecycle.training.steps import run_step

    run_step("validate", run=run.path, table=table.path, validated=validated.path)


def split(run: Input[Artifact], validated: Input[Dataset], partitions: Output[Dataset]) -> None:
    """Split the rows into those to train on and those held out."""
    from lifecycle.training.steps import run_step

    run_step("split", run=run.path, validated=validated.path, partitions=partitions.path)


def tune(run: Input[Artifact], partitions: Input[Dataset], family: str, trials: int, tuning: Output[Artifact]) -> None:
    """Search one family's hyperparameters."""
    from lifecycle.training.steps import run_step

    run_step("tune", run=run.path, partitions=partitions.path, family=family, trials=trials, tuning=tuning.path)


def train(run: Input[Artifact], partitions: Input[Dataset], tuning: Input[Artifact], candidate: Output[Model]) -> None:
    """Train one model with the best hyperparameters of its family."""
    from lifecycle.training.steps import run_step

    run_step("train", run=run.path, partitions=partitions.path, tuning=tuning.path, candidate=candidate.path)


def evaluate(
    run: Input[Artifact],
    partitions: Input[Dataset],
    forest: Input[Model],
    boosting: Input[Model],
    evaluation: Output[Artifact],
) -> None:
    """Log the better model, its metrics and the held-out data."""
    from lifecycle.training.steps import run_step

    run_step(
        "evaluate",
        run=run.path,
        partitions=partitions.path,
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
    report: Output[Artifact],
) -> None:
    """Evaluate the model by thresholds and against the champion."""
    from lifecycle.training.steps import run_step

    run_step(
        "gate",
        run=run.path,
        evaluation=evaluation.path,
        min_accuracy=min_accuracy,
        min_recall=min_recall,
        margin=margin,
        report=report.path,
    )


def register(
    run: Input[Artifact], evaluation: Input[Artifact], report: Input[Artifact], version: Output[Artifact]
) -> None:
    """Register the model and make it the challenger."""
    from lifecycle.training.steps import run_step

    run_step("register", run=run.path, evaluation=evaluation.path, report=report.path, version=version.path)
