"""Grafana's dashboards, by subject."""

from observability.dashboards.catalogue import render_dashboards

__all__ = ["render_dashboards"]
