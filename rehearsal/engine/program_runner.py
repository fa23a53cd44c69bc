"""Runs a Pulumi program in this process. The language host starts it with the engine's request on standard input."""

from __future__ import annotations

import gc
import os
import runpy
import sys

from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2


def main() -> int:
    # A program declares resources, waits and ends. Collecting garbage meanwhile means walking the SDK objects again and
    # again, which takes two fifths of the time of a preview on Azure (measured).
    gc.disable()
    request = language_pb2.RunRequest.FromString(sys.stdin.buffer.read())
    request.args.insert(0, sys.argv[1])
    folder = request.info.program_directory or request.pwd
    entry = os.path.join(folder, request.info.entry_point or ".")

    def program() -> None:
        sys.path.insert(0, folder)
        runpy.run_path(entry, run_name="__main__")

    # The SDK's own server, used as a library, sets up the runtime, waits for everything that the program declared, and
    # prints only the message of a RunError.
    response = LanguageServer(program).Run(request, None)  # type: ignore[no-untyped-call]
    return 1 if response.error else 0


if __name__ == "__main__":
    sys.exit(main())
