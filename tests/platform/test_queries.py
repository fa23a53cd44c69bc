"""The queries of platform/queries: each is valid, is deployed, and names only data that the stack sends to its cloud.

Proves that Microsoft's own parser finds no error in the KQL, for tables with the columns that Microsoft documents; that
the stack sends data to each listed table; and that each query is in the workbook, a saved query or an alert. For Logs
Insights, for which no parser is available, it proves that commands, functions and fields are known ones. Does not prove
that any table has rows, nor the result of a query in the clouds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from infra.aws.queries import LOG_GROUPS
from infra.core.query_files import FOLDER, read_alert_queries, read_queries
from infra.core.settings import Cloud
from tests.support.kusto_parser import Analysis, analyse
from tests.support.recording import Recorder
from tests.support.sample_foundations import record_foundation

TABLES: Mapping[str, Any] = yaml.safe_load((FOLDER / "azure" / "tables.yaml").read_text())
GROUPS: Mapping[str, Any] = yaml.safe_load((FOLDER / "aws" / "log-groups.yaml").read_text())
KQL = {**read_queries(Cloud.AZURE), **read_alert_queries(Cloud.AZURE)}
INSIGHTS = read_queries(Cloud.AWS)
# Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
COMMANDS = {"display", "fields", "filter", "stats", "sort", "limit", "parse", "dedup", "pattern", "diff", "unmask"}
FUNCTIONS = set(
    """abs ceil floor greatest least log sqrt bin datefloor dateceil fromMillis toMillis now ispresent coalesce
    isValidIp isIpInSubnet isIpv4InSubnet isIpv6InSubnet isblank isempty concat ltrim rtrim trim strlen toupper
    tolower substr replace strcontains jsonParse jsonStringify avg count count_distinct max min pct stddev sum
    earliest latest sortsFirst sortsLast""".split()
)
WORDS = {"as", "by", "and", "or", "not", "in", "like", "asc", "desc"}
SYSTEM_FIELDS = {"@message", "@timestamp", "@logStream", "@log"}  # of every line of every log group
MAXIMUM_QUERY = 10_000  # characters


def declare(cloud: str) -> Recorder:
    return record_foundation(cloud, telemetry={"alertEmail": "ml@example.com"}).recorder


@pytest.fixture(scope="module")
def on_azure() -> Recorder:
    return declare("azure")


@pytest.fixture(scope="module")
def on_aws() -> Recorder:
    return declare("aws")


@pytest.fixture(scope="module")
def analyses() -> Mapping[str, Analysis]:
    return analyse(KQL, {name: table["columns"] for name, table in TABLES.items()})


@pytest.mark.process
@pytest.mark.parametrize("name", KQL)
def test_microsofts_parser_finds_no_error_in_a_query(analyses: Mapping[str, Analysis], name: str) -> None:
    assert analyses[name].errors == []
    assert analyses[name].tables


@pytest.mark.process
def test_the_parser_finds_errors_in_syntax_tables_and_columns() -> None:
    faulty = {
        "syntax": "KubeEvents | where",
        "table": "ContainerLogV2 | take 1",
        "column": "KubeEvents | project Severity",
        "type": "KubeEvents | where TimeGenerated > 5",
    }
    found = analyse(faulty, {name: table["columns"] for name, table in TABLES.items()})
    assert {name for name, analysis in found.items() if analysis.errors} == {*faulty}


@pytest.mark.process
def test_every_listed_table_and_column_is_named_by_a_query(analyses: Mapping[str, Analysis]) -> None:
    named = {column for analysis in analyses.values() for column in analysis.columns}
    # Every table has a time, by which Azure selects rows if a query does not.
    listed = {f"{name}.{column}" for name, table in TABLES.items() for column in table["columns"]}
    assert {column for column in listed - named if not column.endswith(".TimeGenerated")} == set()


def test_every_listed_table_is_filled_by_what_the_stack_sends(on_azure: Recorder) -> None:
    settings = on_azure.of_type("azure-native:monitor:DiagnosticSetting")
    audit = {log["category"] for setting in settings for log in setting.inputs["logs"]}
    rule = on_azure.single("azure-native:monitor:DataCollectionRule").inputs
    sent = {"audit": audit, "insights": set(rule["dataFlows"][0]["streams"])}
    for name, table in TABLES.items():
        assert all(source.startswith("https://learn.microsoft.com/") for source in table["source"]), name
        missing = {how: {*what} - sent[how] for how, what in table["sent_by"].items()}
        assert not any(missing.values()), (name, missing)


def test_every_category_that_a_query_names_is_listed() -> None:
    listed = set(TABLES["AzureDiagnostics"]["sent_by"]["audit"])
    assert set(re.findall(r'Category == "([^"]+)"', "\n".join(KQL.values()))) == listed


def test_the_workbook_shows_every_query_and_no_other(on_azure: Recorder) -> None:
    content = json.loads(on_azure.single("azure-native:applicationinsights:Workbook").inputs["serializedData"])
    shown = {item["name"]: item["content"]["query"] for item in content["items"] if item["type"] == 3}
    assert shown == read_queries(Cloud.AZURE)
    assert all(item["content"]["title"] for item in content["items"] if item["type"] == 3)


def test_every_query_of_an_alert_is_in_an_alert_and_no_other(on_azure: Recorder) -> None:
    rules = on_azure.of_type("azure-native:monitor:ScheduledQueryRule")
    used = {condition["query"] for rule in rules for condition in rule.inputs["criteria"]["allOf"]}
    assert used == {*read_alert_queries(Cloud.AZURE).values()}


def test_both_clouds_answer_the_same_questions() -> None:
    assert [*read_queries(Cloud.AZURE)] == [*INSIGHTS]


def test_every_query_is_saved_in_cloudwatch_and_no_other(on_aws: Recorder) -> None:
    saved = on_aws.of_type("aws:cloudwatch/queryDefinition:QueryDefinition")
    assert {query.inputs["queryString"] for query in saved} == {*INSIGHTS.values()}
    declared = {group.inputs["name"] for group in on_aws.of_type("aws:cloudwatch/logGroup:LogGroup")}
    assert all(query.inputs["logGroupNames"] and {*query.inputs["logGroupNames"]} <= declared for query in saved)


def test_log_groups_are_listed_with_their_source_and_searched() -> None:
    assert {group for groups in LOG_GROUPS.values() for group in groups} == {*GROUPS}
    for group in GROUPS.values():
        assert all(source.startswith("https://") for source in group["source"])


@pytest.mark.parametrize("name", INSIGHTS)
def test_a_query_of_logs_insights_has_known_commands_functions_and_fields(name: str) -> None:
    text = INSIGHTS[name]
    assert len(text) <= MAXIMUM_QUERY
    fields = {field for group in LOG_GROUPS[name] for field in GROUPS[group]["fields"]}
    assert find_unknown_words(text, fields) == set()


def test_an_unknown_word_is_found() -> None:
    text = 'fields if(verb = "get", 1, 0) as reads | search status | filter statusCode > 1 and @stream = 1'
    assert find_unknown_words(text, {"verb"}) == {"if", "search", "status", "statusCode", "@stream"}


def test_every_listed_field_is_named_by_a_query() -> None:
    listed = {field for group in GROUPS.values() for field in group["fields"]}
    assert {field for field in listed if not any(field in text for text in INSIGHTS.values())} == set()


def find_unknown_words(text: str, fields: set[str]) -> set[str]:
    """The words of a query that are not a command, a function, a field, or a name that it defines itself."""
    own = {*re.findall(r"\(\?<(\w+)>", text)}
    bare = re.sub(r"(?m)^#.*$", "", text)
    bare = re.sub(r'"[^"]*"', '""', re.sub(r"/(?:[^/\\\n]|\\.)+/", '""', bare))
    own |= {*re.findall(r"\bas (\w+)", bare)}
    commands = {*re.findall(r"(?:^|\|)\s*(\w+)", bare)}
    called = {*re.findall(r"(\w+)\(", bare)} - WORDS - COMMANDS
    rest = re.sub(r"\b\d+(ms|s|m|h|d)?\b(?!\.)", "", re.sub(r"(?:^|\|)\s*\w+", " ", re.sub(r"\w+\(", "(", bare)))
    words = {*re.findall(r"@?[A-Za-z][\w.]*", rest)} - WORDS
    return (commands - COMMANDS) | (called - FUNCTIONS) | (words - fields - SYSTEM_FIELDS - own)
