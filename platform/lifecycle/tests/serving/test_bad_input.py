"""Invalid requests get a status 4xx with a message that names the feature and its rule, and no traceback.

Proven for /predict, v1 and v2 over HTTP. The list of invalid inputs is not complete: the signature decides, not a list.
"""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from lifecycle.core import ModelVersion
from lifecycle.serving.errors import RequestError
from lifecycle.serving.model import Model
from lifecycle.serving.schema import DATETIME, DOUBLE, STRING, Column, InputSchema
from support.serving import FEATURES, Server, row
from support.waiting import TIMEOUT, eventually

MIXED = {"age": 30, "income": 0.5, "member": True, "region": "north"}

INVALID_ROWS: dict[str, tuple[Any, list[str]]] = {
    "missing": ({"alcohol": 1, "acid": 2, "sugar": 3}, ["'salt' is missing", "required"]),
    "two missing": ({"alcohol": 1, "acid": 2}, ["'sugar', 'salt' are missing"]),
    "extra": ({**row(), "colour": 1}, ["'colour' is unknown", "'alcohol'"]),
    "text for a number": ({**row(), "acid": "2"}, ["'acid' must be a number, not a string"]),
    "boolean for a number": ({**row(), "acid": True}, ["'acid' must be a number, not a boolean"]),
    "list for a number": ({**row(), "acid": [2]}, ["'acid' must be a number, not a list"]),
    "object for a number": ({**row(), "acid": {}}, ["'acid' must be a number, not an object"]),
    "null": ({**row(), "acid": None}, ["'acid' must not be null"]),
    "NaN": ({**row(), "acid": float("nan")}, ["'acid' must be finite"]),
    "Infinity": ({**row(), "acid": float("inf")}, ["'acid' must be finite"]),
    "-Infinity and Infinity": ({**row(), "acid": float("inf"), "salt": float("-inf")}, ["'acid' must be finite"]),
    "beyond 64 bits": ({**row(), "acid": 10**400}, ["'acid' must be finite"]),
    "too few": ([1, 2, 3], ["has 3 values, must have 4"]),
    "too many": ([1, 2, 3, 4, 5], ["has 5 values, must have 4"]),
    "no row": ("alcohol", ["a row must be an object of features, or a list of 4 values"]),
}


@pytest.mark.parametrize(("bad", "phrases"), INVALID_ROWS.values(), ids=INVALID_ROWS)
def test_an_invalid_row_is_rejected_with_name_and_rule(server: Server, bad: Any, phrases: list[str]) -> None:
    assert_rejected(server, "/v1/models/plain:predict", {"instances": [row(), bad]}, 400, ["instances[1]", *phrases])
    assert_rejected(server, "/predict", {"features": bad}, 400, phrases)


INVALID_VALUES: dict[str, tuple[str, Any, str]] = {
    "fraction": ("age", 1.5, "'age' must be a whole number"),
    "beyond 64 bits": ("age", 2**63, "'age' must fit into 64 bits"),
    "boolean for a whole number": ("age", True, "'age' must be a number, not a boolean"),
    "number for a boolean": ("member", 1, "'member' must be true or false, not a number"),
    "number for text": ("region", 1, "'region' must be a string, not a number"),
    "null for text": ("region", None, "'region' must not be null"),
    "beyond 32 bits, which trees use": ("income", -1e39, "'income' is too large: the model computes with float32"),
    "NaN for a number": ("income", float("nan"), "'income' must be finite"),
    "a category of no training row": (
        "region",
        "nowhere",
        "a value of 'member', 'region' is not one of the categories that the model was trained with",
    ),
}


@pytest.mark.parametrize(("name", "value", "phrases"), INVALID_VALUES.values(), ids=INVALID_VALUES)
def test_an_invalid_value_is_rejected_by_its_columns_type(mixed: Server, name: str, value: Any, phrases: str) -> None:
    assert_rejected(mixed, "/predict", {"features": {**MIXED, name: value}}, 400, [phrases])


