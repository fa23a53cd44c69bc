"""The serving contract admits a model that fits it, and rejects any other with the rule and both values.

Real parts: models saved by MLflow, interpreters in separate processes. Simulated: interpreters of another version,
which are scripts. Not proven here: that the images install the contract's versions; the images' tests do that.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import yaml
from mlflow.models import infer_signature
from packaging.markers import Marker
from sklearn.ensemble import RandomForestClassifier

from lifecycle import contract
from lifecycle.contract import ContractError, environment
from lifecycle.contract.environment import parse_pins

LOCK = Path(__file__).resolve().parents[2] / "requirements.txt"
TABLE = pd.DataFrame({"length": [1.0, 2.0, 3.0, 4.0], "width": [0.5, 0.4, 0.3, 0.2]})


class UntrustedForest(RandomForestClassifier):
    """A type that neither skops nor the contract trusts."""


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as training saves it."""
    folder = tmp_path_factory.mktemp("models") / "saved"
    save(folder, RandomForestClassifier(3, random_state=1))
    return folder


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


@pytest.fixture
def fake_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Installs a shell script as the serving environment's interpreter."""

    def write(script: str) -> None:
        path = tmp_path / "fake-python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("CONTRACT_PYTHON", str(path))

    return write


class NamedClasses(RandomForestClassifier):
    """Fitted to the names of two classes. Saved as the forest that it is."""

    def fit(self, table: pd.DataFrame, classes: list[int]) -> RandomForestClassifier:
        return RandomForestClassifier(3).fit(table, ["malignant" if each else "benign" for each in classes])


def save(folder: Path, classifier: RandomForestClassifier, **options: Any) -> None:
    fitted = classifier.fit(TABLE, [0, 0, 1, 1])
    terms = contract.load()
    defaults: dict[str, Any] = {
        "signature": infer_signature(TABLE, fitted.predict(TABLE)),
        "input_example": TABLE.head(2),
        "serialization_format": terms.format,
        "skops_trusted_types": list(terms.trusted_types),
        "pip_requirements": terms.requirements,
    }
    mlflow.sklearn.save_model(fitted, folder, **defaults | options)


def rewrite(model: Path, **flavor: Any) -> None:
    """Change the file MLmodel: `python_function__code="code"` sets `code` of that flavor."""
    path = model / "MLmodel"
    content = yaml.safe_load(path.read_text())
    for key, value in flavor.items():
        name, field = key.split("__")
        content["flavors"][name][field] = value
    path.write_text(yaml.safe_dump(content))


def rejection(model: Path | str) -> str:
    with pytest.raises(ContractError) as caught:
        contract.check(model)
    return str(caught.value)


def test_the_contract_equals_the_lock_and_what_is_installed() -> None:
    terms = contract.load()
    locked = parse_pins("\n".join(line for line in LOCK.read_text().splitlines() if applies_to(line, terms.python)))
    for name, version in terms.libraries.items():
        assert locked[name] == version == metadata.version(name), name


@pytest.mark.process
def test_a_model_that_fits_the_contract_passes(model: Path) -> None:
    contract.check(model)


def test_a_folder_without_a_model_is_rejected(tmp_path: Path) -> None:
    assert "has no file MLmodel: its artifact is missing or incomplete" in rejection(tmp_path)


def test_a_corrupt_description_is_rejected(model: Path) -> None:
    (model / "MLmodel").write_bytes(b"\x80\x05\x95 {{{")
    assert "unreadable file MLmodel: its artifact is corrupt" in rejection(model)


def test_missing_weights_are_rejected(model: Path) -> None:
    (model / "model.skops").unlink()
    assert "lacks its file model.skops" in rejection(model)


