"""The serving contract admits a model made for it, and refuses every other with the rule and both values.

Real parts: models that MLflow saved, real interpreters in processes of their own. Stand-ins, named so: interpreters of
another version, which are scripts, for no machine has them all. Not proven here: that the images install the contract's
versions; the image's own tests do that.
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
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from packaging.markers import Marker
from sklearn.ensemble import RandomForestClassifier

from lifecycle import contract
from lifecycle.contract import ContractError, LifecycleError, UnreachableError, environment
from lifecycle.contract.environment import pins

LOCK = Path(__file__).resolve().parents[2] / "requirements.txt"
TABLE = pd.DataFrame({"length": [1.0, 2.0, 3.0, 4.0], "width": [0.5, 0.4, 0.3, 0.2]})


class Stranger(RandomForestClassifier):
    """A type that neither skops nor the contract knows."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as training saves it."""
    folder = tmp_path_factory.mktemp("models") / "made"
    save(folder, RandomForestClassifier(3, random_state=1))
    return folder


@pytest.fixture
def model(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / "model"))


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes a shell script the serving environment's interpreter."""

    def write(script: str) -> None:
        path = tmp_path / "python-stand-in"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("CONTRACT_PYTHON", str(path))

    return write


def save(folder: Path, classifier: RandomForestClassifier, **options: Any) -> None:
    fitted = classifier.fit(TABLE, [0, 0, 1, 1])
    agreed = contract.load()
    given: dict[str, Any] = {
        "signature": infer_signature(TABLE, fitted.predict(TABLE)),
        "input_example": TABLE.head(2),
        "serialization_format": agreed.format,
        "skops_trusted_types": list(agreed.trusted_types),
        "pip_requirements": agreed.requirements,
    }
    mlflow.sklearn.save_model(fitted, folder, **given | options)


def rewrite(model: Path, **flavor: Any) -> None:
    """Change what MLmodel says: `python_function__code="code"` sets `code` of that flavor."""
    path = model / "MLmodel"
    described = yaml.safe_load(path.read_text())
    for key, value in flavor.items():
        name, field = key.split("__")
        described["flavors"][name][field] = value
    path.write_text(yaml.safe_dump(described))


def refusal(model: Path | str) -> str:
    with pytest.raises(ContractError) as caught:
        contract.check(model)
    return str(caught.value)


def test_the_contract_equals_the_lock_and_what_is_installed() -> None:
    agreed = contract.load()
    locked = pins("\n".join(line for line in LOCK.read_text().splitlines() if applies(line, agreed.python)))
    for name, version in agreed.libraries.items():
        assert locked[name] == version == metadata.version(name), name


def test_a_model_made_for_the_contract_passes(model: Path) -> None:
    contract.check(model)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    assert "has no file MLmodel: its artifact is missing or incomplete" in refusal(tmp_path)


def test_a_corrupt_description_is_refused(model: Path) -> None:
    (model / "MLmodel").write_bytes(b"\x80\x05\x95 {{{")
    assert "cannot be read: its artifact is corrupt" in refusal(model)


def test_missing_weights_are_refused(model: Path) -> None:
    (model / "model.skops").unlink()
    assert "lacks its file model.skops" in refusal(model)