INVALID_BODIES: dict[str, tuple[str, bytes, int, str]] = {
    "empty": ("/predict", b"", 400, "the body is not JSON"),
    "cut off": ("/predict", b'{"features": {"alco', 400, "the body is not JSON"),
    "no text": ("/predict", b"\xff\xfe\x00", 400, "the body is not JSON"),
    "NaN where no feature is": (
        "/predict",
        json.dumps({"features": row(), "x": float("nan")}).encode(),
        400,
        "not JSON",
    ),
    "a number too large for any type": ("/predict", b'{"features": [1, 1e999, 1, 1]}', 400, "'acid' must be finite"),
    "a list": ("/predict", b"[]", 400, "must be a JSON object"),
    "deep": ("/predict", b'{"features": ' + b"[" * 9000, 400, "the body is not JSON"),
    "without features": ("/predict", b"{}", 400, "features: a row must be"),
    "no rows": ("/v1/models/plain:predict", b'{"instances": []}', 400, "at least one row"),
    "rows missing": ("/v1/models/plain:predict", b"{}", 400, "instances: must be a list"),
    "user_id of a wrong type": ("/predict", json.dumps({"features": row(), "user_id": 7}).encode(), 400, "user_id"),
    "too many rows": ("/predict", json.dumps({"features": [row()] * 33}).encode(), 413, "at most 32 (MAX_BATCH_SIZE)"),
    "too many bytes": ("/predict", b" " * 20_001, 413, "larger than 20000 bytes (MAX_BODY_BYTES)"),
    "a lone surrogate in a name": ("/predict", b'{"features": {"\\ud800": 1}}', 400, "are missing"),
    "a lone surrogate in an unknown name": (
        "/predict",
        json.dumps({"features": {**row(), "\ud800": 1}}).encode(),
        400,
        "'?' is unknown",
    ),
    "another model": ("/v1/models/other:predict", b"{}", 404, "no model with this name"),
    "another version": ("/v2/models/plain/versions/9/infer", b"{}", 404, "no such version"),
}


@pytest.mark.parametrize(("path", "body", "status", "phrases"), INVALID_BODIES.values(), ids=INVALID_BODIES)
def test_an_invalid_body_is_rejected(server: Server, path: str, body: bytes, status: int, phrases: str) -> None:
    response = server.client.post(path, content=body)
    assert (response.status_code, phrases in response.json()["error"]) == (status, True), response.text


def test_a_body_of_unknown_size_is_rejected_at_the_limit(server: Server) -> None:
    response = server.client.post("/predict", content=iter([b" " * 1000] * 30))
    assert response.status_code == 413


ODD_REQUESTS: dict[str, tuple[bytes, int]] = {
    "bytes that are not text in the path": (b"GET /v1/models/%ff%00 HTTP/1.1", 404),
    "no ASCII in the path": ("GET /v1/models/é HTTP/1.1".encode(), 400),
    "a path out of the prefix": (b"GET /v2/../metrics HTTP/1.1", 404),
    "another host's address": (b"GET http://elsewhere.example/v2/ HTTP/1.1", 404),
    "no path": (b"OPTIONS * HTTP/1.1", 404),
    "a tunnel": (b"CONNECT elsewhere.example:443 HTTP/1.1", 400),
    "a method of no endpoint": (b"DELETE /predict HTTP/1.1", 405),
    "a websocket": (b"GET /predict HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket", 405),
    "HTTP/2 over cleartext": (b"GET /v2 HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c", 200),
    "a length that is not a number": (b"POST /predict HTTP/1.1\r\ncontent-length: +1", 400),
    "a negative length": (b"POST /predict HTTP/1.1\r\ncontent-length: -1", 400),
    "two lengths": (b"POST /predict HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2", 400),
    "a length of 20 digits": (b"POST /predict HTTP/1.1\r\ncontent-length: 18446744073709551615", 413),
    "an unknown coding": (b"POST /predict HTTP/1.1\r\ntransfer-encoding: gzip", 400),
    "an odd trace context": (b"POST /predict HTTP/1.1\r\ntraceparent: \xff\r\ncontent-length: 0", 400),
}


