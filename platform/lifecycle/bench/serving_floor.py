"""The floor: the least that an ASGI application can do. It parses, predicts, answers; checks and records nothing.

`BENCH_MODEL` is a joblib file; `BENCH_BATCHING=1` lets requests that came together share a predict call.
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
    prediction = await _together(row) if BATCHING else MODEL.predict(np.array([row]))[0]
    answer = orjson.dumps({"predictions": [prediction]}, option=orjson.OPT_SERIALIZE_NUMPY)
    await send({**HEAD, "headers": [(b"content-length", str(len(answer)).encode())]})
    await send({"type": "http.response.body", "body": answer})


async def _together(row: list[float]) -> float:
    future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    if not _waiting:
        asyncio.get_running_loop().call_soon(_predict)
    _waiting.append((row, future))
    return await future


def _predict() -> None:
    taken = _waiting[:]
    _waiting.clear()
    predictions = MODEL.predict(np.array([row for row, _ in taken]))
    for (_, future), prediction in zip(taken, predictions, strict=True):
        future.set_result(prediction)