def test_corrupt_weights_are_refused_by_loading_them(model: Path) -> None:
    whole = (model / "model.skops").read_bytes()
    (model / "model.skops").write_bytes(whole[: len(whole) // 2])
    assert "does not load in the serving environment" in refusal(model)


def test_a_pickle_is_refused_without_opening_it(tmp_path: Path) -> None:
    save(tmp_path / "model", RandomForestClassifier(3), serialization_format="cloudpickle")
    (tmp_path / "model" / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    assert "is saved as 'cloudpickle', the serving contract says 'skops'" in refusal(tmp_path / "model")


def test_a_model_cannot_widen_what_is_trusted(tmp_path: Path) -> None:
    stranger = f"{Stranger.__module__}.Stranger"
    save(tmp_path / "model", Stranger(3), skops_trusted_types=[*contract.load().trusted_types, stranger])
    assert f"asks to trust {stranger}; the serving contract trusts sklearn.tree._tree.Tree" in refusal(
        tmp_path / "model"
    )


def test_a_type_that_is_hidden_in_the_weights_is_not_built(tmp_path: Path) -> None:
    stranger = f"{Stranger.__module__}.Stranger"
    save(tmp_path / "model", Stranger(3), skops_trusted_types=[*contract.load().trusted_types, stranger])
    rewrite(tmp_path / "model", sklearn__skops_trusted_types=list(contract.load().trusted_types))
    assert "UntrustedTypesFoundException" in refusal(tmp_path / "model")


@pytest.mark.parametrize("change", [{"python_function__loader_module": "os"}, {"python_function__code": "code"}])
def test_code_that_comes_with_a_model_is_refused(model: Path, change: dict[str, str]) -> None:
    rewrite(model, **change)
    assert "the serving contract says 'mlflow.sklearn', and no code that comes with a model" in refusal(model)


def test_a_file_outside_the_models_folder_is_refused(model: Path) -> None:
    rewrite(model, python_function__model_path="../elsewhere.skops")
    assert "names the file ../elsewhere.skops, outside its own folder" in refusal(model)


def test_another_python_is_refused_with_both_versions(model: Path) -> None:
    rewrite(model, python_function__python_version="3.10.4")
    assert "has Python 3.10.4, the serving contract says 3.11" in refusal(model)


def test_another_library_is_refused_with_both_versions(model: Path) -> None:
    (model / "requirements.txt").write_text("mlflow==3.17.2\nnumpy==1.26.4\n")
    assert f"has numpy 1.26.4, the serving contract says {metadata.version('numpy')}" in refusal(model)


def test_another_scikit_learn_is_refused_even_if_the_requirements_do_not_name_it(model: Path) -> None:
    rewrite(model, sklearn__sklearn_version="1.4.0")
    assert f"has scikit-learn 1.4.0, the serving contract says {metadata.version('scikit-learn')}" in refusal(model)


def test_a_model_without_a_signature_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "model", RandomForestClassifier(3), signature=False)
    assert "has no signature with named inputs" in refusal(tmp_path / "model")


def test_a_model_without_an_input_example_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "model", RandomForestClassifier(3), input_example=None)
    assert "has no input example" in refusal(tmp_path / "model")


def test_predictions_that_are_no_numbers_are_refused(model: Path, tmp_path: Path, stand_in: Any) -> None:
    stand_in(answering(tmp_path, {"predictions": [float("nan")], **versions()}))
    assert "predicts [nan], not a number for each row" in refusal(model)


def test_a_serving_environment_of_another_python_is_refused_with_both_versions(
    model: Path, tmp_path: Path, stand_in: Any
) -> None:
    stand_in(answering(tmp_path, versions() | {"python": "3.12.1"}))
    assert "has Python 3.12.1, the serving contract says 3.11" in refusal(model)


def test_a_serving_environment_that_lacks_a_library_is_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A virtual environment of the right Python with nothing in it.
    (tmp_path / "bare" / "bin").mkdir(parents=True)
    (tmp_path / "bare" / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    home = Path(sys.executable).resolve().parent
    (tmp_path / "bare" / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    monkeypatch.setenv("CONTRACT_PYTHON", str(tmp_path / "bare" / "bin" / "python"))
    assert f"has mlflow none, the serving contract says {metadata.version('mlflow')}" in refusal(model)


def test_an_interpreter_that_is_not_there_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRACT_PYTHON", "/nowhere/python3.11")
    assert "CONTRACT_PYTHON is /nowhere/python3.11, and that is not a program" in refusal(model)


def test_a_model_that_never_answers_is_given_up(model: Path, stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRACT_PATIENCE", "0.5")
    stand_in("exec sleep 60")
    assert "did not load and predict within 0.5 s" in refusal(model)


def test_a_model_that_kills_its_process_is_refused(model: Path, stand_in: Any) -> None:
    stand_in("echo out of memory >&2; kill -9 $$")
    assert "ended with status -9: out of memory" in refusal(model)


def test_no_secret_reaches_the_models_process(
    model: Path, tmp_path: Path, stand_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    stand_in(f"env > {tmp_path}/seen; exit 1")
    refusal(model)
    seen = (tmp_path / "seen").read_text()
    assert "PATH=" in seen
    assert "hunter2" not in seen


def test_predictions_come_back_for_every_row(model: Path, tmp_path: Path) -> None:
    TABLE.assign(target=[0, 0, 1, 1]).to_parquet(tmp_path / "rows.parquet")
    agreed = contract.load()
    found = contract.predict(contract.admit(model, agreed), agreed, contract.Settings(), tmp_path / "rows.parquet")
    assert len(found) == len(TABLE)
    assert set(found) <= {0.0, 1.0}


def test_a_registry_that_is_not_there_is_said_in_one_message() -> None:
    with pytest.raises(
        UnreachableError, match=r"MLflow does not answer at 'http://127.0.0.1:9' .* set MLFLOW_TRACKING_URI"
    ):
        contract.connect("http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("API request to http://mlflow/api failed with exception Connection refused", UnreachableError),
        ("API request to http://mlflow/api failed with timeout exception read timed out", UnreachableError),
        ("API request to endpoint /api failed with error code 503 != 200", UnreachableError),
        ("The following failures occurred while downloading: Max retries exceeded with url", UnreachableError),
        ("API request to endpoint /api failed with error code 404 != 200", LifecycleError),
    ],
)
def test_what_may_go_well_later_is_told_from_a_refusal(words: str, error: type[LifecycleError]) -> None:
    with pytest.raises(LifecycleError) as caught, contract.asking(mlflow.MlflowClient("http://mlflow")):
        raise MlflowException(words)
    assert type(caught.value) is error


def test_an_artifact_that_mlflow_does_not_have_is_refused(mlflow_server: str, tmp_path: Path) -> None:
    client = contract.connect(mlflow_server)
    with pytest.raises(ContractError, match="models:/nobody/1 is missing from MLflow's store"):
        contract.download(client, "models:/nobody/1", tmp_path)


def applies(line: str, python: str) -> bool:
    """Whether a line of the lock, which may pin one library twice, is for this Python."""
    if "==" not in line or ";" not in line or line.startswith(" "):
        return "==" in line
    return Marker(line.split(";")[1].rstrip(" \\")).evaluate({"python_full_version": f"{python}.0"})


def versions() -> dict[str, Any]:
    return {"python": f"{environment.load().python}.1", "libraries": dict(contract.load().libraries)}


def answering(folder: Path, answer: dict[str, Any]) -> str:
    """A script for an interpreter that answers always the same."""
    (folder / "answer.json").write_text(json.dumps(answer))
    return f'cp {folder}/answer.json "$4"'