@pytest.mark.parametrize(("head", "status"), ODD_REQUESTS.values(), ids=ODD_REQUESTS)
def test_a_malformed_request_is_counted_and_is_not_a_server_error(server: Server, head: bytes, status: int) -> None:
    before = server.metric("groundwork_requests_total", f'status="{status}"')
    url = server.client.base_url
    with socket.create_connection((url.host, url.port or 0), TIMEOUT) as client:
        client.sendall(head + b"\r\nhost: a\r\n\r\n")
        response = client.recv(4096).decode()
    assert int(response.split()[1]) == status
    assert "elsewhere" not in response
    eventually(lambda: server.metric("groundwork_requests_total", f'status="{status}"') > before, "it is counted")


MATRIX = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [1, 2, 3, 4]}
COLUMNS = [{"name": name, "shape": [1], "datatype": "FP64", "data": [1.0]} for name in FEATURES]

INVALID_TENSORS: dict[str, tuple[Any, list[str]]] = {
    "none": ([], ["at least one tensor"]),
    "no tensor": ([1], ["inputs[0]: must be a tensor"]),
    "no shape": ([{**MATRIX, "shape": None}], ["shape must be [rows] or [rows, columns]"]),
    "negative shape": ([{**MATRIX, "shape": [-1, 4]}], ["shape must be"]),
    "fewer values than its shape": ([{**MATRIX, "data": [1, 2, 3]}], ["has 3 values", "requires 4"]),
    "ragged": ([{**MATRIX, "shape": [2, 4], "data": [[1, 2, 3], [4, 5, 6, 7, 8]]}], ["length"]),
    "wrong width": ([{**MATRIX, "shape": [2, 2]}], ["has 2 columns, must have 4"]),
    "unknown datatype": ([{**MATRIX, "datatype": "FP128"}], ["datatype must be one of"]),
    "an object as datatype": ([{**MATRIX, "datatype": {}}], ["datatype must be one of"]),
    "a list as datatype": ([{**MATRIX, "datatype": ["FP64"]}], ["datatype must be one of"]),
    "values beyond their datatype": (
        [{**MATRIX, "datatype": "UINT8", "data": [1, -999, 3, 4]}],
        ["'acid' has values outside of its datatype UINT8, from 0 to 255"],
    ),
    "text for numbers": ([{**MATRIX, "datatype": "BYTES", "data": list("abcd")}], ["'alcohol' is FP64", "BYTES"]),
    "values unlike its datatype": ([{**MATRIX, "datatype": "INT64", "data": [1, 2.5, 3, 4]}], ["'acid' has values"]),
    "null": ([{**MATRIX, "data": [1, None, 3, 4]}], ["'acid' must not be null"]),
    "NaN": ([{**MATRIX, "data": [1, float("nan"), 3, 4]}], ["'acid' must be finite"]),
    "too many rows": ([{**MATRIX, "shape": [33, 4], "data": [1] * 132}], ["MAX_BATCH_SIZE"]),
    "no rows": ([{**MATRIX, "shape": [0, 4], "data": []}], ["at least one row"]),
    "a feature missing": (COLUMNS[:3], ["'salt' is missing"]),
    "a feature unknown": ([*COLUMNS, {**COLUMNS[0], "name": "colour"}], ["'colour' is unknown"]),
    "a feature twice": ([*COLUMNS, COLUMNS[0]], ["same name"]),
    "uneven": ([*COLUMNS[:3], {**COLUMNS[3], "shape": [2], "data": [1, 2]}], ["'salt' must have shape [1]"]),
    "binary": (
        [{**MATRIX, "data": None, "parameters": {"binary_data_size": 32}}],
        ["binary tensors are not supported"],
    ),
}


