"""10,000 bodies that are valid except for some fields: none gets a status 5xx, and the metrics count every one.

Every field of a valid body of each protocol is left out, and replaced by each of the values below; the rest are random
combinations and damaged bytes, from one seed. Sent over HTTP to real servers, one whose model has only numbers, and one
with numbers, booleans and text. Not proven: other estimators, which may reject values with unknown messages.
"""

from __future__ import annotations

import copy
import http.client
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from support.serving import FEATURES, Server, row
from support.waiting import TIMEOUT, eventually

BODIES = 5_000  # of each model
SEED = 13
VALUES: Sequence[Any] = (
    *(None, True, False, 0, -1, 7, 2**31, -(2**63), 2**64, 10**400, 0.5, -0.0, 1e39, -1e308, 5e-324),
    *(float("nan"), float("inf"), float("-inf"), "", "north", "FP64", "UINT8", "BYTES"),
    *("\0", "\ud800", "\U0001f377", "x" * 999),
    *([], [None], [1], [[]], [[1, 2, 3, 4]], ["FP64"], [{}], [{"name": []}]),
    *({}, {"name": "predict"}, {"\udfff": 1}, {"": {}}),
    json.loads("[" * 500 + "]" * 500),
)
MIXED = {"age": 30, "income": 0.5, "member": True, "region": "north"}
_DATATYPES = {"age": "INT64", "income": "FP64", "member": "BOOL", "region": "BYTES"}


def bodies(model: str, values: Mapping[str, Any], datatypes: Mapping[str, str]) -> list[tuple[str, Any]]:
    """A path and a valid body for each form that a request may have."""
    columns = [{"name": name, "shape": [1], "datatype": datatypes[name], "data": [values[name]]} for name in values]
    forms = [
        ("/predict", {"features": values, "user_id": "ada"}),
        ("/predict", {"features": [values, list(values.values())]}),
        (f"/v1/models/{model}:predict", {"instances": [values, list(values.values())]}),
        (f"/v2/models/{model}/infer", {"id": "1", "inputs": columns, "outputs": [{"name": "predict"}]}),
    ]
    if set(datatypes.values()) == {"FP64"}:
        matrix = {"name": "x", "shape": [1, 4], "datatype": "UINT8", "data": [[1, 2, 3, 4]], "parameters": {}}
        forms.append((f"/v2/models/{model}/infer", {"inputs": [matrix]}))
    return forms


@pytest.mark.parametrize("name", ["plain", "mixed"])
def test_bodies_never_get_a_server_error_and_all_are_counted(name: str, server: Server, mixed: Server) -> None:
    is_plain = name == "plain"
    target, values = (server, row()) if is_plain else (mixed, MIXED)
    forms = bodies(name, values, dict.fromkeys(FEATURES, "FP64") if is_plain else _DATATYPES)
    before = count_responses(target)
    sent: Counter[str] = Counter()
    connection = http.client.HTTPConnection("127.0.0.1", target.client.base_url.port or 0, timeout=TIMEOUT)
    for path, body in mutations(forms, random.Random(SEED)):  # noqa: S311 (not for cryptography)
        connection.request("POST", path, body)
        response = connection.getresponse()
        content = json.loads(response.read())
        assert response.status in (200, 400, 413), (path, body[:300], content)
        assert response.status == 200 or isinstance(content["error"], str)
        sent[str(response.status)] += 1
    connection.close()
    assert sent.total() == BODIES
    assert min(sent["200"], sent["400"]) > BODIES / 100, "valid ones and invalid ones are among them"
    # A response arrives before it is counted.
    eventually(lambda: count_responses(target) - before == sent, "the metrics count what clients got")
    assert target.metric("groundwork_refusals_total", 'reason="model-error"') == 0
    assert target.metric("groundwork_refusals_total", 'reason="server-error"') == 0


def mutations(forms: Sequence[tuple[str, Any]], chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """BODIES paths and bodies: first every field with every value, then random ones."""
    number = 0
    for path, body in forms:
        for place in places(body):
            yield path, json.dumps(remove(body, place)).encode()
            for value in VALUES:
                yield path, json.dumps(put(body, place, value)).encode()
            number += 1 + len(VALUES)
    assert number < BODIES, "all fields fit"
    for _ in range(BODIES - number):
        path, body = chance.choice(forms)
        for _ in range(chance.randint(1, 3)):
            found = list(places(body))
            if found:
                place = chance.choice(found)
                body = remove(body, place) if chance.random() < 0.1 else put(body, place, chance.choice(VALUES))
        text = bytearray(json.dumps(body, ensure_ascii=chance.random() < 0.5).encode(errors="surrogatepass"))
        for _ in range(chance.choice((0, 0, 0, 1, 4))):
            text[chance.randrange(len(text))] = chance.randrange(256)
        yield path, bytes(text[: chance.randrange(len(text))] if chance.random() < 0.05 else text)


def places(body: Any) -> Iterator[list[Any]]:
    """The path of every value in a body, by keys and indices, down to a few levels."""
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in items:
        yield [key]
        if not isinstance(value, list) or len(json.dumps(value)) < 900:
            yield from ([key, *rest] for rest in places(value))


def put(body: Any, place: Sequence[Any], value: Any) -> Any:
    """A copy of the body with another value at a place."""
    key, *rest = place
    changed = copy.copy(body)
    changed[key] = put(body[key], rest, value) if rest else value
    return changed


def remove(body: Any, place: Sequence[Any]) -> Any:
    """A copy of the body without a place."""
    key, *rest = place
    changed = copy.copy(body)
    if rest:
        changed[key] = remove(body[key], rest)
    else:
        del changed[key]
    return changed


def count_responses(server: Server) -> Counter[str]:
    """The number of responses of the prediction endpoints by status, from the metrics."""
    endpoints = [f'endpoint="{name}"' for name in ("predict", "predict_v1", "infer_v2")]
    statuses = ("200", "400", "404", "405", "413", "499", "500", "503", "504")
    counts = {
        status: int(sum(server.metric("groundwork_requests_total", f'status="{status}"', each) for each in endpoints))
        for status in statuses
    }
    return Counter({status: count for status, count in counts.items() if count})
