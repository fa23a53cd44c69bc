"""A program's second deployment, planned but not executed, after an actor has changed the cloud."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rehearsal.movement_harm import PlannedStep
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values
from tests.support.recording import Recorder


class PlanningRecorder(Recorder):
    """Deploys a program the first time; after `refresh` it only records what the next deployment would do.

    steps     its operations on existing resources
    refusals  its requests that the clouds would refuse, in previews too
    """

    def __init__(self, **arguments: object) -> None:
        super().__init__(**arguments)  # type: ignore[arg-type]
        self.steps: list[PlannedStep] = []
        self.refusals: list[str] = []
        self._is_planning = False

    @contextmanager
    def moving(self) -> Iterator[StateStore]:
        """The state, which an actor may change; it is restored afterwards."""
        records, deployed = list(self.state.all()), dict(self._deployed)
        try:
            yield self.state
        finally:
            for record in records:
                self.state.put(record)
            self._deployed, self._is_planning = deployed, False

    def refresh(self) -> None:
        """Read the existing resources, as `pulumi refresh` does."""
        for urn, (id_, inputs, outputs) in list(self._deployed.items()):
            type_ = urn.split("::")[2]
            found = self.simulations[type_.split(":", 1)[0]].read(type_, id_, inputs, outputs)
            if found is not None:
                self._deployed[urn] = id_, *found
        self.steps.clear()
        self.refusals.clear()
        self._is_planning = True

    def _apply(self, urn: str, type_: str, values: Values) -> tuple[str, Values]:
        if not self._is_planning or urn not in self._deployed:
            return super()._apply(urn, type_, values)
        simulation = self.simulations[type_.split(":", 1)[0]]
        id_, old, outputs = self._deployed[urn]
        difference = simulation.diff(urn, type_, id_, old, values)
        if difference.changed:
            operation = "replace" if difference.replaces else "update"
            name = urn.rpartition("::")[2]
            self.steps.append(PlannedStep(operation, type_, name, old.plain, values.plain, difference.changed))
        try:
            if difference.changed and not difference.replaces:
                simulation.update(urn, type_, id_, values, outputs, preview=True)
        except CloudError as error:
            self.refusals.append(str(error))
        return id_, outputs
