"""Runs a Pulumi program in this process. The language host starts it with the engine's request on standard input.

What the SDK does again and again where once, or never, is enough takes most of a program's CPU time, and is left out.
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

# Set where the engine was started with --debug; `rehearsal.engine.launcher` has the name, too.
DEBUG = "GROUNDWORK_DEBUG"


def main() -> int:
    # A program declares resources, waits and ends. Collecting garbage meanwhile means walking the SDK objects again and
    # again, which takes two fifths of the time of a preview on Azure (measured).
    gc.disable()
    if DEBUG not in os.environ:
        # Five messages of each resource, and the program waits until the engine has taken each. Without --debug nobody
        # sees them.
        log.debug = _ignore
    request = language_pb2.RunRequest.FromString(sys.stdin.buffer.read())
    request.args.insert(0, sys.argv[1])
    folder = request.info.program_directory or request.pwd
    entry = os.path.join(folder, request.info.entry_point or ".")

    async def program() -> None:
        sys.path.insert(0, folder)
        runpy.run_path(entry, run_name="__main__")
        await wait_for_outputs()

    # The SDK's own server, used as a library, sets up the runtime, waits for everything that the program declared, and
    # prints only the message of a RunError.
    response = LanguageServer(program).Run(request, None)  # type: ignore[no-untyped-call]
    return 1 if response.error else 0


def _ignore(*_: Any, **__: Any) -> None:
    """Do nothing with a message."""


async def wait_for_outputs() -> None:
    """Wait until all outputs are known, or one cannot be, which the SDK then reports.

    The SDK would go through those that are left each time that one of them is known, which takes an eighth of the CPU
    time of the program (measured with the preview of azure-dev, 380 resources).
    """
    # The SDK removes what is known, and keeps what has failed.
    while outputs := list(SETTINGS.outputs):
        if any(output.done() and (output.cancelled() or output.exception()) for output in outputs):
            return
        await asyncio.wait(outputs, return_when=asyncio.FIRST_EXCEPTION)


if __name__ == "__main__":
    sys.exit(main())
