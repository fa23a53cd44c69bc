"""The process of one controller: started, restarted and stopped as the pods of its workload would be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import yaml

from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane, free_ports
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.kubernetes.controllers.controller import Controller, LaunchContext
from rehearsal.kubernetes.controllers.git_server import GitServer
from rehearsal.kubernetes.controllers.lazy_proxy import LazyProxy

_MAX_RESTART_DELAY = 60.0  # seconds; the delay starts at 1 and doubles with each exit


class ControllerProcess:
    """Runs a controller's program while its workload has a ready pod.

    simulated_because  why the controller of an installed workload cannot run; empty if it can, or is not installed
    problem            how the process exited unexpectedly; empty if it has not
    """

    def __init__(
        self,
        controller: Controller,
        program: Path | None,
        plane: ControlPlane,
        egress: EgressProxy,
        git_server: GitServer,
        resolve_address: Callable[[str, str], str],
    ) -> None:
        """`resolve_address` returns the address of a controller, given its name and a namespace."""
        self.controller = controller
        self.is_running = False
        self.simulated_because = ""
        self.problem = ""
        self._program = program
        self._plane = plane
        self._egress = egress
        self._git_server = git_server
        self._resolve_address = resolve_address
        self._pod_template: Object = {}  # of the workload that the process was started for
        self._port: int | None = None
        self._proxies: dict[str, LazyProxy] = {}  # keyed by namespace
        self._exits = 0
        self._restart_at = 0.0  # on the monotonic clock

    def reconcile(self, workloads: Iterable[Object]) -> None:
        """Start or stop the process as its workload requires. If it is installed, it is among `workloads`."""
        workload = self.controller.find_workload(workloads)
        self.simulated_because = self._explain_simulation(workload) if workload else ""
        if not workload or self.simulated_because:
            self._stop()
            return
        namespace, template = workload["metadata"]["namespace"], workload["spec"]["template"]
        has_ready_pod = bool(workload["status"].get("readyReplicas"))
        self.open_proxy(namespace)
        self._handle_exit()
        if not has_ready_pod or template != self._pod_template:
            self._stop()
        if has_ready_pod and not self.is_running and time.monotonic() >= self._restart_at:
            self._start(namespace, template)

    def close(self) -> None:
        """Stop the process and close its ports."""
        self._stop()
        for proxy in self._proxies.values():
            proxy.close()

    def open_proxy(self, namespace: str) -> LazyProxy:
        """The proxy to the process for a workload in this namespace."""
        if namespace not in self._proxies:
            proxy = self._proxies[namespace] = LazyProxy(lambda: self._port)
            self._egress.register(namespace, self.controller.service, proxy.address)
        return self._proxies[namespace]

    def _explain_simulation(self, workload: Object) -> str:
        container = self.controller.find_container(workload)
        assert container is not None  # noqa: S101 or the workload would not have been found
        version, available = self.controller.image_version(container), self.controller.tool.version
        if version != available and not self.controller.substitute_note:
            return (
                f"its image has {f'version {version}' if version else 'no version'}, the available program {available}"
            )
        return "" if self._program else "its program could not be built"

    def _start(self, namespace: str, template: Object) -> None:
        assert self._program is not None  # noqa: S101 or `simulated_because` would say so
        container = self.controller.find_container({"spec": {"template": template}}) or {}
        environment = _read_environment(self._plane.api, namespace, container)
        (self._port,) = free_ports(1)
        account = template["spec"].get("serviceAccountName") or "default"
        options = self.controller.build_options(
            self._build_launch_context(self._program, namespace, account, self._port)
        )
        self._plane.supervisor.start(
            self.controller.name,
            [str(self._program), *container.get("args", ()), *options.arguments],
            self._log_file,
            {**environment, **options.environment},
        )
        self._pod_template, self.is_running = template, True

    def _build_launch_context(self, program: Path, namespace: str, account: str, port: int) -> LaunchContext:
        folder = self._plane.folder / "controllers" / self.controller.name
        folder.mkdir(parents=True, exist_ok=True)
        user = f"system:serviceaccount:{namespace}:{account}"
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(_impersonate(user, self._plane.kubeconfig.read_text()))
        authority = self._plane.certificate_authority
        host = f"{self.controller.service}.{namespace}.svc"
        return LaunchContext(
            namespace=namespace,
            user=user,
            program=program,
            kubeconfig=kubeconfig,
            folder=folder,
            socket_folder=self._egress.socket_folder,
            port=port,
            certificate=authority.issue_certificate(self.controller.name, hosts=[host]),
            ca_file=authority.ca_file,
            git_proxy=self._git_server.proxy_url,
            resolve_address=lambda name: self._resolve_address(name, namespace),
        )

    def _stop(self) -> None:
        if self.is_running:
            self._plane.supervisor.stop(self.controller.name)
        self._port, self.is_running = None, False

    def _handle_exit(self) -> None:
        """Report a process that exited by itself, and delay its restart, longer each time."""
        code = self._plane.supervisor.exit_code(self.controller.name)
        if not self.is_running or code is None:
            return
        self._exits += 1
        self._restart_at = time.monotonic() + min(2.0 ** (self._exits - 1), _MAX_RESTART_DELAY)
        status = f"signal {-code}" if code < 0 else f"exit code {code}"
        times = "once" if self._exits == 1 else f"{self._exits} times"
        self.problem = (
            f"{self.controller.name} exited unexpectedly {times}, last with {status}; see its log {self._log_file}"
        )
        self._port, self.is_running = None, False

    @property
    def _log_file(self) -> Path:
        return self._plane.folder / "logs" / f"{self.controller.name}.log"


def _read_environment(api: ApiClient, namespace: str, container: Object) -> Mapping[str, str]:
    """The variables in a container's own manifest and in the ConfigMaps that it names, without other references."""
    config_maps: dict[str, Object] = {}
    environment = {}
    for variable in container.get("env", ()):
        reference = variable.get("valueFrom", {}).get("configMapKeyRef")
        if reference and reference["name"] not in config_maps:
            found = api.get("v1", "ConfigMap", reference["name"], namespace) or {}
            config_maps[reference["name"]] = found.get("data") or {}
        value = config_maps[reference["name"]].get(reference["key"]) if reference else variable.get("value")
        if value is not None:
            environment[variable["name"]] = value
    return environment


def _impersonate(user: str, administrator: str) -> str:
    """An administrator's kubeconfig that impersonates a user:
    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
    """
    config = yaml.safe_load(administrator)
    config["users"][0]["user"]["as"] = user
    return yaml.safe_dump(config)
