"""A stack whose programs have fixed answers, for tests that start no process."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.programs import Answer
from deploy.stack import read_stack
from operations.target import STACKS, Target


@dataclasses.dataclass(frozen=True)
class FakeTarget(Target):
    """
    answers   a program's answers, keyed by the beginning of the command line; the longest match is used. Text or an
              object is standard output; an Answer is used as it is; a list's items are used once each. Others fail.
    commands  the command lines so far
    """

    answers: dict[str, Any] = dataclasses.field(default_factory=dict)
    commands: list[str] = dataclasses.field(default_factory=list)

    def ask(self, program: str, *arguments: str, text: str | None = None, **variables: str) -> Answer:  # noqa: ARG002
        line = " ".join((program, *arguments))
        self.commands.append(line)
        known = max((start for start in self.answers if line.startswith(start)), key=len, default="")
        answer = self.answers[known] if known else Answer(1, "", f"error: no answer to {line}")
        if isinstance(answer, list) and answer and isinstance(answer[0], Answer):
            answer = answer.pop(0)
        if isinstance(answer, Answer):
            return answer
        return Answer(0, answer if isinstance(answer, str) else json.dumps(answer), "")


def fake_target(answers: Mapping[str, Any], name: str = "aws-dev", **environment: str) -> FakeTarget:
    return FakeTarget(read_stack(name, STACKS), environment, is_rehearsed=True, answers=dict(answers))


def list_of(*items: Mapping[str, Any]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The output of kubectl for a list of objects."""
    return {"items": items}


def kubernetes_object(kind: str, name: str, *, generation: int = 1, **content: Any) -> dict[str, Any]:
    """A Kubernetes object; `name` is <namespace>/<name>, or only a name for a cluster-scoped object."""
    namespace, _, own = name.rpartition("/")
    metadata = {"name": own, "generation": generation} | ({"namespace": namespace} if namespace else {})
    return {"kind": kind, "metadata": metadata, **content}
