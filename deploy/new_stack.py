"""`python -m deploy.new_stack STACK=... CLOUD=...` writes a new stack's files, and asks for the rest on a terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from deploy import gitops
from deploy.cluster_access import list_examples
from deploy.errors import DeployError
from infra.core import stack_config
from infra.core.naming import Naming
from infra.core.settings import Cloud, Environment, Settings
from kernel import stack_file

ROOT = Path(__file__).resolve().parents[1]

Answers = Mapping[str, str]
"""What is known about the new stack, keyed by the names of the questions."""

# From a block reserved for documentation (RFC 5737): a new stack can be rehearsed and previewed before its users'
# addresses are known.
_EXAMPLE_RANGE = "203.0.113.0/24"
_EXAMPLE_LOCATIONS = {Cloud.AZURE: "westeurope", Cloud.AWS: "eu-west-1"}


@dataclass(frozen=True)
class Question:
    """Something that has to be known about a new stack.

    name         of the argument, as in `make new-stack STACK=...`
    text         what a terminal shows
    setting      the setting whose value is the answer; empty for none
    suggest      an answer that fits the earlier ones, which the return key accepts; empty for none
    is_optional  whether the suggestion is used if there is no terminal to ask on
    """

    name: str
    text: str
    setting: str = ""
    suggest: Callable[[Answers], str] = lambda _: ""
    is_optional: bool = False


def _suggest_cloud(answers: Answers) -> str:
    return next((cloud for cloud in Cloud if cloud in _split_name(answers["STACK"])), "")


def _suggest_environment(answers: Answers) -> str:
    return next((one for one in Environment if one in _split_name(answers["STACK"])), Environment.DEV)


def _split_name(stack: str) -> list[str]:
    """The words in a stack's name: `research-azure` -> research, azure."""
    return re.split(r"[-_.]", stack.lower())


QUESTIONS = (
    Question("STACK", "Name of the stack, such as azure-sandbox or aws-prod-eu"),
    Question("CLOUD", "Cloud: azure or aws", "cloud", _suggest_cloud),
    Question("ENVIRONMENT", "Class of defaults: dev, staging or prod", "environment", _suggest_environment),
    Question("LOCATION", "Region, such as westeurope or eu-west-1; docs/settings.md lists all", "location"),
    Question(
        "ORGANIZATION",
        "Organization, 2 to 8 lower-case letters and digits: the start of all names in the cloud",
        "organization",
    ),
    Question("OWNER", "Team responsible for the stack", "owner"),
    Question(
        "AUTHORIZED_RANGES",
        "Public addresses from which you reach the Kubernetes API, separated by commas",
        suggest=lambda _: _EXAMPLE_RANGE,
        is_optional=True,
    ),
)


def parse_arguments(arguments: Sequence[str]) -> dict[str, str]:
    """Answers from arguments such as `STACK=azure-qa`. Raises DeployError for any other argument."""
    names = [question.name for question in QUESTIONS]
    answers = {}
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name not in names:
            raise DeployError(f"'{argument}' is not an argument of `make new-stack`: use {'=, '.join(names)}=.")
        answers[name] = value.strip()
    return {name: value for name, value in answers.items() if value}


def complete_answers(provided: Answers) -> dict[str, str]:
    """The provided answers and suggestions, without asking. Raises DeployError that lists all missing answers."""
    missing = [question for question in QUESTIONS if question.name not in provided and not question.is_optional]
    if missing:
        lines = [f"  {question.name}=...  {question.text}" for question in missing]
        raise DeployError("\n".join(["A new stack needs a terminal to ask on, or these arguments:", *lines]))
    return {question.name: provided.get(question.name) or question.suggest(provided) for question in QUESTIONS}


def ask_for_answers(provided: Answers, root: Path, read_line: Callable[[str], str] = input) -> dict[str, str]:
    """The provided answers and those from the terminal; a question is repeated until its answer is valid."""
    answers: dict[str, str] = {}
    for question in QUESTIONS:
        suggestion = question.suggest(answers)
        answer = provided.get(question.name, "")
        while not answer or not _is_valid({**answers, question.name: answer}, root):
            answer = read_line(f"{question.text}{suggestion and f' [{suggestion}]'}: ").strip() or suggestion
        answers[question.name] = answer
    return answers


def _is_valid(answers: Answers, root: Path) -> bool:
    """Whether the answers so far are valid, with examples in place of the others; prints what is not."""
    cloud = next((cloud for cloud in Cloud if cloud == answers.get("CLOUD")), Cloud.AZURE)
    examples = {"CLOUD": cloud, "ENVIRONMENT": Environment.DEV, "LOCATION": _EXAMPLE_LOCATIONS[cloud]}
    examples |= {"ORGANIZATION": "acme", "OWNER": "ml", "AUTHORIZED_RANGES": _EXAMPLE_RANGE}
    try:
        check_answers({**examples, **answers}, root)
    except DeployError as error:
        print(error, file=sys.stderr)
        return False
    return True


