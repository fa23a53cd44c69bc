"""Runs in the serving environment's interpreter, which need not have this package: `probe.py REQUEST RESPONSE`.

Both files are JSON. The request {"libraries": [names]} gets versions as the response; one with "model" (a folder) and
"rows" (a Parquet file, or null for the model's own input example) gets predictions. An error has the step that failed,
and whether a file could not be decoded.
"""

import json
import platform
import sys
import zipfile
import zlib
from importlib import metadata
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any


def read_versions(names: list[str]) -> dict[str, Any]:
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "none"
    return {"python": platform.python_version(), "libraries": versions}


def load(folder: str) -> Any:
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(folder)
    load_neighbour("native_structures").check_native_structures(model.get_raw_model())
    return model


def predict(model: Any, rows: str | None) -> list[float]:
    import pandas

    if rows is None:
        table = model.input_example
    else:
        table = pandas.read_parquet(rows, columns=model.metadata.get_input_schema().input_names())
    return [float(value) for value in model.predict(table)]


def load_neighbour(name: str) -> Any:
    """The module beside this file, loaded without their package."""
    loader = SourceFileLoader(name, str(Path(__file__).with_name(f"{name}.py")))
    module = ModuleType(name)
    loader.exec_module(module)
    return module


def respond(request: dict[str, Any]) -> dict[str, Any]:
    step = "read versions"
    try:
        if "model" not in request:
            return read_versions(request["libraries"])
        step = "load"
        model = load(request["model"])
        step = "predict"
        return {"predictions": predict(model, request["rows"])}
    except Exception as error:
        is_corrupt = step == "load" and isinstance(error, _UNDECODABLE)
        return {"error": f"{type(error).__name__}: {error}", "step": step, "is_corrupt": is_corrupt}


# The errors of damaged zip files, compressed data, JSON and numpy's arrays, as which skops saves models.
_UNDECODABLE = (zipfile.BadZipFile, zlib.error, EOFError, json.JSONDecodeError, UnicodeDecodeError)

if __name__ == "__main__":
    with open(sys.argv[1]) as request_file:
        response = json.dumps(respond(json.load(request_file)))
    with open(sys.argv[2], "w") as response_file:
        response_file.write(response)
