"""Grafana's dashboards, a module per subject."""

from observability.dashboards.catalogue import render_dashboards

__all__ = ["render_dashboards"]
