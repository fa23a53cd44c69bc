"""Runs in the serving environment's interpreter, which need not have this package: `probe.py REQUEST RESPONSE`.

Both files are JSON. The request {"libraries": [names]} gets versions as the response; one with "model" (a folder) and
"rows" (a Parquet file, or null for the model's own input example) gets predictions.
"""

import json
import platform
import sys
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


def predict(folder: str, rows: str | None) -> dict[str, Any]:
    import mlflow.pyfunc
    import pandas

    model = mlflow.pyfunc.load_model(folder)
    load_neighbour("native_structures").check_native_structures(model.get_raw_model())
    if rows is None:
        table = model.input_example
    else:
        table = pandas.read_parquet(rows, columns=model.metadata.get_input_schema().input_names())
    return {"predictions": [float(value) for value in model.predict(table)]}


def load_neighbour(name: str) -> Any:
    """The module beside this file, without the package that both are in."""
    loader = SourceFileLoader(name, str(Path(__file__).with_name(f"{name}.py")))
    module = ModuleType(name)
    loader.exec_module(module)
    return module


def respond(request: dict[str, Any]) -> dict[str, Any]:
    try:
        if "model" in request:
            return predict(request["model"], request["rows"])
        return read_versions(request["libraries"])
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    with open(sys.argv[1]) as request_file:
        response = json.dumps(respond(json.load(request_file)))
    with open(sys.argv[2], "w") as response_file:
        response_file.write(response)
