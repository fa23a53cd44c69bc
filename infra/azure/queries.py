"""Saved queries of the cloud's logs."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_azure_native import applicationinsights

from infra.azure.network import Network
from infra.azure.observability import Observability
from infra.core.component import Component, StackContext
from infra.core.query_files import describe_query, read_queries
from infra.core.settings import Cloud

_DAY = 24 * 60 * 60 * 1000  # milliseconds
_INTRODUCTION = (
    "The cloud's own data on this stack, which is available even if the cluster is not. Requests to models, their logs "
    "and traces are in Grafana."
)


@dataclass(frozen=True)
class QueriesArgs:
    context: StackContext
    network: Network
    observability: Observability


class Queries(Component):
    """A workbook that shows each query of platform/queries/azure."""

    layer = "azure"

    def __init__(self, name: str, args: QueriesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        naming = args.context.naming
        applicationinsights.Workbook(
            name,
            resource_group_name=args.network.resource_group,
            # Azure requires a GUID, the same in each deployment.
            resource_name_=str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{naming.prefix}.workbook")),
            display_name=naming.prefix,
            kind="shared",
            category="workbook",
            source_id=args.observability.workspace_id,
            serialized_data=args.observability.workspace_id.apply(_build_workbook),
            tags=naming.tags,
            opts=self.child_options(),
        )
        self.register_outputs({})


def _build_workbook(workspace: str) -> str:
    """The workbook's content.

    Source: https://github.com/microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json
    """
    text = {"type": 1, "name": "introduction", "content": {"json": _INTRODUCTION}}
    items = [text, *(_build_item(name, query) for name, query in read_queries(Cloud.AZURE).items())]
    return json.dumps({"version": "Notebook/1.0", "items": items, "fallbackResourceIds": [workspace]})


def _build_item(name: str, query: str) -> dict[str, Any]:
    content = {
        "version": "KqlItem/1.0",
        "query": query,
        "title": describe_query(name),
        "size": 0,
        "timeContext": {"durationMs": _DAY},
        "queryType": 0,
        "resourceType": "microsoft.operationalinsights/workspaces",
        "visualization": "table",
    }
    return {"type": 3, "name": name, "content": content}
