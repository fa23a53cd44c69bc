"""How long a recovery takes: measured, and published durations for what no rehearsal can measure."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from estimates import Duration

RTO = 15 * 60.0  # seconds from the decision to models that answer
RPO = 60 * 60.0  # seconds of writes that a disaster may lose


@dataclass(frozen=True)
class Step:
    title: str
    measured: float
    expected: float

    @property
    def seconds(self) -> float:
        """On the simulated clock: the longer of the measured and the expected duration."""
        return max(self.measured, self.expected)


@dataclass
class Timeline:
    """The steps of a recovery, one after the other."""

    durations: Mapping[str, Duration]
    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, title: str, kind: str = "") -> Iterator[None]:
        """`kind` is the name of a step in the table of durations; without it only the measured duration counts."""
        print(f"  {title} ...", file=sys.stderr, flush=True)
        started = time.monotonic()
        yield
        expected = self.durations[kind].seconds if kind else 0.0
        self.steps.append(Step(title, time.monotonic() - started, expected))

    def expect(self, title: str, kind: str) -> None:
        """Add a step that happens elsewhere, by people or on the internet."""
        self.steps.append(Step(title, 0.0, self.durations[kind].seconds))

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps)

    def render(self) -> str:
        """A table of the steps: when each begins, what was measured and what is expected, in seconds."""
        lines, begin = ["   begin  measured  expected"], 0.0
        for step in self.steps:
            lines.append(f"{begin:6.0f} s  {step.measured:6.1f} s  {step.expected:6.0f} s  {step.title}")
            begin += step.seconds
        comparison = "within" if self.seconds <= RTO else "MORE THAN"
        lines.append(
            f"{begin:6.0f} s  in all, each step at the longer of both: {comparison} the {RTO / 60:.0f} min of the RTO"
        )
        return "\n".join(lines)
