"""A model's user: requests predictions for ten measurements at a time, whose outcomes are known here."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
import populations

from lifecycle.gate import TARGET
from lifecycle.training import data

ROWS = 10  # of a request
_TIMEOUT = 30.0  # seconds for a response, as a server lets a request wait
_OUTLIER = "mean_radius", 141.5  # a value that no row has, as from a camera with other units


@dataclass(frozen=True)
class Answer:
    """The result of a request.

    status   the response's, or the error of a request without one
    version  of the model that answered; empty if none did
    right    the number of correct predictions
    headers  the response's
    """

    status: str
    version: str
    right: int
    headers: Mapping[str, str]


class PredictionClient:
    """Rows are of a population; in the share `outlier_rate` of the requests one row has a value that none has."""

    def __init__(self, url: str, population: str, outlier_rate: float = 0.0) -> None:
        self._url = url
        self._outlier_rate = outlier_rate
        self._table = populations.load(population)
        self._client = httpx.Client(timeout=_TIMEOUT)

    def ask(self, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for the predictions of random rows."""
        rows = self._table.sample(ROWS, replace=True)
        values = rows[data.FEATURES].to_numpy()
        if random.random() < self._outlier_rate:  # noqa: S311 (not for cryptography)
            column, value = _OUTLIER
            values[0, data.FEATURES.index(column)] = value
        tensor = {"name": "rows", "shape": list(values.shape), "datatype": "FP64", "data": values.ravel().tolist()}
        try:
            response = self._client.post(self._url, json={"inputs": [tensor]}, headers=dict(headers or {}))
        except httpx.HTTPError as error:
            return Answer(type(error).__name__, "", 0, {})
        if not response.is_success:
            return Answer(str(response.status_code), "", 0, response.headers)
        content = response.json()
        right = int((rows[TARGET].to_numpy() == content["outputs"][0]["data"]).sum())
        return Answer(str(response.status_code), str(content["model_version"]), right, response.headers)
