"""The outcome of a rehearsal: passed or failed and why, how long it took, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_NOTEWORTHY_BUILD = 5.0  # seconds: without builds, finding the programs takes less


@dataclass(frozen=True)
class Outcome:
    """The outcome of one `make rehearse`.

    failures       where it failed, such as `its up` or `its charts`; none if it passed
    remedy         where to find the reasons
    seconds        wall time of the stack itself
    build_seconds  wall time spent waiting for programs to be built
    """

    stack: str
    failures: Sequence[str]
    remedy: str
    seconds: float
    build_seconds: float

    @property
    def word(self) -> str:
        return "FAILED" if self.failures else "PASSED"

    def render(self, stack_file: str) -> str:
        """The last lines of output; `stack_file` is the file to edit to change the stack."""
        builds = f", after {self.build_seconds:.0f} s of builds" if self.build_seconds > _NOTEWORTHY_BUILD else ""
        reason = (
            f"The rehearsal of {self.stack} failed at {' and '.join(self.failures)}; {self.remedy}."
            if self.failures
            else f"{self.stack} is up on simulated clouds, and a second preview changes nothing."
        )
        make = f"STACK={self.stack}"
        return "\n".join(
            [
                f"\n{self.word} in {self.seconds:.0f} s{builds}. {reason}",
                f"  look     make shell {make}",
                f"  change   edit {stack_file} or the program, then make rehearse {make}",
                f"  discard  make rehearse-destroy {make}, or at once with make rehearse-reset {make}",
            ]
        )
