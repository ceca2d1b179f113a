"""Contracts of the platform's own actions."""

from models.actions import ActionSpec, Timeout
from models.contract import Contract
from models.identity import Role


class ReconcileRuns(Contract):
    """Nothing to say: every open run is looked at."""


class Reconciled(Contract):
    """What was repaired, by count."""

    checked: int
    started: int
    """Runs that were accepted but had not reached Temporal."""
    closed: int
    """Runs that ended outside of the engine: terminated or timed out."""
    told: int = 0
    """Schedules that Temporal did not know as they are."""
    mended: int = 0
    """Schedules that were gone, or nobody's, or paused or resumed in Temporal."""


RECONCILE_RUNS = ActionSpec(
    service="orchestration",
    name="reconcile-runs",
    summary="Bring the record of runs in line with Temporal",
    input=ReconcileRuns,
    result=Reconciled,
    timeout=Timeout(start_to_close=300.0),
    roles=frozenset({Role.ADMIN}),
)

ACTIONS = (RECONCILE_RUNS,)
