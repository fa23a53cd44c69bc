"""A model's folder, read without loading the model: nothing in here runs code that came with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lifecycle.contract.environment import Contract, pins
from lifecycle.contract.errors import ContractError

_LOADER = "mlflow.sklearn"  # another loader module would be imported, so it could be anything


@dataclass(frozen=True)
class Artifact:
    """A model that may be loaded.

    folder   where MLmodel stands
    inputs   names of the features, in the signature's order
    """

    folder: Path
    inputs: list[str]


def admit(folder: Path, contract: Contract) -> Artifact:
    """Read what the model says of itself and hold it against the contract.

    Raises ContractError for a folder that is no model, a format or type that is not trusted, code of its own,
    another Python or library, no signature, no input example.
    """
    description = _description(folder)
    flavors = _mapping(description.get("flavors"))
    pyfunc, sklearn = _mapping(flavors.get("python_function")), _mapping(flavors.get("sklearn"))
    _refuse_foreign_code(folder, pyfunc, sklearn, contract)
    libraries = {**_declared(folder), "scikit-learn": str(sklearn.get("sklearn_version"))}
    contract.compare(f"The model in {folder.name}", str(pyfunc.get("python_version")), libraries)
    if not _mapping(description.get("saved_input_example_info")):
        raise _refusal(folder, "has no input example, so it cannot be tried. Log it with one")
    return Artifact(folder, _inputs(folder, description))


def _description(folder: Path) -> Mapping[str, Any]:
    try:
        description = yaml.safe_load((folder / "MLmodel").read_text())
    except FileNotFoundError:
        raise _refusal(folder, "has no file MLmodel: its artifact is missing or incomplete. Train it again") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError):
        raise _refusal(
            folder, "has a file MLmodel that cannot be read: its artifact is corrupt. Train it again"
        ) from None
    return _mapping(description)


def _refuse_foreign_code(
    folder: Path, pyfunc: Mapping[str, Any], sklearn: Mapping[str, Any], contract: Contract
) -> None:
    if pyfunc.get("loader_module") != _LOADER or pyfunc.get("code") or sklearn.get("code"):
        raise _refusal(
            folder,
            f"is loaded by {pyfunc.get('loader_module')!r} with code {pyfunc.get('code')!r}; the serving contract "
            f"says {_LOADER!r}, and no code that comes with a model. Log it with mlflow.sklearn, without code_paths",
        )
    if sklearn.get("serialization_format") != contract.format:
        raise _refusal(
            folder,
            f"is saved as {sklearn.get('serialization_format')!r}, the serving contract says {contract.format!r}: "
            f"loading anything else can run any code. Log it with serialization_format={contract.format!r}",
        )
    strangers = sorted(set(sklearn.get("skops_trusted_types") or ()) - set(contract.trusted_types))
    if strangers:
        raise _refusal(
            folder,
            f"asks to trust {', '.join(strangers)}; the serving contract trusts {', '.join(contract.trusted_types)}. "
            "Add a type to the contract only when you know what it does on loading",
        )
    _refuse_stray_file(folder, str(pyfunc.get("model_path")))


def _refuse_stray_file(folder: Path, name: str) -> None:
    weights = (folder / name).resolve()
    if not weights.is_relative_to(folder.resolve()):
        raise _refusal(folder, f"names the file {name}, outside its own folder. Log it again")
    if not weights.is_file():
        raise _refusal(folder, f"lacks its file {name}: the artifact is incomplete. Train it again")


def _declared(folder: Path) -> dict[str, str]:
    path = folder / "requirements.txt"
    return pins(path.read_text()) if path.is_file() else {}


def _inputs(folder: Path, description: Mapping[str, Any]) -> list[str]:
    signature = _mapping(description.get("signature"))
    columns = yaml.safe_load(str(signature.get("inputs") or "[]"))
    names = [str(column["name"]) for column in columns if isinstance(column, dict) and "name" in column]
    if not names or not signature.get("outputs"):
        raise _refusal(folder, "has no signature with named inputs and an output. Log it with infer_signature(...)")
    return names


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _refusal(folder: Path, problem: str) -> ContractError:
    return ContractError(f"The model in {folder.name} {problem}.")
