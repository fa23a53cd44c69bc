"""Runs a Pulumi program in this process. The language host starts it with the engine's request on standard input.

Avoids work of the SDK that is repeated or not needed, and takes most of a program's CPU time.
"""

from __future__ import annotations

import asyncio
import gc
import os
import runpy
import sys
from typing import Any

from pulumi import log
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2
from pulumi.runtime.settings import SETTINGS

# Set if the engine was started with --debug; `rehearsal.engine.launcher` repeats the name.
DEBUG = "GROUNDWORK_DEBUG"


def main() -> int:
    # A program declares resources, waits and ends. Garbage collection would repeatedly walk the SDK's objects, which
    # takes two fifths of the time of a preview on Azure (measured).
    gc.disable()
    if DEBUG not in os.environ:
        # Five messages per resource, for each of which the program waits until the engine has received it. Without
        # --debug they are not shown.
        log.debug = _ignore
    request = language_pb2.RunRequest.FromString(sys.stdin.buffer.read())
    request.args.insert(0, sys.argv[1])
    folder = request.info.program_directory or request.pwd
    entry = os.path.join(folder, request.info.entry_point or ".")

    async def program() -> None:
        sys.path.insert(0, folder)
        runpy.run_path(entry, run_name="__main__")
        await wait_for_outputs()

    # The SDK's own server, used as a library, sets up the runtime, waits for everything that the program declares, and
    # prints only the message of a RunError.
    response = LanguageServer(program).Run(request, None)  # type: ignore[no-untyped-call]
    return 1 if response.error else 0


def _ignore(*_: Any, **__: Any) -> None:
    """Ignore a message."""


async def wait_for_outputs() -> None:
    """Wait until all outputs are known, or until one fails, which the SDK then reports.

    The SDK itself iterates over the remaining outputs each time that one becomes known, which takes an eighth of the
    program's CPU time (measured with the preview of azure-dev, 380 resources).
    """
    # The SDK removes outputs that are known, and retains those that have failed.
    while outputs := list(SETTINGS.outputs):
        if any(output.done() and (output.cancelled() or output.exception()) for output in outputs):
            return
        await asyncio.wait(outputs, return_when=asyncio.FIRST_EXCEPTION)


if __name__ == "__main__":
    sys.exit(main())
