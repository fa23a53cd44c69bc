"""The environment of a rehearsal: the variables that it sets and removes, and how a shell evaluates both.

Every variable that would point a command to a real cloud, cluster or backend is removed, and the clouds' tools find no
credentials in files.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rehearsal.atomic_file import write_if_changed
from rehearsal.toolchain import search_path

# Prefixes of variables that point the clouds' tools, kubectl, Helm, Pulumi or its secrets providers to real systems.
_REAL = (
    "AWS_",
    "ARM_",
    "AZURE_",
    "CLOUDSDK_",
    "GOOGLE_",
    "HELM_KUBE",
    "IDENTITY_",
    "KUBECONFIG",
    "KUBE_",
    "MSI_",
    "PULUMI_ACCESS_TOKEN",
    "PULUMI_API",
    "PULUMI_BACKEND_URL",
    "PULUMI_CONFIG_PASSPHRASE",
    "VAULT_",
)
# Programs that work on the rehearsal in a shell.
PROGRAMS = ("pulumi", "kubectl", "helm")

# The engine's options are not inherited; in the shell, people may set them.
_OPTIONS = "PULUMI_"

# With this variable, every run compiles the clouds' SDKs again, which takes five seconds.
_SLOW = "PYTHONDONTWRITEBYTECODE"


@dataclass(frozen=True)
class RehearsalEnvironment:
    """
    stack      the stack that is rehearsed
    variables  the variables to set
    path       the first folders on PATH
    """

    stack: str
    variables: Mapping[str, str]
    path: Sequence[str]

    def extend(self, environment: Mapping[str, str]) -> dict[str, str]:
        """An environment with the rehearsal's variables, and without the engine's options."""
        return self.correct({key: value for key, value in environment.items() if not key.startswith((_OPTIONS, _SLOW))})

    def correct(self, environment: Mapping[str, str]) -> dict[str, str]:
        """An environment with all of the rehearsal's variables restored; the engine's options in it are retained."""
        kept = {key: value for key, value in environment.items() if not key.startswith(_REAL)}
        others = [folder for folder in search_path(environment).split(os.pathsep) if folder not in self.path]
        return {**kept, **self.variables, "PATH": os.pathsep.join([*self.path, *others])}

    def find_lost(self, environment: Mapping[str, str]) -> list[str]:
        """The variables of an environment that differ from the rehearsal's."""
        changed = {key for key, value in self.variables.items() if environment.get(key) != value}
        real = {key for key in environment if key.startswith(_REAL) and key not in self.variables}
        return sorted(changed | real)

    def write(self, file: Path) -> None:
        write_if_changed(file, json.dumps(asdict(self)))

    @classmethod
    def read(cls, file: Path) -> RehearsalEnvironment:
        return cls(**json.loads(file.read_text()))

    def sh_script(self) -> str:
        """A script that gives a POSIX shell this environment, regardless of the variables that it has set."""
        return "\n".join(
            [
                f'for _name in $({_list_names((*_REAL, _OPTIONS))}); do unset "$_name"; done; unset _name',
                # A user's alias or function would be found before the programs on PATH.
                *(f"unalias {program} 2>/dev/null || :; unset -f {program} || :" for program in PROGRAMS),
                *(f"export {key}={shlex.quote(value)}" for key, value in sorted(self.variables.items())),
                # The folders are first on PATH, and only once, even if this is evaluated several times.
                '_path=":$PATH:"',
                f"for _folder in {shlex.join(self.path)}; do",
                '  while case "$_path" in *":$_folder:"*) true ;; *) false ;; esac; do',
                '    _path=${_path%%":$_folder:"*}:${_path#*":$_folder:"}',
                "  done",
                "done",
                "_path=${_path#:}",
                f'export PATH={shlex.quote(os.pathsep.join(self.path))}:"${{_path%:}}"; unset _path _folder',
            ]
        )

    def sh_check(self) -> str:
        """A script with which a POSIX shell prints the variables that it has lost, each after a space."""
        ours = " ".join(self.variables)
        return "\n".join(
            [
                *(
                    f'[ "${{{key}-}}" = {shlex.quote(value)} ] || printf " {key}"'
                    for key, value in sorted(self.variables.items())
                ),
                f'[ "$(command -v pulumi)" = {shlex.quote(self.path[0] + "/pulumi")} ] || printf " PATH"',
                f"for _name in $({_list_names(_REAL)}); do",
                f'  case " {ours} " in *" $_name "*) ;; *) printf " %s" "$_name" ;; esac',
                "done",
            ]
        )

    def fish_script(self) -> str:
        """The same for fish. A variable that a universal one would restore is hidden by one that is not exported."""
        names = f"(set --names --export | string match --regex '^(?:{'|'.join((*_REAL, _OPTIONS))}).*')"
        return "\n".join(
            [
                f"functions --erase {' '.join(PROGRAMS)} 2>/dev/null",
                f"for name in {names}",
                "  set --erase --global $name",
                "  set --query $name; and set --global --unexport $name ''",
                "end",
                *(f"set --global --export {key} {_quote_fish(value)}" for key, value in sorted(self.variables.items())),
                f"for folder in {' '.join(map(_quote_fish, self.path))}",
                "  while set --local at (contains --index -- $folder $PATH); set --erase PATH[$at]; end",
                "end",
                f"set --global --export PATH {' '.join(map(_quote_fish, self.path))} $PATH",
            ]
        )

    def fish_check(self) -> str:
        """A script with which fish prints the variables that it has lost, one per line."""
        lines = [
            f'test "${key}" = {_quote_fish(value)}; or echo {key}' for key, value in sorted(self.variables.items())
        ]
        names = f"(set --names --export | string match --regex '^(?:{'|'.join(_REAL)}).*')"
        return "\n".join(
            [
                *lines,
                "set --local found (command --search pulumi)",
                f'test "$found" = {_quote_fish(self.path[0] + "/pulumi")}; or echo PATH',
                f"for name in {names}",
                f"  contains $name {' '.join(self.variables)}; or echo $name",
                "end",
            ]
        )


def _quote_fish(value: str) -> str:
    """Source: https://fishshell.com/docs/current/language.html#quotes"""
    return "'{}'".format(value.replace("\\", "\\\\").replace("'", "\\'"))


def _list_names(prefixes: Sequence[str]) -> str:
    """A command that prints the names of exported variables with one of these prefixes."""
    return f"command env | command sed -n -E 's/^(({'|'.join(prefixes)})[A-Za-z0-9_]*)=.*/\\1/p'"
