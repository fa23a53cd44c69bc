"""No log of the model server has a feature's value, or a user's ID in clear.

Marked values are sent in requests that are answered, that the model fails on, and that are refused, while the log of
inferences fails, too; then all that the process has written is searched. Other servers: tests/test_personal_data.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from support.experiment import KEY
from support.faulty_model import FAIL
from support.network import UNUSED_URL
from support.personal_data import MARKS, USER, VALUE, assert_unmarked, send_everywhere
from support.serving import FAULTY, row, serve
from support.waiting import eventually

pytestmark = pytest.mark.process


def test_logs_never_have_a_feature_or_a_user(registry: str, tmp_path: Path) -> None:
    variables: Mapping[str, object] = {
        "USER_ID_KEY": KEY,
        "INFERENCE_LOG_SINK": f"{UNUSED_URL}/events",  # so that the log of inferences fails, and says so
        "ASLEEP_FILE": tmp_path / "asleep",
    }
    with serve(registry, tmp_path, module=FAULTY, **variables) as server:
        good = server.client.post("/predict", json={"features": row(VALUE, 1, 1, 1), "user_id": USER})
        assert good.status_code == 200
        failed = {"features": row(FAIL, VALUE, 1, 1), "user_id": USER}
        assert server.client.post("/predict", json=failed).status_code == 500
        send_everywhere(server.client, "/predict", "/v1/models/plain:predict", "/v2/models/plain/infer")
        eventually(lambda: server.find_logged("loses events"), "the inference log fails")
        assert server.stop() == 0
    (request,) = [line for line in server.find_logged("request") if line.get("status") == 500 and "user" in line]
    assert len(request["user"]) == 64, "a pseudonym"
    assert (request["model"], request["version"], request["service"]) == ("plain", "1", "serving")
    lines = [line for line in server.path.read_text().splitlines() if line.startswith("{")]
    path = tmp_path / "lines"
    path.write_text("\n".join(lines))
    assert_unmarked(path, '"status": 500', '"status": 400')
    assert [mark for mark in MARKS if mark in server.path.read_text()] == []
