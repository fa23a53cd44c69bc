"""Starts a user's shell in a rehearsal's environment.

Startup files export variables that people need elsewhere: KUBECONFIG, PATH, profiles of real accounts. They run first,
and the rehearsal's environment is set after them. Before each prompt, the shell checks that it still has that
environment, and prints a warning in red if it does not. How each shell finds its startup files: bash(1) INVOCATION,
zsh(1) STARTUP/SHUTDOWN FILES, fish(1) --init-command, and ENV in
https://pubs.opengroup.org/onlinepubs/9799919799/utilities/sh.html
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rehearsal.atomic_file import write_if_changed
from rehearsal.engine.environment import RehearsalEnvironment

_RED, _GREEN, _PLAIN = "\\033[31m", "\\033[32m", "\\033[0m"

# Fails if the environment is lost, and prints a message the first time; after that, only the prompt shows it. A plain
# sh runs this in a subprocess that cannot remember, so it prints the message each time.
_CHECK = """
_rehearsal_lost() {{
{check}
}}
_rehearsal_check() {{
  _rehearsal_names=$(_rehearsal_lost)
  if [ -n "$_rehearsal_names" ] && [ "$_rehearsal_names" != "${{_rehearsal_reported-}}" ]; then
    printf '{red}%s{plain}\\n' \
      "This shell is no longer in the rehearsal of {stack}:$_rehearsal_names changed." {remedy} >&2
  fi
  _rehearsal_reported=$_rehearsal_names
  [ -z "$_rehearsal_names" ]
}}
"""

_BASH = """
if [ -f ~/.bashrc ]; then . ~/.bashrc; fi
cd {project}
. {environment}
{check}
_rehearsal_prompt() {{
  local status=$?
  PS1=${{PS1#"$_rehearsal_shown"}}
  if _rehearsal_check; then
    _rehearsal_shown='\\[{green}\\](rehearsal {stack})\\[{plain}\\] '
  else
    _rehearsal_shown='\\[{red}\\](NOT rehearsal {stack})\\[{plain}\\] '
  fi
  PS1=$_rehearsal_shown$PS1
  return $status
}}
_rehearsal_shown=
if [[ "$(declare -p PROMPT_COMMAND 2>/dev/null)" == "declare -a"* ]]; then
  PROMPT_COMMAND+=(_rehearsal_prompt)
else
  PROMPT_COMMAND=${{PROMPT_COMMAND:+$PROMPT_COMMAND$'\\n'}}_rehearsal_prompt
fi
"""

# The startup files that an interactive zsh reads; the user's own are in another folder.
_ZSH_ENV = """
ZDOTDIR=${{_REHEARSAL_ZDOTDIR:-$HOME}}
if [[ -f $ZDOTDIR/.zshenv ]]; then . "$ZDOTDIR/.zshenv"; fi
_REHEARSAL_ZDOTDIR=$ZDOTDIR
ZDOTDIR={folder}
"""
_ZSH = """
ZDOTDIR=$_REHEARSAL_ZDOTDIR
unset _REHEARSAL_ZDOTDIR
if [[ $HISTFILE == {folder}/* ]]; then HISTFILE=$ZDOTDIR/.zsh_history; fi
if [[ -f $ZDOTDIR/.zshrc ]]; then . "$ZDOTDIR/.zshrc"; fi
cd {project}
. {environment}
{check}
_rehearsal_prompt() {{
  PROMPT=${{PROMPT#"$_rehearsal_shown"}}
  if _rehearsal_check; then
    _rehearsal_shown='%F{{green}}(rehearsal {stack})%f '
  else
    _rehearsal_shown='%F{{red}}(NOT rehearsal {stack})%f '
  fi
  PROMPT=$_rehearsal_shown$PROMPT
}}
_rehearsal_shown=
precmd_functions+=(_rehearsal_prompt)
"""

_SH = """
if [ -f {user_file} ]; then . {user_file}; fi
cd {project}
. {environment}
{check}
_rehearsal_prompt() {{
  if _rehearsal_check; then
    printf '{green}(rehearsal {stack}){plain} '
  else
    printf '{red}(NOT rehearsal {stack}){plain} '
  fi
}}
PS1='$(_rehearsal_prompt)'$PS1
"""

_FISH = """
cd {project}
{environment}
function _rehearsal_lost
{check}
end
functions --query fish_prompt; and functions --copy fish_prompt _rehearsal_user_prompt
function fish_prompt
  set --local names (_rehearsal_lost)
  if test -n "$names"
    if test "$names" != "$_rehearsal_reported"
      printf '{red}%s{plain}\\n' "This shell is no longer in the rehearsal of {stack}: $names changed." {remedy} >&2
    end
    set_color red
    echo -n '(NOT rehearsal {stack}) '
  else
    set_color green
    echo -n '(rehearsal {stack}) '
  end
  set --global _rehearsal_reported "$names"
  set_color normal
  functions --query _rehearsal_user_prompt; and _rehearsal_user_prompt; or echo -n '> '
end
"""


@dataclass(frozen=True)
class ShellStart:
    """
    command       what to run
    variables     the environment to run it in
    is_protected  whether startup files cannot override the rehearsal's environment
    """

    command: list[str]
    variables: dict[str, str]
    is_protected: bool


def prepare_shell(
    shell: str,
    environment: RehearsalEnvironment,
    script: Path,
    folder: Path,
    project: Path,
    inherited: Mapping[str, str],
) -> ShellStart:
    """Write the startup files for a shell.

    shell      its path
    script     sets the environment in a POSIX shell
    folder     for the startup files
    project    the folder in which the shell starts, even if the user's startup files change to another one
    inherited  the environment of this process
    """
    folder.mkdir(exist_ok=True)
    variables = environment.extend(inherited)
    remedy = f"Return to it with `. {script}`; `pulumi` still works on it, other programs may not."
    values = {
        "stack": environment.stack,
        "environment": shlex.quote(str(script)),
        "folder": shlex.quote(str(folder)),
        "project": shlex.quote(str(project)),
        "red": _RED,
        "green": _GREEN,
        "plain": _PLAIN,
    }
    values["check"] = _CHECK.format(**{**values, "check": environment.sh_check(), "remedy": shlex.quote(remedy)})
    match Path(shell).name:
        case "bash":
            file = folder / "bashrc"
            write_if_changed(file, _BASH.format(**values))
            return ShellStart([shell, "--rcfile", str(file), "-i"], variables, True)
        case "zsh":
            write_if_changed(folder / ".zshenv", _ZSH_ENV.format(**values))
            write_if_changed(folder / ".zshrc", _ZSH.format(**values))
            own = {"ZDOTDIR": str(folder), "_REHEARSAL_ZDOTDIR": inherited.get("ZDOTDIR", "")}
            return ShellStart([shell, "-i"], {**variables, **own}, True)
        case "fish":
            file = folder / "config.fish"
            script_text = environment.fish_script()
            remedy = f"Return to it with `source {file}`; `pulumi` still works on it, other programs may not."
            values |= {"environment": script_text, "check": environment.fish_check(), "remedy": shlex.quote(remedy)}
            write_if_changed(file, _FISH.format(**values))
            return ShellStart([shell, "--init-command", f"source {shlex.quote(str(file))}", "-i"], variables, True)
        case "sh" | "dash" | "ash" | "ksh" | "mksh":
            file = folder / "shrc"
            # ENV may hold variables, which the shell expands.
            write_if_changed(file, _SH.format(**values, user_file=f'"{inherited.get("ENV", "")}"'))
            return ShellStart([shell, "-i"], {**variables, "ENV": str(file)}, True)
        case _:
            return ShellStart([shell], variables, False)
