"""The parts of a dashboard, and their rendering with Grafana's Foundation SDK.

A row has panels of equal width. All queries go to the data source with the UID that kube-prometheus-stack assigns to
Prometheus; `$__rate_interval` is Grafana's: at least four scrapes.
Source: https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.dashboard import VariableRefresh

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
_COLUMNS = 24  # of Grafana's grid
_HEIGHTS = {"graph": 8, "number": 4}


@dataclass(frozen=True)
class Graph:
    """Lines over time: PromQL, keyed by legend. `unit` is one of Grafana's, such as `s`, `percentunit` and `reqps`.

    has_exemplars  whether points on the graph link to traces
    """

    title: str
    unit: str
    queries: Mapping[str, str]
    description: str = ""
    has_exemplars: bool = False


@dataclass(frozen=True)
class Number:
    """The last value of a query."""

    title: str
    unit: str
    query: str
    description: str = ""


@dataclass(frozen=True)
class Row:
    title: str
    panels: Sequence[Graph | Number]


@dataclass(frozen=True)
class Variable:
    """A drop-down at the top of a dashboard: one value of a metric's label, or all of them."""

    name: str
    metric: str


@dataclass(frozen=True)
class Board:
    """A dashboard. Others link to it by `uid`."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    hours: int = 6  # that it shows at first


_Panel: TypeAlias = stat.Panel | timeseries.Panel


def render(board: Board) -> str:
    """JSON of the dashboard model, with a final newline."""
    built = (
        builder.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(["groundwork"])
        .refresh("1m")
        .time(f"now-{board.hours}h", "now")
        .timezone("browser")
        .editable()
    )
    for variable in board.variables:
        built.with_variable(_build_variable(variable))
    ids = count(1)
    for row in board.rows:
        built.with_row(builder.Row(row.title).id(next(ids)))
        for panel in row.panels:
            built.with_panel(_build_panel(panel, _COLUMNS // len(row.panels)).id(next(ids)))
    return json.dumps(built.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _build_variable(variable: Variable) -> builder.QueryVariable:
    return (
        builder.QueryVariable(variable.name)
        .label(variable.name)
        .query(f"label_values({variable.metric}, {variable.name})")
        .datasource(PROMETHEUS)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .all_value(".*")
        .multi(True)
    )


def _build_panel(panel: Graph | Number, width: int) -> _Panel:
    if isinstance(panel, Number):
        number = stat.Panel().title(panel.title).description(panel.description).unit(panel.unit)
        return (
            number.datasource(PROMETHEUS)
            .height(_HEIGHTS["number"])
            .span(width)
            .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
            .with_target(prometheus.Dataquery().expr(panel.query).instant().ref_id("A"))
        )
    graph = timeseries.Panel().title(panel.title).description(panel.description).unit(panel.unit)
    graph.datasource(PROMETHEUS).height(_HEIGHTS["graph"]).span(width).min(0)
    for index, (legend, query) in enumerate(panel.queries.items()):
        target = prometheus.Dataquery().expr(query).range().legend_format(legend).ref_id(chr(ord("A") + index))
        graph.with_target(target.exemplar(True) if panel.has_exemplars else target)
    return graph
