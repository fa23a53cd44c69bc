"""The serving contract as a value, and the interpreter that fulfils it."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from lifecycle.contract.errors import ContractError

_PIN = re.compile(r"^\s*([A-Za-z0-9._-]+)\s*==\s*([^\s;]+)")


class Settings(BaseSettings):
    """Where and how long a model is tried; from `CONTRACT_PYTHON` and `CONTRACT_PATIENCE`."""

    model_config = SettingsConfigDict(env_prefix="CONTRACT_")

    python: Path | None = Field(
        None, description="interpreter of the serving environment; found by version where unset"
    )
    patience: float = Field(120.0, gt=0, description="seconds that loading and predicting may take")


class Contract(BaseModel):
    """What `environment.yaml` says.

    python         minor version: `3.11`
    libraries      exact versions by distribution name
    format         the one serialization format that is loaded
    trusted_types  types that skops may build beyond its own list
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    python: str
    libraries: Mapping[str, str]
    format: str
    trusted_types: tuple[str, ...]

    @property
    def requirements(self) -> list[str]:
        """The libraries as pip reads them: `numpy==2.4.6`."""
        return [f"{name}=={version}" for name, version in self.libraries.items()]

    def compare(self, who: str, python: str, libraries: Mapping[str, str]) -> None:
        """Hold an environment against the contract; libraries that the contract does not name do not matter.

        Raises ContractError that names both versions.
        """
        if minor(python) != self.python:
            raise ContractError(
                f"{who} has Python {python}, the serving contract says {self.python}. Train under Python "
                f"{self.python}, "
                "or change the contract and both images together."
            )
        for name, version in self.libraries.items():
            other = libraries.get(name, version)
            if other != version:
                raise ContractError(
                    f"{who} has {name} {other}, the serving contract says {version}. Train with {name} {version}, "
                    "or change the contract and both images together."
                )


@cache
def load() -> Contract:
    """The contract of this installation."""
    return Contract.model_validate(yaml.safe_load(text()))


def text() -> str:
    """The contract's file, comments and all: what a run keeps of its environment."""
    return files("lifecycle.contract").joinpath("environment.yaml").read_text()


def interpreter(contract: Contract, settings: Settings) -> Path:
    """The Python that models are tried with: the one set, else this one if it fits, else the one on PATH.

    Raises ContractError where there is none.
    """
    if settings.python is not None:
        found = shutil.which(settings.python)
        if found is None:
            raise ContractError(
                f"CONTRACT_PYTHON is {settings.python}, and that is not a program. Set it, or unset it."
            )
        return Path(found)
    if minor(sys.version.split()[0]) == contract.python:
        return Path(sys.executable)
    on_path = shutil.which(f"python{contract.python}")
    if on_path is None:
        raise ContractError(
            f"This is Python {sys.version.split()[0]}, the serving contract says {contract.python}, and there is no "
            f"python{contract.python} on PATH. Set CONTRACT_PYTHON to the serving environment's interpreter."
        )
    return Path(on_path)


def minor(version: str) -> str:
    """`3.11` of `3.11.7`."""
    return ".".join(version.split(".")[:2])


def pins(requirements: str) -> dict[str, str]:
    """Exact versions in the text of a requirements file, by name."""
    found = (_PIN.match(line) for line in requirements.splitlines())
    return {pin[1].lower().replace("_", "-"): pin[2] for pin in found if pin}
