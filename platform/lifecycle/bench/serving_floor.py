"""The floor: a minimal ASGI application, which parses, predicts and responds, without checks, metrics or logs.

`BENCH_MODEL` is a joblib file; with `BENCH_BATCHING=1`, concurrent requests share a predict call.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import joblib
import numpy as np
import orjson

MODEL = joblib.load(os.environ["BENCH_MODEL"])
BATCHING = os.environ.get("BENCH_BATCHING") == "1"
HEAD = {"type": "http.response.start", "status": 200}
_waiting: list[tuple[list[float], asyncio.Future[float]]] = []


async def app(_: Any, receive: Any, send: Any) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message["body"]
        more = message.get("more_body", False)
    row = orjson.loads(body)["instances"][0]
    prediction = await _predict_batched(row) if BATCHING else MODEL.predict(np.array([row]))[0]
    content = orjson.dumps({"predictions": [prediction]}, option=orjson.OPT_SERIALIZE_NUMPY)
    await send({**HEAD, "headers": [(b"content-length", str(len(content)).encode())]})
    await send({"type": "http.response.body", "body": content})


async def _predict_batched(row: list[float]) -> float:
    future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    if not _waiting:
        asyncio.get_running_loop().call_soon(_predict)
    _waiting.append((row, future))
    return await future


def _predict() -> None:
    batch = _waiting[:]
    _waiting.clear()
    predictions = MODEL.predict(np.array([row for row, _ in batch]))
    for (_, future), prediction in zip(batch, predictions, strict=True):
        future.set_result(prediction)
