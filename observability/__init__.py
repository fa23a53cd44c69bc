"""Generates what of alerts and dashboards is not written by hand: the rules of SLOs, and Grafana's dashboards."""
