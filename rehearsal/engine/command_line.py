"""The arguments that a user passes to `pulumi`: the command, the folder that it is meant for, and the paths in it.

The engine runs in another folder than the user, so relative paths become absolute. Source of the options:
`pulumi <command> --help` of the pinned version, with which a test compares them. How cobra, the engine's library, finds
the command word: https://github.com/spf13/cobra/blob/v1.10.1/command.go (Find and stripFlags).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

# Global options that take no value. Any other option before the command word takes one, unless written with `=`.
_SWITCHES = frozenset(
    {
        "--disable-integrity-checking",
        "--emoji",
        "--fully-qualify-stack-names",
        "--help",
        "--logflow",
        "--logtostderr",
        "--non-interactive",
        "--version",
        "-Q",
        "-e",
        "-h",
    }
)
_FOLDER = ("--cwd", "-C")
_STACK = ("--stack", "-s")

PATH_OPTIONS = frozenset(
    {
        "--config-file",
        "--event-log",
        "--file",
        "--generate-resources",
        "--import-file",
        "--out",
        "--plan",
        "--policy-pack",
        "--policy-pack-config",
        "--profiling",
        "--save-plan",
    }
)
"""Options whose value is a path in every command that has them."""

# The same for options that have another meaning in other commands.
_PATH_OPTIONS_OF = {"import": ("-f", "-o"), "watch": ("--path",)}
_PATH_ARGUMENT_AFTER = (("stack", "graph"), ("up",), ("update",))

_WITH_POLICIES = frozenset({"preview", "pre", "up", "update", "watch"})

# Commands about something other than the project, which run in the user's folder.
_BESIDE_PROJECTS = frozenset(
    {
        "completion",
        "convert",
        "convert-trace",
        "gen-completion",
        "help",
        "new",
        "plugin",
        "policy",
        "project",
        "replay-events",
        "schema",
        "template",
        "version",
        "view-trace",
    }
)

# Commands whose purpose is to change a real backend or its encryption, Pulumi Cloud, or the project's own files.
_REFUSED = frozenset(
    {
        ("api",),
        ("deployment",),
        ("env",),
        ("esc",),
        ("insights",),
        ("login",),
        ("logout",),
        ("neo",),
        ("org",),
        ("package", "add"),
        ("package", "publish"),
        ("stack", "change-secrets-provider"),
        ("stack", "migrate"),
    }
)


@dataclass(frozen=True)
class CommandLine:
    """
    words      the command, its subcommands and its arguments, without options
    folder     where the user wants it to run
    arguments  all arguments, without the option that names the folder
    """

    words: tuple[str, ...]
    folder: Path
    arguments: tuple[str, ...]

    @property
    def command(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def stack(self) -> str:
        """The stack named by an option; empty if there is none."""
        for previous, argument in zip(("", *self.arguments), self.arguments, strict=False):
            if previous in _STACK:
                return argument
            if argument.startswith("--stack="):
                return argument.partition("=")[2]
        return ""

    @property
    def is_beside_projects(self) -> bool:
        """Whether it does not concern the state of a project."""
        return not self.command or self.command in _BESIDE_PROJECTS

    @property
    def refused(self) -> str:
        """The command, if it is not allowed in a rehearsal; otherwise empty."""
        return next((" ".join(words) for words in (self.words[:1], self.words[:2]) if words in _REFUSED), "")

    @property
    def shows_debug_messages(self) -> bool:
        return bool({"--debug", "--debug=true", "-d"} & {*self.arguments})

    def needs_policies(self) -> bool:
        """Whether the project's policies have to be added, since the user named none."""
        asks_for_help = any(argument in ("--help", "-h") for argument in self.arguments)
        return (
            self.command in _WITH_POLICIES
            and not asks_for_help
            and not any(argument.split("=")[0] == "--policy-pack" for argument in self.arguments)
        )

    def with_absolute_paths(self, copy_settings: Callable[[Path], Path]) -> list[str]:
        """The arguments for an engine that runs in another folder.

        `copy_settings` returns the file to use in place of a settings file that the user named.
        """
        result: list[str] = []
        options = {*PATH_OPTIONS, *_PATH_OPTIONS_OF.get(self.command, ())}
        previous = ""
        for position, argument in enumerate(self.arguments):
            if argument == "--":
                return [*result, *self.arguments[position:]]
            option, equals, value = argument.partition("=")
            if previous in options:
                argument = self._resolve(previous, argument, copy_settings)
                option = ""
            elif equals and option in options:
                argument = f"{option}={self._resolve(option, value, copy_settings)}"
            elif len(option) > 2 and argument[:2] in options:
                argument = argument[:2] + self._resolve(argument[:2], argument[2:], copy_settings)
            elif self._is_path_argument(argument, previous):
                argument = self._resolve("", argument, copy_settings)
            result.append(argument)
            previous = option if not equals else ""
        return result

    def _is_path_argument(self, argument: str, previous: str) -> bool:
        """Whether a positional argument is a path: the output file of `stack graph`, or the folder of a template."""
        if argument.startswith("-") or previous.startswith("-") or not previous:
            return False
        commands = [words for words in _PATH_ARGUMENT_AFTER if self.words[: len(words)] == words]
        is_command = argument in self.words[: len(commands[0])] if commands else True
        return not is_command and (self.command == "stack" or (self.folder / argument).is_dir())

    def _resolve(self, option: str, value: str, copy_settings: Callable[[Path], Path]) -> str:
        """A value with absolute paths; several are separated by commas, `-` is standard output."""
        paths = [path if path in ("", "-") or "://" in path else str(self.folder / path) for path in value.split(",")]
        return ",".join(str(copy_settings(Path(path))) if option == "--config-file" else path for path in paths)


def parse(arguments: Sequence[str], folder: Path) -> CommandLine:
    """Parse the arguments of a user whose current folder is `folder`."""
    words: list[str] = []
    kept: list[str] = []
    remaining = list(arguments)
    while remaining:
        argument = remaining.pop(0)
        option, equals, value = argument.partition("=")
        if argument == "--":
            kept += [argument, *remaining]
            break
        if option in _FOLDER:
            folder = folder / (value if equals else remaining.pop(0) if remaining else "")
        elif argument.startswith("-C"):
            folder = folder / argument.removeprefix("-C")
        else:
            kept.append(argument)
            if not argument.startswith("-"):
                words.append(argument)
            elif not words and not equals and argument not in _SWITCHES and remaining:
                kept.append(remaining.pop(0))
    return CommandLine(tuple(words), folder, tuple(kept))
