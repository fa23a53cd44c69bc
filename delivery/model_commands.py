"""The commands of a model's pipeline."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

from delivery import model_pipeline
from delivery.cluster import connect
from delivery.errors import DeliveryError
from delivery.outputs import write_outputs, write_summary
from deploy.programs import Programs

Add = Callable[..., argparse.ArgumentParser]


def add_commands(add: Add) -> None:
    """Add the commands to the parser that `add` adds to."""
    planning = add("plan", _plan, "list the stages of a pipeline", "deployment_type")
    planning.add_argument("--model", required=True)
    planning.add_argument("--version", default="", help="an existing version; empty if the pipeline trains one")
    train = add("train", _train, "train a model in the cluster, and wait for the version", "stack", "model")
    train.add_argument("--force", action="store_true", help="start it even during the model's cool-down")
    train.add_argument("--seconds", type=float, default=4 * 3600, help="how long it may take (14400)")
    request = add(
        "request-training",
        _request_training,
        "request a run of each scheduled model, or report new data of one",
        "stack",
    )
    request.add_argument("model", nargs="?", default="", help="the model with new data; empty for the scheduled models")
    request.add_argument("--event", default="", help="the event's ID; repeating it starts no second run")
    promote = add("promote", _promote, "promote a version with the platform's own command", "stack", "model", "version")
    promote.add_argument("--event", default="", help="promote once for all calls with this ID")
    promote.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS", help="time to wait until it serves (0: do not wait)"
    )
    add("retry-promotions", _retry, "promote every challenger that was not promoted yet", "stack")
    analyse = add("analyse", _analyse, "analyse running experiments, and write the decisions", "stack", "run_id")
    analyse.add_argument("--seconds", type=float, default=1800, help="how long it may take (1800)")
    add("set-serving-image", _set_serving_image, "commit the serving image's digest to the overlay", "stack", "digest")


def _plan(options: argparse.Namespace) -> int:
    stages = model_pipeline.plan(options.deployment_type, options.model, options.version)
    write_outputs(**{stage: str(runs).lower() for stage, runs in stages.items()})
    return 0


def _train(options: argparse.Namespace) -> int:
    model_pipeline.check_names(options.model)
    with connect(options.stack, Programs(os.environ)) as cluster:
        result = model_pipeline.train(cluster, options.model, options.seconds, is_forced=options.force)
    write_summary(f"Training of {options.model}: {result.outcome}. {'; '.join(result.reasons)}")
    if not result.version:
        raise DeliveryError(
            f"The run of {options.model} ended without a version ({result.outcome}): "
            f"{'; '.join(result.reasons) or 'its log says why'}."
        )
    write_outputs(version=result.version)
    return 0


def _request_training(options: argparse.Namespace) -> int:
    if bool(options.model) is not bool(options.event):
        raise DeliveryError("New data needs a model and an event's ID: set both, or neither for the schedule.")
    if options.model:
        model_pipeline.check_names(options.model)
    with connect(options.stack, Programs(os.environ)) as cluster:
        print(model_pipeline.request_training(cluster, options.model, options.event), end="")
    return 0


def _promote(options: argparse.Namespace) -> int:
    model_pipeline.check_names(options.model, options.version)
    with connect(options.stack, Programs(os.environ)) as cluster:
        printed = model_pipeline.promote(cluster, options.model, options.version, options.event)
        print(printed, end="")
        write_summary(printed)
        if options.wait:
            name = model_pipeline.wait_until_served(cluster, options.model, options.version, options.wait)
            print(f"{name} serves version {options.version}.")
    return 0


def _retry(options: argparse.Namespace) -> int:
    with connect(options.stack, Programs(os.environ)) as cluster:
        print(model_pipeline.retry_promotions(cluster), end="")
    return 0


def _analyse(options: argparse.Namespace) -> int:
    with connect(options.stack, Programs(os.environ)) as cluster:
        printed = model_pipeline.analyse(cluster, options.run_id, options.seconds)
    print(printed, end="")
    write_summary(f"```\n{printed}```")
    return 0


def _set_serving_image(options: argparse.Namespace) -> int:
    with connect(options.stack, Programs(os.environ)) as cluster:
        print(model_pipeline.set_serving_image(cluster, options.digest), end="")
    return 0
