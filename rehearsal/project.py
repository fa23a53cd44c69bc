"""The description of the Pulumi project that is rehearsed: `rehearsal.yaml` at the project's root."""

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
"""Also takes the settings of the last deployment (`kernel.deployed_settings`), and names of confirmed settings.

Returns lines that describe the changes, or nothing; raises ValueError if a change is not allowed.
"""

SettingsCauses = Callable[[StackFile, str, Mapping[str, str]], str]
"""Also takes a cloud's errors, keyed by logical name of the resource; returns lines about settings, or nothing."""

CostSettings = Callable[[StackFile, str], tuple[float, Mapping[str, float]]]
"""Returns the monthly budget (0 if there is none) and assumptions about a month, keyed by name; raises ValueError."""


@dataclass(frozen=True)
class ScenarioSettings:
    """
    account      setting whose value stacks in one account share, `section.name` or `name`
    admins       a principal who may administer a cluster, keyed by the value of that setting
    unprotected  settings, keyed by path, with which a stack can be destroyed
    changed      settings, keyed by path, that change something in the cluster, so that an update has to reach its API
    exceptions   patterns of resources, keyed by control, which `unprotected` needs exceptions for in production, for
                 each value of `account`
    earlier      settings, keyed by path, with the versions before the stack's own, for each value of `account`
    sold_out     a size of machines that a stack needs, for each value of `account`
    in_stock     settings, keyed by path, with which a stack does not need that size, for each value of `account`
    grown        properties that a cloud increases, as `type path`, keyed by path of the setting that has to follow
    interrupted  stacks that are interrupted at many points, which takes long; if empty, all of them
    table        page of the project with the results of scenarios; None: no page is written
    """

    account: str = ""
    admins: Mapping[str, str] = field(default_factory=dict)
    unprotected: Mapping[str, Any] = field(default_factory=dict)
    changed: Mapping[str, Any] = field(default_factory=dict)
    exceptions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
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
    cost           entry point that returns budget and assumptions for estimates of cost; empty: there is neither
    registered     entry point that lists the resource providers of a prepared Azure subscription; empty: all are
    policy_pack    folder of the policy pack; None: no policies
    charts         YAML file with version, repository and digest of Helm charts, by name; None: no charts are pinned
    lifecycle      Python package whose model lifecycle can be rehearsed; None: there is none
    gitops         folder that a GitOps repository of the platform starts with; None: there is none
    gitops_url     path of the setting with the repository's URL, `section.name`; empty: there is none
    scenarios      settings that scenarios use
    callers        paths of the settings, `section.name`, that grant access: `public` and `private` address blocks from
                   which the Kubernetes API is reachable, and `admins`, roles or groups that administer the cluster
    metrics        folder of files that list which workloads expose which metrics; None: alerts are not checked for them
    given_secrets  names of secrets, or their suffixes, that people put into the cloud's store before a deployment
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
        """Folder of the rehearsals of this project."""
        return self.root / ".groundwork" / "rehearsals"

    @property
    def stack_names(self) -> list[str]:
        """Names of the stacks that have settings."""
        return list_stacks(self.stacks)

    def stack_file(self, stack: str) -> Path:
        """The file of a stack's settings."""
        return self.stacks / f"Pulumi.{stack}.yaml"

    def read_stack_file(self, stack: str) -> StackFile:
        """The content of a stack's file, read as the engine reads it. Raises UserError with everything wrong in it."""
        path = self.stack_file(stack)
        try:
            return stack_file.read(path, self.name, self.shorten(path))
        except DocumentError as error:
            raise UserError(str(error)) from None

    def require(self, key: str) -> Path:
        """A path in the description that a command requires. Raises UserError if it is not set."""
        path: Path | None = getattr(self, key)
        if path is None:
            raise UserError(f"{self.root / DESCRIPTION} does not set '{key}', which this command needs.")
        return path

    def shorten(self, path: Path) -> str:
        """A path as people write it: relative to the project if it is inside the project."""
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def settings_check(self) -> SettingsCheck | None:
        """The project's own check of its settings. Raises UserError if the entry point does not exist."""
        return cast("SettingsCheck | None", self._load_entry_point("settings", self.settings))

    def settings_comparison(self) -> SettingsComparison | None:
        """The project's own comparison of settings. Raises UserError if the entry point does not exist."""
        return cast("SettingsComparison | None", self._load_entry_point("changes", self.changes))

    def settings_causes(self) -> SettingsCauses | None:
        """The project's own search for causes. Raises UserError if the entry point does not exist."""
        return cast("SettingsCauses | None", self._load_entry_point("causes", self.causes))

    def cost_settings(self) -> CostSettings | None:
        """The project's budget and assumptions. Raises UserError if the entry point does not exist."""
        return cast("CostSettings | None", self._load_entry_point("cost", self.cost))

    def registered_providers(self) -> Collection[str] | None:
        """The resource providers of a prepared subscription; None if the project does not list them."""
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
    """The project in a folder. Raises UserError if its description is not valid."""
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
        raise UserError(f"{root / _PROJECT} has no project name. Set `name`.")
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
        rule = f"Set it to a mapping of any of {', '.join(keys)} to paths of settings."
        raise UserError(f"{root / DESCRIPTION}: callers = {value!r} is not valid. {rule}")
    return {str(key): str(path) for key, path in value.items()}


def _read_scenarios(root: Path, value: Any) -> ScenarioSettings:
    texts = ("account", "table")
    mappings = ("admins", "unprotected", "exceptions", "changed", "earlier", "sold_out", "in_stock", "grown")
    kinds = {**dict.fromkeys(texts, str), **dict.fromkeys(mappings, Mapping), "interrupted": list}
    if not isinstance(value, Mapping) or not all(isinstance(value[key], kinds.get(key, ())) for key in value):
        rule = (
            f"Set it to a mapping with any of {' and '.join(texts)}, which are texts, {', '.join(mappings)}, which are "
            "mappings, and interrupted, which is a list of stacks."
        )
        raise UserError(f"{root / DESCRIPTION}: scenarios = {value!r} is not valid. {rule}")
    table = root / value["table"] if "table" in value else None
    return ScenarioSettings(**{**value, "table": table})


@cache
def find(folder: Path) -> Project:
    """The project that a folder belongs to: that of the nearest description in the folder or above it."""
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
