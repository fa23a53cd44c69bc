"""The terms of the serving contract, and the interpreter that fulfils them."""

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


class ContractSettings(BaseSettings):
    """Where a model is loaded for a check, and for how long; from `CONTRACT_*`."""

    model_config = SettingsConfigDict(env_prefix="CONTRACT_")

    python: Path | None = Field(
        None, description="interpreter of the serving environment; if unset, one with the contract's version on PATH"
    )
    timeout: float = Field(120.0, gt=0, description="seconds for loading the model and predicting")


class Contract(BaseModel):
    """The content of `environment.yaml`.

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
        """The libraries as pip requirements: `numpy==2.4.6`."""
        return [f"{name}=={version}" for name, version in self.libraries.items()]

    def check_environment(self, subject: str, python: str, libraries: Mapping[str, str]) -> None:
        """Compare an environment with the contract; libraries that the contract does not name are ignored.

        `subject` starts the message. Raises ContractError that names both versions.
        """
        if minor_version(python) != self.python:
            raise ContractError(
                f"{subject} has Python {python}, the serving contract requires {self.python}. Train with Python "
                f"{self.python}, or change the contract and both images together."
            )
        for name, required in self.libraries.items():
            version = libraries.get(name, required)
            if version != required:
                raise ContractError(
                    f"{subject} has {name} {version}, the serving contract requires {required}. Train with {name} "
                    f"{required}, or change the contract and both images together."
                )


@cache
def load() -> Contract:
    """The contract of this installation."""
    return Contract.model_validate(yaml.safe_load(read_text()))


def read_text() -> str:
    """The contract's file with its comments, as a training run logs it."""
    return files("lifecycle.contract").joinpath("environment.yaml").read_text()


def find_interpreter(contract: Contract, settings: ContractSettings) -> Path:
    """The Python that loads models: CONTRACT_PYTHON, else this one if it fits, else the one on PATH.

    Raises ContractError if there is none.
    """
    if settings.python is not None:
        program = shutil.which(settings.python)
        if program is None:
            raise ContractError(
                f"CONTRACT_PYTHON is {settings.python}, which is not an executable. "
                "Set it to an interpreter, or unset it."
            )
        return Path(program)
    if minor_version(sys.version.split()[0]) == contract.python:
        return Path(sys.executable)
    on_path = shutil.which(f"python{contract.python}")
    if on_path is None:
        raise ContractError(
            f"This is Python {sys.version.split()[0]}, the serving contract requires {contract.python}, and "
            f"python{contract.python} is not on PATH. Set CONTRACT_PYTHON to the serving environment's interpreter."
        )
    return Path(on_path)


def minor_version(version: str) -> str:
    """`3.11` of `3.11.7`."""
    return ".".join(version.split(".")[:2])


def parse_pins(requirements: str) -> dict[str, str]:
    """Exact versions in the text of a requirements file, keyed by normalized name."""
    pins = (_PIN.match(line) for line in requirements.splitlines())
    return {pin[1].lower().replace("_", "-"): pin[2] for pin in pins if pin}
