"""What a rehearsal needs to know of the Pulumi project that it rehearses: `rehearsal.yaml` at the project's root."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from kernel import stack_file
from kernel.stack_file import StackFile
from kernel.stack_names import list_stacks
from kernel.yaml_document import DocumentError, read_mapping
from rehearsal.console import UserError

DESCRIPTION = "rehearsal.yaml"
_PROJECT = "Pulumi.yaml"

SettingsCheck = Callable[[StackFile, str], object]
"""Takes the content of a stack's file and the stack's name; raises ValueError."""

SettingsComparison = Callable[[StackFile, str, Mapping[str, Any], Collection[str]], str]
"""Takes also the settings of the last deployment (`kernel.deployed_settings`), and those that may lose data.

Returns lines about what changes, or nothing; raises ValueError when it must not.
"""

SettingsCauses = Callable[[StackFile, str, Mapping[str, str]], str]
"""Takes also a cloud's refusals by the logical name of the resource; returns lines about settings, or nothing."""

CostSettings = Callable[[StackFile, str], tuple[float, Mapping[str, float]]]
"""Returns the monthly budget, 0 for none, and assumptions about a month by name; raises ValueError."""


@dataclass(frozen=True)
class ScenarioSettings:
    """
    account      setting that stacks have in common which can stand in one account, `section.name` or `name`
    admins       somebody who may administer a cluster, by the value of that setting
    unprotected  settings, by their paths, with which a stack can be destroyed
    changed      settings, by their paths, with which something in the cluster changes: an update has to reach its API
    earlier      settings, by their paths, with the versions before the stack's own, by the value of `account`
    sold_out     a size of machines that a stack needs, by the value of `account`
    in_stock     settings, by their paths, with which it does without that size, likewise
    grown        what a cloud lets grow, as `type path`, by the path of the setting that has to follow it
    interrupted  stacks that are interrupted at any point, which takes long; none: all of them
    table        page of the project with how scenarios ended; None: they write none
    """

    account: str = ""
    admins: Mapping[str, str] = field(default_factory=dict)
    unprotected: Mapping[str, Any] = field(default_factory=dict)
    changed: Mapping[str, Any] = field(default_factory=dict)
    earlier: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sold_out: Mapping[str, str] = field(default_factory=dict)
    in_stock: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    grown: Mapping[str, str] = field(default_factory=dict)
    interrupted: Sequence[str] = ()
    table: Path | None = None


@dataclass(frozen=True)
class Project:
    """A Pulumi project to rehearse.

    root           folder of Pulumi.yaml and rehearsal.yaml
    name           name in Pulumi.yaml, which is also the namespace of its settings
    stacks         folder of Pulumi.<stack>.yaml
    settings       entry point that checks a stack's settings, `package.module:function`; empty: only the program does
    changes        entry point that compares settings with those of the last deployment; empty: they are not compared
    causes         entry point that finds settings which may be the cause of a refusal; empty: none are named
    cost           entry point that says budget and assumptions for estimates of cost; empty: there is neither
    registered     entry point that lists the resource providers of a prepared Azure subscription; empty: all are
    policy_pack    folder of the policy pack; None: no policies
    charts         YAML file with version, repository and digest of each Helm chart, by name; None: no charts are pinned
    lifecycle      Python package whose model lifecycle can be rehearsed; None: there is none
    gitops         folder that a GitOps repository of the platform starts with; None: there is none
    gitops_url     path of the setting with the repository's URL, `section.name`; empty: there is none
    scenarios      what scenarios have to know of the settings
    callers        paths of the settings, `section.name`, that let people in: `public` and `private` address blocks from
                   which the Kubernetes API is reached, and `admins`, roles or groups that administer the cluster
    metrics        folder of files that list what exposes which metrics; None: alerts are not compared with them
    given_secrets  names of secrets, or ends of them, that people put into the cloud's store before a deployment
    """

    root: Path
    name: str
    stacks: Path
    settings: str = ""
    changes: str = ""
    causes: str = ""
    cost: str = ""
    registered: str = ""
    policy_pack: Path | None = None
    charts: Path | None = None
    lifecycle: Path | None = None
    gitops: Path | None = None
    metrics: Path | None = None
    gitops_url: str = ""
    given_secrets: Sequence[str] = ()
    callers: Mapping[str, str] = field(default_factory=dict)
    scenarios: ScenarioSettings = field(default_factory=ScenarioSettings)

    @property
    def rehearsals(self) -> Path:
        """Folder of what rehearsals of this project leave behind."""
        return self.root / ".groundwork" / "rehearsals"

    @property
    def stack_names(self) -> list[str]:
        """Names of the stacks that have settings."""
        return list_stacks(self.stacks)

    def stack_file(self, stack: str) -> Path:
        """The file of a stack's settings."""
        return self.stacks / f"Pulumi.{stack}.yaml"

    def read_stack_file(self, stack: str) -> StackFile:
        """The content of a stack's file, read as the engine reads it. Raises UserError with all that is wrong in it."""
        path = self.stack_file(stack)
        try:
            return stack_file.read(path, self.name, self.shorten(path))
        except DocumentError as error:
            raise UserError(str(error)) from None

    def require(self, key: str) -> Path:
        """A path of the description that a command cannot do without. Raises UserError when it is not set."""
        path: Path | None = getattr(self, key)
        if path is None:
            raise UserError(f"{self.root / DESCRIPTION} does not set '{key}', which this command needs.")
        return path

    def shorten(self, path: Path) -> str:
        """A path as people write it: relative to the project where it is inside."""
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def settings_check(self) -> SettingsCheck | None:
        """The project's own check of its settings. Raises UserError when the entry point does not exist."""
        return cast("SettingsCheck | None", self._load_entry_point("settings", self.settings))

    def settings_comparison(self) -> SettingsComparison | None:
        """The project's own comparison of settings. Raises UserError when the entry point does not exist."""
        return cast("SettingsComparison | None", self._load_entry_point("changes", self.changes))

    def settings_causes(self) -> SettingsCauses | None:
        """The project's own search for causes. Raises UserError when the entry point does not exist."""
        return cast("SettingsCauses | None", self._load_entry_point("causes", self.causes))

    def cost_settings(self) -> CostSettings | None:
        """The project's budget and assumptions. Raises UserError when the entry point does not exist."""
        return cast("CostSettings | None", self._load_entry_point("cost", self.cost))

    def registered_providers(self) -> Collection[str] | None:
        """The resource providers of a prepared subscription; None where the project does not say."""
        function = cast("Callable[[], Collection[str]] | None", self._load_entry_point("registered", self.registered))
        return function() if function else None

    def _load_entry_point(self, key: str, entry_point: str) -> object:
        if not entry_point:
            return None
        if str(self.root) not in sys.path:
            sys.path.insert(0, str(self.root))
        module, _, function = entry_point.partition(":")
        try:
            return getattr(import_module(module), function)
        except (ImportError, AttributeError) as error:
            raise UserError(f"{DESCRIPTION}: {key} = '{entry_point}' is not `module:function`: {error}") from None


