"""A Pulumi language host for Python, for machines without the official one.

The engine starts it, reads its port from standard output, and requests runs of the program and of policy packs. Each
run is a separate process under this interpreter, so that one host serves any number of runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

_PROGRAM_RUNNER = Path(__file__).resolve().parent / "program_runner.py"
_END_OF_STREAM = object()


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs programs and policy packs; the protocol is Pulumi's language.proto."""

    def __init__(self, engine_address: str) -> None:
        self._engine_address = engine_address
        self._children: set[subprocess.Popen[bytes]] = set()

    def stop(self) -> None:
        """End all runs."""
        for process in list(self._children):
            process.kill()

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 the protocol's names
        self._engine_address = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        # Providers are attached or installed: there is nothing to fetch before a run.
        return language_pb2.GetRequiredPackagesResponse()

    def About(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return language_pb2.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        found = sorted((item.metadata["Name"], item.version) for item in metadata.distributions())
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[language_pb2.DependencyInfo(name=name, version=version) for name, version in found]
        )

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802, ARG002
        text = f"The dependencies are installed for {sys.executable}; `make setup` installs them.\n"
        yield language_pb2.InstallDependenciesResponse(stdout=text.encode())

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802
        command = [sys.executable, "-u", str(_PROGRAM_RUNNER), self._engine_address]
        with self._child(command, context, cwd=request.pwd, stdin=subprocess.PIPE) as process:
            process.communicate(request.SerializeToString())
        # With `bail` the engine adds no error of its own: the program has already printed one.
        return language_pb2.RunResponse(bail=process.returncode != 0)

    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        if request.kind != "analyzer":
            context.abort(
                grpc.StatusCode.UNIMPLEMENTED, f"this host runs policy packs, not plugins of kind '{request.kind}'"
            )
        environment = {**os.environ, **dict(item.split("=", 1) for item in request.env)}
        command = [sys.executable, "-u", "-m", "pulumi.policy", *request.args, request.info.program_directory]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with self._child(command, context, cwd=request.pwd, env=environment, **pipes) as process:
            for stream, chunk in _chunks(process):
                part: dict[str, Any] = {stream: chunk}
                yield language_pb2.RunPluginResponse(**part)
        yield language_pb2.RunPluginResponse(exitcode=process.returncode)

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return empty_pb2.Empty()

    @contextmanager
    def _child(self, command: list[str], context: Any, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
        """A process that ends with its request. It has its own session, since the engine sends SIGINT to this host's
        group, and the process must not print a traceback then."""
        with subprocess.Popen(command, start_new_session=True, **options) as process:
            self._children.add(process)
            context.add_callback(process.kill)
            yield process
        self._children.discard(process)


def _chunks(process: subprocess.Popen[bytes]) -> Iterator[tuple[str, bytes]]:
    """The process's output as it is written: (stream, bytes)."""
    queue: Queue[Any] = Queue()

    def pump(stream: str, pipe: Any) -> None:
        while chunk := pipe.read1(65536):
            queue.put((stream, chunk))
        queue.put(_END_OF_STREAM)

    pumps = {"stdout": process.stdout, "stderr": process.stderr}
    for stream, pipe in pumps.items():
        threading.Thread(target=pump, args=(stream, pipe), daemon=True).start()
    ended = 0
    while ended < len(pumps):
        item = queue.get()
        if item is _END_OF_STREAM:
            ended += 1
        else:
            yield item


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    host = LanguageHost(arguments[-1] if arguments else "")
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=[("grpc.max_receive_message_length", -1)])
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    print(port, flush=True)
    # The engine ends its hosts with SIGINT. If the engine is killed, this process gets another parent.
    engine = os.getppid()
    while not stopped.wait(1) and os.getppid() == engine:
        pass
    host.stop()
    server.stop(grace=0).wait()


if __name__ == "__main__":
    main()
