"""Generates the alerts and dashboards that are not written by hand: the rules of SLOs, and Grafana's dashboards."""
