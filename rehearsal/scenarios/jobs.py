"""Jobs of the cluster that a scenario starts or waits for."""

from __future__ import annotations

from rehearsal.console import UserError
from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.scenarios.kubelet_stub import pod_log
from rehearsal.scenarios.waiting import wait_for_step

_API_VERSION = "batch/v1"
_LOG_TAIL = 1000  # characters of a log that an error shows


def start_now(api: ApiClient, namespace: str, cron_job: str, name: str) -> None:
    """Start a CronJob's Job at once, as `kubectl create job <name> --from=cronjob/<cron_job>` does.

    Source: https://github.com/kubernetes/kubectl/blob/v0.36.0/pkg/cmd/create/create_job.go. Raises UserError if the
    stack has no such CronJob.
    """
    found = api.get(_API_VERSION, "CronJob", cron_job, namespace)
    if found is None:
        raise UserError(f"The stack has no CronJob {namespace}/{cron_job}; `pulumi up` prints why.")
    template, metadata = found["spec"]["jobTemplate"], found["metadata"]
    owner = {"apiVersion": _API_VERSION, "kind": "CronJob", "name": cron_job, "uid": metadata["uid"]}
    annotations = {
        **template.get("metadata", {}).get("annotations", {}),
        "cronjob.kubernetes.io/instantiate": "manual",
    }
    api.create(
        {
            "apiVersion": _API_VERSION,
            "kind": "Job",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": template.get("metadata", {}).get("labels", {}),
                "annotations": annotations,
                "ownerReferences": [{**owner, "controller": True}],
            },
            "spec": template["spec"],
        }
    )


def wait_until_succeeded(plane: ControlPlane, namespace: str, name: str, timeout: float | None = None) -> str:
    """Wait until a Job has succeeded; returns its pod's output. Raises UserError with the log if it fails."""
    wait_for_step(
        lambda: _find_end(plane.api, namespace, name), f"The Job {namespace}/{name} has not ended", timeout=timeout
    )
    log = read_log(plane, namespace, name)
    if _find_end(plane.api, namespace, name) != "Complete":
        raise UserError(f"The Job {namespace}/{name} failed. The end of its log:\n{log[-_LOG_TAIL:]}")
    return log


def list_jobs(api: ApiClient, namespace: str, label_selector: str) -> list[Object]:
    return list(api.list(_API_VERSION, "Job", namespace, label_selector=label_selector))


def read_log(plane: ControlPlane, namespace: str, name: str) -> str:
    """The output of a Job's pods so far, the first pod's first."""
    pods = plane.api.list("v1", "Pod", namespace, label_selector=f"batch.kubernetes.io/job-name={name}")
    names = [pod["metadata"]["name"] for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))]
    logs = [pod_log(plane, pod) for pod in names]
    return "".join(log.read_text(errors="replace") for log in logs if log.exists())


def _find_end(api: ApiClient, namespace: str, name: str) -> str:
    """Complete or Failed; empty while the Job runs. Raises UserError if there is none."""
    job = api.get(_API_VERSION, "Job", name, namespace)
    if job is None:
        raise UserError(f"The Job {namespace}/{name} is gone.")
    conditions = job.get("status", {}).get("conditions") or ()
    ended = [each["type"] for each in conditions if each["status"] == "True"]
    return next((type_ for type_ in ended if type_ in ("Complete", "Failed")), "")
