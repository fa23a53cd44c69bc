"""Every endpoint of a real server, over HTTP, with a real model from a real registry.

Proves that predictions are the model's own, in the format of each protocol. Not proven: that a KServe gateway routes to
the endpoints.
"""

from __future__ import annotations

import pytest

from support.serving import FEATURES, Server, expected, row


def test_v1_lists_the_model_as_ready(server: Server) -> None:
    assert server.client.get("/v1/models").json() == {"models": ["plain"]}
    assert server.client.get("/v1/models/plain").json() == {"name": "plain", "ready": True}


def test_v1_predicts_rows_given_by_name_in_any_order_and_in_the_models_order(server: Server) -> None:
    by_name = dict(reversed(row().items()))
    response = server.client.post("/v1/models/plain:predict", json={"instances": [by_name, [4, 3, 2, 1]]})
    assert response.json() == {"predictions": pytest.approx([expected(row()), expected(row(4, 3, 2, 1))])}


def test_v2_describes_the_server_and_the_model(server: Server) -> None:
    assert server.client.get("/v2").json()["name"] == "groundwork"
    assert server.client.get("/v2/health/live").json() == {"live": True}
    assert server.client.get("/v2/health/ready").status_code == 200
    for path in ("/v2/models/plain", "/v2/models/plain/versions/1"):
        assert server.client.get(f"{path}/ready").json() == {"name": "plain", "ready": True}
        metadata = server.client.get(path).json()
        assert metadata["versions"] == ["1"]
        assert metadata["inputs"] == [{"name": name, "datatype": "FP64", "shape": [-1]} for name in FEATURES]
        assert metadata["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1]}]


@pytest.mark.parametrize("path", ["/v2/models/plain/infer", "/v2/models/plain/versions/1/infer"])
def test_v2_infers_from_one_tensor_for_all_features(server: Server, path: str) -> None:
    tensor = {"name": "input-0", "shape": [2, 4], "datatype": "FP64"}
    for data in ([1, 2, 3, 4, 5, 6, 7, 8], [[1, 2, 3, 4], [5, 6, 7, 8]]):
        response = server.client.post(path, json={"id": "42", "inputs": [{**tensor, "data": data}]}).json()
        values = pytest.approx([expected(row()), expected(row(5, 6, 7, 8))])
        output = {"name": "predict", "shape": [2], "datatype": "FP64", "data": values}
        assert response == {"id": "42", "model_name": "plain", "model_version": "1", "outputs": [output]}


def test_v2_infers_from_one_tensor_per_feature(server: Server) -> None:
    inputs = [
        {"name": name, "shape": [2, 1], "datatype": "FP32", "data": [value, value + 4]} for name, value in row().items()
    ]
    response = server.client.post("/v2/models/plain/infer", json={"inputs": inputs, "outputs": [{"name": "predict"}]})
    assert response.json()["outputs"][0]["data"] == pytest.approx([expected(row()), expected(row(5, 6, 7, 8))])


def test_predict_accepts_one_row_or_many_and_returns_the_version(server: Server) -> None:
    one, many = row(), [row(), row(5, 6, 7, 8)]
    for features, rows in ((one, [one]), (list(one.values()), [one]), (many, many)):
        response = server.client.post("/predict", json={"features": features, "user_id": "u1"})
        content = response.json()
        assert content.pop("request_id") == response.headers["x-request-id"]
        assert content == {
            "model": "plain",
            "version": "1",
            "predictions": pytest.approx([expected(values) for values in rows]),
        }


@pytest.mark.parametrize("path", ["/v2/", "/v1/models/", "/predict/", "/docs", "/openapi.json", "/"])
def test_other_paths_get_404_rather_than_a_redirect(server: Server, path: str) -> None:
    response = server.client.get(path, headers={"host": "elsewhere.example"})
    assert (response.status_code, "elsewhere" in str(response.headers)) == (404, False)


def test_a_well_formed_request_id_of_a_client_is_returned(server: Server) -> None:
    body = {"features": row()}
    assert server.client.post("/predict", json=body, headers={"x-request-id": "a-1"}).headers["x-request-id"] == "a-1"
    assert "<" not in server.client.post("/predict", json=body, headers={"x-request-id": "<b>"}).headers["x-request-id"]


def test_text_numbers_and_booleans_reach_the_model_as_it_was_trained(mixed: Server) -> None:
    young = {"age": 3, "income": 0.1, "member": True, "region": "north"}
    old = {"age": 39, "income": 1, "member": False, "region": "west"}
    response = mixed.client.post("/v1/models/mixed:predict", json={"instances": [young, old]})
    assert response.json() == {"predictions": [False, True]}
    inputs = [
        {"name": "age", "shape": [2], "datatype": "INT64", "data": [3, 39]},
        {"name": "income", "shape": [2], "datatype": "FP64", "data": [0.1, 1.0]},
        {"name": "member", "shape": [2], "datatype": "BOOL", "data": [True, False]},
        {"name": "region", "shape": [2], "datatype": "BYTES", "data": ["north", "west"]},
    ]
    output = mixed.client.post("/v2/models/mixed/infer", json={"inputs": inputs}).json()["outputs"][0]
    assert output == {"name": "predict", "shape": [2], "datatype": "BOOL", "data": [False, True]}


def test_health_ready_and_metrics(server: Server) -> None:
    assert server.client.get("/health").json() == {"status": "ok"}
    assert server.client.get("/ready").json() == {"model": "plain", "version": "1", "ready": True}
    server.client.post("/predict", json={"features": row()})
    labels = ('endpoint="predict"', 'model="plain"', 'version="1"')
    assert server.metric("groundwork_requests_total", 'status="200"', *labels) >= 1
    assert server.metric("groundwork_request_seconds_count", *labels) >= 1
    assert server.metric("groundwork_ready_workers") == 1


def test_unknown_paths_get_404_but_not_their_own_metric(server: Server) -> None:
    assert server.client.get("/made/up").status_code == 404
    assert server.client.get("/predict").status_code == 405
    assert "made" not in server.client.get("/metrics").text