def check_answers(answers: Answers, root: Path) -> Settings:
    """The settings that a new stack would have. Raises DeployError with everything wrong, or if the stack exists."""
    stack = answers["STACK"]
    try:
        content = stack_file.parse(format_file(answers).encode(), stack_config.NAMESPACE, f"Pulumi.{stack}.yaml")
        settings = stack_config.check(replace(content, places={}), stack)  # nobody has seen its lines
    except stack_config.SettingsError as error:
        lines = ["  - " + "\n    ".join(problem) for problem in error.problems]
        raise DeployError("\n".join(["A stack cannot have these settings:", *lines])) from None
    for file in list_files(stack):
        if (root / file).exists():
            raise DeployError(
                f"There is already a stack '{stack}': {file} exists. Choose another name; or edit its settings and "
                f"continue with `make rehearse STACK={stack}`; or delete the files of a former stack: "
                f"{_describe_files(stack)}."
            )
    return settings


def list_files(stack: str) -> Sequence[Path]:
    """The files of a stack in the project: its settings, and its folder in the GitOps repository."""
    folder = Path("platform", "gitops", "stacks", stack)
    experiments = [folder / "experiments" / name for name in gitops.EXPERIMENT_FILES]
    return [Path("stacks", f"Pulumi.{stack}.yaml"), folder / "kustomization.yaml", *experiments]


def _describe_files(stack: str) -> str:
    """The settings and the folder of a stack, for people."""
    settings, kustomization, *_ = list_files(stack)
    return f"{settings} and {kustomization.parent}"


def format_file(answers: Answers, *, has_examples: bool = False) -> str:
    """The text of the stack's file: the settings that every stack requires.

    `has_examples` adds a comment that its addresses are examples.
    """
    config: dict[str, Any] = {
        f"{stack_config.NAMESPACE}:{question.setting}": str(answers[question.name])
        for question in QUESTIONS
        if question.setting
    }
    ranges = [block.strip() for block in answers["AUTHORIZED_RANGES"].split(",")]
    config[f"{stack_config.NAMESPACE}:cluster"] = {"authorizedRanges": ranges}
    text: str = yaml.safe_dump(
        {"config": config}, sort_keys=False, allow_unicode=True, width=1000, default_flow_style=None
    )
    if not has_examples:
        return text
    comment = "    # An example: replace it with the public addresses of your runners and operators.\n"
    return text.replace("    authorizedRanges:", f"{comment}    authorizedRanges:")


def write_files(answers: Answers, settings: Settings, root: Path) -> str:
    """Write the stack's files, all or none; returns the message to print. Raises DeployError if it cannot."""
    stack = answers["STACK"]
    written: list[Path] = []
    examples = list_examples(settings.cluster.authorized_ranges)
    texts = [
        format_file(answers, has_examples=bool(examples)),
        gitops.format_kustomization(settings, stack),
        *gitops.EXPERIMENT_FILES.values(),
    ]
    for file, text in zip(list_files(stack), texts, strict=True):
        try:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            with (root / file).open("x", encoding="utf-8") as stream:
                stream.write(text)
        except OSError as error:
            for other in written:
                (root / other).unlink()
            raise DeployError(f"{file} cannot be written: {error.strerror}.") from None
        written.append(file)
    lines = [f"Wrote {_describe_files(stack)}."]
    lines += _note_other_names(stack, settings)
    lines.append(f"Names in the cloud start with {Naming(settings, stack).prefix}.")
    if examples:
        lines.append(f"Before `make up`, replace {', '.join(examples)} in the settings: nobody has these addresses.")
    return "\n".join(
        [
            *lines,
            "docs/settings.md lists what else can be set. Next:",
            f"  make rehearse STACK={stack}   bring it up on simulated clouds, without an account",
            f"  make preview STACK={stack}    show what it would create on {settings.cloud}",
        ]
    )


def _note_other_names(stack: str, settings: Settings) -> list[str]:
    """A note if the stack's name is misleading: it contains another cloud or environment than the stack has."""
    has = (settings.cloud, settings.environment)
    other = [one for kind in (Cloud, Environment) for one in kind if one in _split_name(stack) and one not in has]
    if not other:
        return []
    return [
        f"Note: its name says {' and '.join(other)}, but it is {settings.environment} on {settings.cloud}. "
        f"If that is not what you mean, delete {_describe_files(stack)} and start again."
    ]


def main() -> int:
    try:
        provided = parse_arguments(sys.argv[1:])
        answers = ask_for_answers(provided, ROOT) if sys.stdin.isatty() else complete_answers(provided)
        print(write_files(answers, check_answers(answers, ROOT), ROOT))
    except DeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (EOFError, KeyboardInterrupt):
        print("\nInterrupted; nothing has been written.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