@pytest.mark.process
def test_corrupt_weights_are_rejected_by_loading_them(model: Path) -> None:
    whole = (model / "model.skops").read_bytes()
    (model / "model.skops").write_bytes(whole[: len(whole) // 2])
    assert "The model's artifact is corrupt, so it does not load (BadZipFile: " in rejection(model)


@pytest.mark.process
def test_a_model_that_does_not_predict_is_not_called_corrupt(tmp_path: Path) -> None:
    """It predicts names of classes, as its training data has them."""
    save(tmp_path / "model", NamedClasses(3))
    message = rejection(tmp_path / "model")
    assert "but does not predict: ValueError: could not convert string to float: " in message
    assert "corrupt" not in message


def test_a_pickle_is_rejected_without_opening_it(tmp_path: Path) -> None:
    save(tmp_path / "model", RandomForestClassifier(3), serialization_format="cloudpickle")
    (tmp_path / "model" / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    assert "is saved as 'cloudpickle', the serving contract requires 'skops'" in rejection(tmp_path / "model")


def test_a_model_cannot_widen_what_is_trusted(tmp_path: Path) -> None:
    untrusted = f"{UntrustedForest.__module__}.UntrustedForest"
    save(tmp_path / "model", UntrustedForest(3), skops_trusted_types=[*contract.load().trusted_types, untrusted])
    assert f"requests trust for {untrusted}; the serving contract trusts sklearn.tree._tree.Tree" in rejection(
        tmp_path / "model"
    )


@pytest.mark.process
def test_a_type_that_is_hidden_in_the_weights_is_not_built(tmp_path: Path) -> None:
    untrusted = f"{UntrustedForest.__module__}.UntrustedForest"
    save(tmp_path / "model", UntrustedForest(3), skops_trusted_types=[*contract.load().trusted_types, untrusted])
    rewrite(tmp_path / "model", sklearn__skops_trusted_types=list(contract.load().trusted_types))
    message = rejection(tmp_path / "model")
    assert "does not load in the serving environment" in message
    assert "UntrustedTypesFoundException" in message
    assert "corrupt" not in message


@pytest.mark.parametrize("change", [{"python_function__loader_module": "os"}, {"python_function__code": "code"}])
def test_code_that_comes_with_a_model_is_rejected(model: Path, change: dict[str, str]) -> None:
    rewrite(model, **change)
    assert "the serving contract allows only 'mlflow.sklearn', and no code of the model's own" in rejection(model)


def test_a_file_outside_the_models_folder_is_rejected(model: Path) -> None:
    rewrite(model, python_function__model_path="../elsewhere.skops")
    assert "refers to the file ../elsewhere.skops outside its own folder" in rejection(model)


def test_another_python_is_rejected_with_both_versions(model: Path) -> None:
    rewrite(model, python_function__python_version="3.10.4")
    assert "has Python 3.10.4, the serving contract requires 3.11" in rejection(model)


def test_another_library_is_rejected_with_both_versions(model: Path) -> None:
    (model / "requirements.txt").write_text("mlflow==3.17.2\nnumpy==1.26.4\n")
    assert f"has numpy 1.26.4, the serving contract requires {metadata.version('numpy')}" in rejection(model)


def test_another_scikit_learn_is_rejected_even_if_the_requirements_do_not_name_it(model: Path) -> None:
    rewrite(model, sklearn__sklearn_version="1.4.0")
    assert f"has scikit-learn 1.4.0, the serving contract requires {metadata.version('scikit-learn')}" in rejection(
        model
    )


def test_a_model_without_a_signature_is_rejected(tmp_path: Path) -> None:
    save(tmp_path / "model", RandomForestClassifier(3), signature=False)
    assert "has no signature with named inputs" in rejection(tmp_path / "model")


def test_a_model_without_an_input_example_is_rejected(tmp_path: Path) -> None:
    save(tmp_path / "model", RandomForestClassifier(3), input_example=None)
    assert "has no input example" in rejection(tmp_path / "model")


@pytest.mark.process
def test_predictions_that_are_not_finite_are_rejected(model: Path, tmp_path: Path, fake_interpreter: Any) -> None:
    fake_interpreter(always_respond(tmp_path, {"predictions": [float("nan")], **contract_versions()}))
    assert "predicts [nan], not a finite number for each row" in rejection(model)


@pytest.mark.process
def test_a_serving_environment_of_another_python_is_rejected_with_both_versions(
    model: Path, tmp_path: Path, fake_interpreter: Any
) -> None:
    fake_interpreter(always_respond(tmp_path, contract_versions() | {"python": "3.12.1"}))
    assert "has Python 3.12.1, the serving contract requires 3.11" in rejection(model)


@pytest.mark.process
def test_a_serving_environment_that_lacks_a_library_is_rejected(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A virtual environment of the right Python with nothing in it.
    (tmp_path / "bare" / "bin").mkdir(parents=True)
    (tmp_path / "bare" / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    home = Path(sys.executable).resolve().parent
    (tmp_path / "bare" / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    monkeypatch.setenv("CONTRACT_PYTHON", str(tmp_path / "bare" / "bin" / "python"))
    assert f"has mlflow none, the serving contract requires {metadata.version('mlflow')}" in rejection(model)


def test_an_interpreter_that_does_not_exist_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRACT_PYTHON", "/nowhere/python3.11")
    assert "CONTRACT_PYTHON is /nowhere/python3.11, which is not an executable" in rejection(model)


@pytest.mark.process
def test_a_model_that_does_not_respond_times_out(
    model: Path, fake_interpreter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTRACT_TIMEOUT", "0.5")
    fake_interpreter("exec sleep 60")
    assert "did not load and predict within 0.5 s" in rejection(model)


@pytest.mark.process
def test_a_model_that_kills_its_process_is_rejected(model: Path, fake_interpreter: Any) -> None:
    fake_interpreter("echo out of memory >&2; kill -9 $$")
    assert "ended with status -9: out of memory" in rejection(model)


@pytest.mark.process
def test_no_secret_reaches_the_models_process(
    model: Path, tmp_path: Path, fake_interpreter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    fake_interpreter(f"env > {tmp_path}/seen; exit 1")
    rejection(model)
    seen = (tmp_path / "seen").read_text()
    assert "PATH=" in seen
    assert "hunter2" not in seen


@pytest.mark.process
def test_predictions_come_back_for_every_row(model: Path, tmp_path: Path) -> None:
    TABLE.assign(target=[0, 0, 1, 1]).to_parquet(tmp_path / "rows.parquet")
    terms = contract.load()
    predictions = contract.predict(
        contract.admit(model, terms), terms, contract.ContractSettings(), tmp_path / "rows.parquet"
    )
    assert len(predictions) == len(TABLE)
    assert set(predictions) <= {0.0, 1.0}


def applies_to(line: str, python: str) -> bool:
    """Whether a line of the lock, which may pin one library twice, is for this Python."""
    if "==" not in line or ";" not in line or line.startswith(" "):
        return "==" in line
    return Marker(line.split(";")[1].rstrip(" \\")).evaluate({"python_full_version": f"{python}.0"})


def contract_versions() -> dict[str, Any]:
    return {"python": f"{environment.load().python}.1", "libraries": dict(contract.load().libraries)}


def always_respond(folder: Path, response: dict[str, Any]) -> str:
    """A script for an interpreter that always returns the same response."""
    (folder / "response.json").write_text(json.dumps(response))
    return f'cp {folder}/response.json "$4"'
