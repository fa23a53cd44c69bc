"""KServe's own Python model server with a scikit-learn model, in KServe's environment.

KServe's sklearnserver is on no package index. It does the same: a kserve.Model that loads a joblib file and calls
predict, run by kserve.ModelServer. https://kserve.github.io/website/docs/model-serving/predictive-inference/frameworks/custom-predictor
"""

from __future__ import annotations

import argparse
from typing import Any

import joblib
from kserve import Model, ModelServer, model_server
from kserve.utils.utils import get_predict_input, get_predict_response


class Predictor(Model):
    def __init__(self, name: str, path: str) -> None:
        super().__init__(name)
        self._path = path

    def load(self) -> bool:
        self._estimator = joblib.load(self._path)
        self.ready = True
        return True

    async def predict(self, payload: Any, *_: Any, **__: Any) -> Any:
        return get_predict_response(payload, self._estimator.predict(get_predict_input(payload)), self.name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[model_server.parser])
    parser.add_argument("--path", required=True)
    options = parser.parse_args()
    predictor = Predictor(options.model_name, options.path)
    predictor.load()
    ModelServer().start([predictor])
