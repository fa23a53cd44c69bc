"""A busy event loop is not mistaken for a model that hangs: finished predictions are returned even if it is late.

The thread and the loop, uvloop as in a worker, are real; the model is a function. tests/serving/test_failures.py proves
what happens if the model does hang.
"""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import uvloop

from lifecycle.serving.batching import Batcher

TIMEOUT = 0.2  # seconds


def test_a_call_that_returned_while_the_loop_was_busy_is_neither_stuck_nor_late() -> None:
    stuck: list[str] = []

    async def run() -> Any:
        batcher = create_batcher(lambda: stuck.append("stuck"))
        prediction = batcher.submit([(1.0,)])
        while batcher._running is None:
            await asyncio.sleep(0)
        time.sleep(5 * TIMEOUT)  # as the parsing of many large bodies takes
        try:
            return (await prediction)["predict"].tolist()
        finally:
            batcher.close()

    assert uvloop.run(run()) == [[1.0]]
    assert stuck == []


def create_batcher(on_stuck: Any) -> Batcher:
    model: Any = SimpleNamespace(predict=lambda rows: {"predict": np.array(rows)})
    settings: Any = SimpleNamespace(
        max_batch_size=32, feature_micro_batching=True, inference_timeout=TIMEOUT, max_queue=8
    )
    metrics: Any = SimpleNamespace(record_predict_call=lambda *_: None)
    return Batcher(model, settings, metrics, on_stuck)
