"""Runs a Pulumi program in this process; started by the language host, with the engine's request on standard input."""

from __future__ import annotations

import gc
import os
import runpy
import sys

from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2


def main() -> int:
    # A program declares, waits and ends. To collect garbage meanwhile is to walk the SDK's objects over and over: two
    # fifths of the time of a preview on Azure.
    gc.disable()
    request = language_pb2.RunRequest.FromString(sys.stdin.buffer.read())
    request.args.insert(0, sys.argv[1])
    folder = request.info.program_directory or request.pwd
    entry = os.path.join(folder, request.info.entry_point or ".")

    def program() -> None:
        sys.path.insert(0, folder)
        runpy.run_path(entry, run_name="__main__")

    # The SDK's own server is used as a library: it sets up the runtime, waits for all that the program declared, and
    # reports a RunError as its message alone.
    response = LanguageServer(program).Run(request, None)  # type: ignore[no-untyped-call]
    return 1 if response.error else 0


if __name__ == "__main__":
    sys.exit(main())
