"""A model's folder, read without loading the model: nothing here runs code from the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lifecycle.contract.environment import Contract, parse_pins
from lifecycle.contract.errors import ContractError

_LOADER = "mlflow.sklearn"  # MLflow imports the module that a model names here, so no other is accepted


@dataclass(frozen=True)
class Artifact:
    """A model that may be loaded.

    folder   contains the file MLmodel
    inputs   names of the features, in the signature's order
    """

    folder: Path
    inputs: list[str]


def admit(folder: Path, contract: Contract) -> Artifact:
    """Check a model's own description against the contract.

    Raises ContractError for a folder without a model, an untrusted format or type, code in the folder, another Python
    or library version, a missing signature or input example.
    """
    description = _read_description(folder)
    flavors = _mapping(description.get("flavors"))
    pyfunc, sklearn = _mapping(flavors.get("python_function")), _mapping(flavors.get("sklearn"))
    _reject_untrusted(folder, pyfunc, sklearn, contract)
    libraries = {**_read_requirements(folder), "scikit-learn": str(sklearn.get("sklearn_version"))}
    contract.check_environment(f"The model in {folder.name}", str(pyfunc.get("python_version")), libraries)
    if not _mapping(description.get("saved_input_example_info")):
        raise _error(folder, "has no input example to predict. Log it with input_example=...")
    return Artifact(folder, _read_inputs(folder, description))


def _read_description(folder: Path) -> Mapping[str, Any]:
    try:
        description = yaml.safe_load((folder / "MLmodel").read_text())
    except FileNotFoundError:
        raise _error(folder, "has no file MLmodel: its artifact is missing or incomplete. Train it again") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError):
        raise _error(folder, "has an unreadable file MLmodel: its artifact is corrupt. Train it again") from None
    return _mapping(description)


def _reject_untrusted(folder: Path, pyfunc: Mapping[str, Any], sklearn: Mapping[str, Any], contract: Contract) -> None:
    if pyfunc.get("loader_module") != _LOADER or pyfunc.get("code") or sklearn.get("code"):
        raise _error(
            folder,
            f"is loaded by {pyfunc.get('loader_module')!r} with code {pyfunc.get('code')!r}; the serving contract "
            f"allows only {_LOADER!r}, and no code of the model's own. Log it with mlflow.sklearn, without code_paths",
        )
    if sklearn.get("serialization_format") != contract.format:
        raise _error(
            folder,
            f"is saved as {sklearn.get('serialization_format')!r}, the serving contract requires {contract.format!r}: "
            f"loading another format can run any code. Log it with serialization_format={contract.format!r}",
        )
    untrusted = sorted(set(sklearn.get("skops_trusted_types") or ()) - set(contract.trusted_types))
    if untrusted:
        raise _error(
            folder,
            f"requests trust for {', '.join(untrusted)}; the serving contract trusts "
            f"{', '.join(contract.trusted_types)}. Add a type to the contract only if you know what loading it does",
        )
    _reject_outside_file(folder, str(pyfunc.get("model_path")))


def _reject_outside_file(folder: Path, name: str) -> None:
    weights = (folder / name).resolve()
    if not weights.is_relative_to(folder.resolve()):
        raise _error(folder, f"refers to the file {name} outside its own folder. Log it again")
    if not weights.is_file():
        raise _error(folder, f"lacks its file {name}: the artifact is incomplete. Train it again")


def _read_requirements(folder: Path) -> dict[str, str]:
    path = folder / "requirements.txt"
    return parse_pins(path.read_text()) if path.is_file() else {}


def _read_inputs(folder: Path, description: Mapping[str, Any]) -> list[str]:
    signature = _mapping(description.get("signature"))
    columns = yaml.safe_load(str(signature.get("inputs") or "[]"))
    names = [str(column["name"]) for column in columns if isinstance(column, dict) and "name" in column]
    if not names or not signature.get("outputs"):
        raise _error(folder, "has no signature with named inputs and an output. Log it with infer_signature(...)")
    return names


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _error(folder: Path, problem: str) -> ContractError:
    return ContractError(f"The model in {folder.name} {problem}.")
