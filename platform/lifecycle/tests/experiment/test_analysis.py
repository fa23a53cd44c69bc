"""An experiment from the store's records to its report, by the commands that people type.

Real: SQLite as the store, the experiments' file, the commands. Simulated: the records. The report's page is parsed, not
looked at.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from lifecycle.experiment import report
from lifecycle.experiment.__main__ import main
from lifecycle.experiment.analysis import Analysis, analyse
from lifecycle.experiment.records import Record
from lifecycle.experiment.sqlite_store import SqliteStore
from lifecycle.gitops.experiments import DAY
from support.experiment import EXPERIMENT, TIME, create_results
from support.experiment_simulation import experiment

FILE = f"""
experiments:
  - name: {EXPERIMENT}
    model: churn
    challenger_percent: 50
    user_window_days: 1
    outcomes: {{converted: binary}}
    criteria: {{outcome: converted, minimum_effect: 0.05}}
  - name: without-criteria
    model: other
"""
UNTIL = "2026-10-05T00:00:00"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "experiments.yaml").write_text(FILE)
    monkeypatch.setenv("EXPERIMENT_FILE", str(tmp_path / "experiments.yaml"))
    monkeypatch.setenv("EXPERIMENT_STORE", f"sqlite:///{tmp_path / 'experiments.db'}")
    return tmp_path


def store(folder: Path, records: list[Record]) -> None:
    opened = SqliteStore(str(folder / "experiments.db"))
    opened.write(records)
    opened.close()


def read(folder: Path) -> Any:
    return json.loads((folder / "out" / report.JSON_NAME).read_text())


def run(folder: Path, *arguments: str) -> int:
    return main(["analyse", EXPERIMENT, "--report", str(folder / "out"), *arguments])


def test_a_better_challenger_is_promoted_with_a_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(folder, [*create_results(3000, effect=0.1)])
    assert run(folder, "--until", UNTIL) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{EXPERIMENT}: promote\n  The challenger is better: converted differs by +0.")
    found = read(folder)
    assert (found["verdict"], found["users"], found["closed_users"]) == ("promote", 3000, 3000)
    assert found["until"] == "2026-10-05T00:00:00+00:00"
    converted, *guardrails = found["comparisons"]
    assert converted["sequential"]["low"] > 0
    assert converted["sequential"]["low"] < converted["fixed"]["low"] < converted["difference"]
    assert {guardrail["name"] for guardrail in guardrails} == {"latency", "errors", "fallbacks"}
    assert len(found["history"]) == 60
    assert found["history"][-1]["low"] == converted["sequential"]["low"]
    assert sum(found["not_counted"].values()) == 0
    assert (folder / "out" / report.HTML_NAME).exists()


def test_without_any_record_nothing_is_decided(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder) == 0
    assert "no decision\n  Too few users have converted" in capsys.readouterr().out
    found = read(folder)
    assert (found["verdict"], found["started"], found["history"]) == ("no decision", None, [])


def test_an_analysis_of_the_past_ignores_what_was_later(folder: Path) -> None:
    store(folder, [*create_results(3000, effect=0.1)])
    assert run(folder, "--until", "2026-09-22T15:00:00") == 0
    found = read(folder)
    assert found["users"] < 600
    assert found["not_counted"]["predictions after the analysis's time"] > 4000


def test_a_covariate_is_taken_into_account(folder: Path) -> None:
    store(folder, [*create_results(500, effect=0.1)])
    before = folder / "before.csv"
    lines = [f"u{user},{TIME - 60},{user % 7}" for user in range(400)] + [f"u1,{TIME + 20 * DAY},1"]
    before.write_text("\n".join(["user,time,value", *lines]))
    assert run(folder, "--until", UNTIL, "--covariate", str(before)) == 0
    assert read(folder)["covariate"] == {"users": 400, "late": 1}


@pytest.mark.usefixtures("folder")
def test_a_plan_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", EXPERIMENT, "--users-per-day", "500", "--mean", "0.3"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("looked at any time, decided in 80 % of experiments: ")
    assert printed[2].startswith("looked at once, at a power of 80 %: ")
    assert len(printed) == 3
    assert main(["plan", EXPERIMENT, "--users-per-day", "50", "--mean", "0.3"]) == 0
    assert "more than criteria.maximum_days, 28" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", [["analyse"], ["plan", "--users-per-day", "5"]])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unknown", f"has no experiment 'unknown'; known experiments: {EXPERIMENT}, without-criteria"),
        ("without-criteria", "The experiment without-criteria has no criteria: add them to its entry in "),
    ],
)
def test_an_experiment_that_cannot_be_analysed_has_a_clear_message(
    capsys: pytest.CaptureFixture[str], command: list[str], name: str, message: str
) -> None:
    assert main([*command, name]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert message in printed


def test_a_file_or_folder_that_cannot_be_used_has_a_clear_message(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["analyse", EXPERIMENT, "--report", "/dev/null/out"]) == 1
    assert "The report cannot be written to /dev/null/out: Not a directory" in capsys.readouterr().err
    monkeypatch.setenv("EXPERIMENT_FILE", str(folder / "none.yaml"))
    assert run(folder) == 1
    assert "none.yaml cannot be read: No such file or directory" in capsys.readouterr().err
    monkeypatch.delenv("EXPERIMENT_FILE")
    assert run(folder) == 1
    assert "EXPERIMENT_FILE is not set" in capsys.readouterr().err


def parse(analysis: Analysis) -> ElementTree.Element:
    """The page is well-formed XML too, but for its doctype and the tag without an end."""
    page = report.render_html(analysis).removeprefix("<!doctype html>\n").replace('<meta charset="utf-8">', "")
    return ElementTree.fromstring(page)  # noqa: S314 it is our own


@pytest.mark.parametrize("kind", ["binary", "latency"])
def test_the_page_has_the_charts_and_loads_nothing(kind: str) -> None:
    of = experiment(kind)
    assert of.criteria is not None
    page = parse(analyse(create_results(1000, effect=0.1), of, of.criteria, TIME + 14 * DAY))
    charts = page.findall(".//svg")
    assert len(charts) == 1 + 1 + len(of.criteria.guardrails), "one for each measure, and the history"
    width, height = (float(charts[-1].attrib[name]) for name in ("width", "height"))
    (area,) = charts[-1].findall("polygon")
    points = [tuple(map(float, point.split(","))) for point in area.attrib["points"].split()]
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
    assert {x for x, _ in points} >= {0.0, width}
    text = ElementTree.tostring(page, encoding="unicode")
    assert "http" not in text
    assert "<script" not in text


def test_the_page_of_an_experiment_without_records_says_so() -> None:
    of = experiment()
    assert of.criteria is not None
    page = parse(analyse([], of, of.criteria, TIME))
    text = " ".join("".join(page.itertext()).split())
    assert "no difference is known" in text
    assert "churn-forest: no decision" in text
    assert not page.findall(".//svg")


@pytest.mark.process
def test_the_router_does_not_load_libraries_of_the_analysis() -> None:
    """They would take memory, and delay each start by a second."""
    code = (
        "import sys, lifecycle.experiment.server, lifecycle.experiment.__main__;"
        "print([name for name in ('scipy', 'jinja2', 'pandas') if name in sys.modules])"
    )
    path = str(Path(__file__).resolve().parents[2] / "src")
    result = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert result.stdout == "[]\n", result.stderr