def load(root: Path) -> Project:
    """The project in a folder. Raises UserError with what is wrong in its description."""
    description = _mapping(root / DESCRIPTION)
    folders = {"stacks", "policy_pack", "charts", "lifecycle", "gitops", "metrics"}
    texts = {"settings", "changes", "causes", "cost", "registered", "gitops_url"}
    lists = {"given_secrets"}
    mappings = {"callers", "scenarios"}
    unknown = set(description) - folders - texts - lists - mappings
    if unknown:
        known = ", ".join(sorted(folders | texts | lists | mappings))
        raise UserError(f"{root / DESCRIPTION}: '{min(unknown)}' is not a key; remove it. The keys are {known}.")
    paths = {key: root / str(description[key]) for key in folders if key in description}
    for key, path in paths.items():
        if not path.exists():
            raise UserError(
                f"{root / DESCRIPTION}: {key} = '{description[key]}' does not exist. Name an existing path."
            )
    name = _mapping(root / _PROJECT).get("name")
    if not name:
        raise UserError(f"{root / _PROJECT} names no project: set `name`.")
    values = {key: str(description.get(key, "")) for key in texts}
    return Project(
        root,
        str(name),
        settings=values["settings"],
        changes=values["changes"],
        causes=values["causes"],
        cost=values["cost"],
        registered=values["registered"],
        gitops_url=values["gitops_url"],
        callers=_read_callers(root, description.get("callers", {})),
        scenarios=_read_scenarios(root, description.get("scenarios", {})),
        given_secrets=tuple(map(str, description.get("given_secrets", ()))),
        **{"stacks": root, **paths},
    )


def _read_callers(root: Path, value: Any) -> Mapping[str, str]:
    keys = ("public", "private", "admins")
    if not isinstance(value, Mapping) or not set(value) <= set(keys):
        rule = f"Map some of {', '.join(keys)} to settings."
        raise UserError(f"{root / DESCRIPTION}: callers = {value!r} is wrong. {rule}")
    return {str(key): str(path) for key, path in value.items()}


def _read_scenarios(root: Path, value: Any) -> ScenarioSettings:
    texts = ("account", "table")
    mappings = ("admins", "unprotected", "changed", "earlier", "sold_out", "in_stock", "grown")
    kinds = {**dict.fromkeys(texts, str), **dict.fromkeys(mappings, Mapping), "interrupted": list}
    if not isinstance(value, Mapping) or not all(isinstance(value[key], kinds.get(key, ())) for key in value):
        rule = (
            f"Set some of {' and '.join(texts)}, which are texts, {', '.join(mappings)}, which are mappings, and "
            "interrupted, which is a list of stacks."
        )
        raise UserError(f"{root / DESCRIPTION}: scenarios = {value!r} is wrong. {rule}")
    table = root / value["table"] if "table" in value else None
    return ScenarioSettings(**{**value, "table": table})


@cache
def find(folder: Path) -> Project:
    """The project that a folder belongs to: the nearest one with a description, upwards."""
    for root in (folder, *folder.parents):
        if (root / DESCRIPTION).is_file():
            return load(root)
    raise UserError(f"There is no {DESCRIPTION} in {folder} or above it. Run this in a project that has one.")


def current() -> Project:
    """The project of the current directory."""
    return find(Path.cwd())


def _mapping(path: Path) -> dict[str, Any]:
    try:
        return read_mapping(path)
    except DocumentError as error:
        raise UserError(str(error)) from None
