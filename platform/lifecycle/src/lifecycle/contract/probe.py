"""Run by the serving environment's interpreter, which need not have this package: `probe.py QUESTION ANSWER`.

The question's file is JSON: {"libraries": [names]} asks for versions; with "model" (a folder) and "rows" (a Parquet
file, or null for the model's own input example) it asks for predictions. The answer's file is JSON as well.
"""

import json
import platform
import sys
from importlib import metadata
from typing import Any


def versions(names: list[str]) -> dict[str, Any]:
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "none"
    return {"python": platform.python_version(), "libraries": found}


def predictions(folder: str, rows: str | None) -> dict[str, Any]:
    import mlflow.pyfunc
    import pandas

    model = mlflow.pyfunc.load_model(folder)
    if rows is None:
        table = model.input_example
    else:
        table = pandas.read_parquet(rows, columns=model.metadata.get_input_schema().input_names())
    return {"predictions": [float(value) for value in model.predict(table)]}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    try:
        if "model" in question:
            return predictions(question["model"], question["rows"])
        return versions(question["libraries"])
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    with open(sys.argv[1]) as asked:
        replied = json.dumps(answer(json.load(asked)))
    with open(sys.argv[2], "w") as reply:
        reply.write(replied)
