"""Decides which variant answers a request, and records it. The champion answers if the challenger fails to."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from lifecycle.core import CHALLENGER, CHAMPION, tracing
from lifecycle.core.http_requests import pseudonym
from lifecycle.experiment import metrics
from lifecycle.experiment.assignment import Decision, UserIdError, decide, parse_user_id
from lifecycle.experiment.backends import TIMEOUT, BackendError, Backends, Request, Response
from lifecycle.experiment.definitions import DefinitionsFile
from lifecycle.experiment.recorder import Recorder
from lifecycle.experiment.records import Assignment, Prediction
from lifecycle.experiment.settings import RouterSettings
from lifecycle.gitops.experiments import Experiment

_MAX_KNOWN = 100_000  # users whose assignment is not recorded again; recording a forgotten one again changes nothing
# Statuses of a challenger that is broken, overloaded or not there. Other 4xx are the request's fault.
_FAILURES = frozenset({404, 408, 429, *range(500, 600)})
_UNANSWERED = {TIMEOUT: 504}  # any other reason is 502


@dataclass(frozen=True)
class Routed:
    """A response and its route; `experiment`, `variant` and the user's pseudonym are empty outside of an experiment."""

    response: Response
    experiment: str = ""
    variant: str = ""
    served_by: str = CHAMPION
    fallback: str = ""
    user: str = ""


class Router:
    """The routes of all models."""

    def __init__(
        self, settings: RouterSettings, definitions: DefinitionsFile, backends: Backends, recorder: Recorder
    ) -> None:
        self._settings = settings
        self._definitions = definitions
        self._backends = backends
        self._recorder = recorder
        self._key = settings.user_id_key.get_secret_value().encode()
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def predict(self, model: str, user_id: bytes | None, request: Request) -> Routed:
        """Assign, call and record. Never raises: if a service does not respond, the status is 502 or 504."""
        started = time.perf_counter()
        experiment = self._definitions.current.running.get(model)
        if experiment is None:
            routed = Routed(await self._call_champion(model, request))
        else:
            try:
                user = parse_user_id(user_id)
            except UserIdError as error:
                metrics.UNASSIGNED.labels(experiment.name, error.reason).inc()
                routed = Routed(await self._call_champion(model, request))
            else:
                routed = await self._predict_in(experiment, user, request, started)
        _count(routed, time.perf_counter() - started)
        return routed

    async def pass_to_champion(self, model: str, request: Request) -> Response:
        """For requests other than predictions: a model's metadata and readiness."""
        return await self._call_champion(model, request)

    async def _predict_in(self, experiment: Experiment, user_id: str, request: Request, started: float) -> Routed:
        decision = decide(experiment.name, user_id, experiment.challenger_share)
        user = pseudonym(self._key, user_id)
        if decision.variant == CHALLENGER:
            routed = await self._call_challenger(experiment, user, request)
        else:
            response = await self._call_champion(experiment.model, request)
            routed = Routed(response, experiment.name, CHAMPION, user=user)
        self._record(routed, decision, request.request_id, time.perf_counter() - started)
        return routed

    async def _call_challenger(self, experiment: Experiment, user: str, request: Request) -> Routed:
        timeout = min(experiment.challenger_timeout, self._settings.timeout)
        try:
            response = await self._backends.call(experiment.model, CHALLENGER, request, timeout)
            reason = "status" if response.status in _FAILURES else ""
        except BackendError as error:
            reason = error.reason
        if not reason:
            return Routed(response, experiment.name, CHALLENGER, CHALLENGER, user=user)
        metrics.FALLBACKS.labels(experiment.name, reason).inc()
        response = await self._call_champion(experiment.model, request)
        return Routed(response, experiment.name, CHALLENGER, CHAMPION, reason, user)

    async def _call_champion(self, model: str, request: Request) -> Response:
        try:
            return await self._backends.call(model, CHAMPION, request, self._settings.timeout)
        except BackendError as error:
            return Response(_UNANSWERED.get(error.reason, 502), [], str(error).encode())

    def _record(self, routed: Routed, decision: Decision, request_id: str, seconds: float) -> None:
        now, user = time.time(), routed.user
        body = routed.response.body
        prediction = Prediction(
            routed.experiment,
            request_id,
            now,
            user,
            routed.variant,
            routed.served_by,
            routed.fallback,
            routed.response.status,
            seconds,
            body.decode(errors="replace") if len(body) <= Prediction.MAX_RESPONSE else "",
            decision.share,
        )
        if self._is_known(routed.experiment, user, routed.variant):
            self._recorder.record(prediction)
        else:
            self._recorder.record(
                Assignment(routed.experiment, user, decision.variant, decision.bucket, now), prediction
            )

    def _is_known(self, experiment: str, user: str, variant: str) -> bool:
        """Whether this process has recorded the assignment; marks it as recorded."""
        is_known = self._known.get((experiment, user)) == variant
        self._known[experiment, user] = variant
        self._known.move_to_end((experiment, user))
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        return is_known


def _count(routed: Routed, seconds: float) -> None:
    status = str(routed.response.status)
    metrics.REQUESTS.labels(routed.experiment, routed.variant, routed.served_by, status).inc()
    metrics.SECONDS.labels(routed.experiment, routed.variant).observe(seconds, tracing.find_exemplar())