@pytest.mark.parametrize(("tensors", "phrases"), INVALID_TENSORS.values(), ids=INVALID_TENSORS)
def test_invalid_tensors_are_rejected(server: Server, tensors: Any, phrases: list[str]) -> None:
    status = 413 if "MAX_BATCH_SIZE" in phrases else 400
    assert_rejected(server, "/v2/models/plain/infer", {"inputs": tensors}, status, phrases)


@pytest.mark.parametrize("outputs", [[{"name": "probability"}], [{"name": []}], [{"name": {}}], [{}], [1], {}, 7, []])
def test_an_output_that_the_model_does_not_have_is_rejected(server: Server, outputs: Any) -> None:
    body = {"inputs": [MATRIX], "outputs": outputs}
    assert_rejected(server, "/v2/models/plain/infer", body, 400, ["outputs of the model: predict"])


@pytest.mark.parametrize("id_", [7, 1.5, True, [], {}])
def test_an_id_that_is_not_a_string_is_rejected(server: Server, id_: Any) -> None:
    assert_rejected(server, "/v2/models/plain/infer", {"inputs": [MATRIX], "id": id_}, 400, ["id: must be a string"])


@pytest.mark.parametrize(
    "moment", ["9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+10:00", "1600-01-01", "2263-01-01"]
)
def test_a_time_that_nanoseconds_cannot_express_is_rejected(moment: str) -> None:
    schema = InputSchema([Column("born", DATETIME)], 1)
    with pytest.raises(RequestError, match="'born' must be between 1678 and 2261"):
        schema.parse_rows([[moment]], "instances")


@pytest.mark.parametrize(
    ("message", "phrase"),
    [
        ("Input X contains NaN.\nLinearRegression does not accept missing values", "does not accept null for 'income'"),
        ("Input X contains infinity or a value too large for dtype('float32').", "'income' is too large"),
        ("Found unknown categories ['x'] in column 0 during transform", "a value of 'region' is not one of"),
    ],
)
def test_values_that_only_the_model_rejects_are_the_clients_error(message: str, phrase: str) -> None:
    """With scikit-learn's messages, which the serving contract pins; `mixed` proves two of them with real models."""
    schema = InputSchema([Column("income", DOUBLE, required=False), Column("region", STRING)], 1)

    def predict(error: str) -> None:
        def fail(_: object) -> None:
            raise ValueError(error)

        Model(ModelVersion("m", "1"), schema, [], fail, accepts_arrays=False).predict([(None, "north")])

    with pytest.raises(RequestError, match=phrase):
        predict(message)
    with pytest.raises(ValueError, match="the model's own failure"):
        predict("the model's own failure")


def test_rejected_requests_are_logged_with_their_id_and_without_values(server: Server) -> None:
    body = {"features": {**row(), "acid": "a-value-of-someone"}}
    response = server.client.post("/predict", json=body, headers={"x-request-id": "rejected-1"})
    assert "a-value-of-someone" not in response.text
    # The response arrives before its line is in the log.
    [line] = eventually(lambda: [line for line in server.log if line.get("request_id") == "rejected-1"], "the line")
    assert (line["status"], line["endpoint"], line["level"]) == (400, "predict", "info")
    assert "a-value-of-someone" not in server.path.read_text()
    assert server.metric("groundwork_refusals_total", 'reason="invalid"') > 0


def assert_rejected(server: Server, path: str, body: Any, status: int, phrases: list[str]) -> None:
    """The body is rendered here, because the client's `json=` rejects NaN."""
    response = server.client.post(path, content=json.dumps(body))
    error = response.json()["error"]
    assert response.status_code == status, response.text
    assert [phrase for phrase in phrases if phrase not in error] == [], error
    assert "Traceback" not in response.text
