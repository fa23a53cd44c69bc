"""Shows the output of a workload, and the events of its pods."""

from __future__ import annotations

from collections.abc import Iterator

from kernel.paths import look_up
from operations.scaling import parse_workload
from operations.target import Target

_LINES = 200  # of each container


def show(target: Target, workload: str, since: str) -> Iterator[str]:
    """Lines for people: each pod of `<namespace>/<name>`, its events, and its containers' output `since` then."""
    namespace, name = parse_workload(workload)
    place = ("--namespace", namespace)
    pods = [
        pod
        for pod in target.list_objects("pods")
        if pod["metadata"].get("namespace") == namespace and pod["metadata"]["name"].startswith(name)
    ]
    if not pods:
        yield f"There is no pod of {workload}: `kubectl get pods --namespace {namespace}` lists the existing ones."
        return
    for pod in pods:
        pod_name = pod["metadata"]["name"]
        yield f"== {namespace}/{pod_name}: {look_up(pod, 'status.phase', 'unknown')}"
        events = target.ask_kubectl("events", *place, "--for", f"pod/{pod_name}")
        yield from events.output.splitlines() if events.code == 0 else ()
        options = ["--all-containers", "--prefix", f"--since={since}", f"--tail={_LINES}"]
        options.append("--request-timeout=20s")
        answer = target.ask_kubectl("logs", pod_name, *place, *options)
        if answer.code:
            elsewhere = "its processes are simulated" if target.is_rehearsed else "Grafana has the logs, in Loki"
            yield f"no output can be read: {answer.reason} ({elsewhere})"
        else:
            yield from answer.output.splitlines() or ["it wrote nothing"]
