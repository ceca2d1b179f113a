"""What a plan looks like from outside: the answer to `POST /workflow/validate` (CONTRACT 3)."""

from pydantic import Field

from models.contract import Contract


class Budget(Contract):
    """Upper bounds of what one run costs in Temporal, all its parts (continue-as-new) together.

    Bounds hold while no worker is lost, no workflow task is tried again and the database answers within seconds. Runs
    of other definitions have budgets of their own.
    """

    steps: int
    open_maps: int
    """Maps whose lists are known only in a run: each is counted with one item."""
    history_events: int
    history_bytes: int


class PlanOutline(Contract):
    """A plan by the ids of its steps."""

    order: tuple[str, ...] = Field(examples=[("load", "analyze", "report")])
    """Parents first, as written where the graph leaves a choice."""
    on_failure: tuple[str, ...] = ()
    """Steps that run only when the run has failed."""
    parallel_groups: tuple[tuple[str, ...], ...]
    """Steps by the length of the longest way to them: each group could run at once."""
    critical_path: tuple[str, ...]
    """The longest chain of steps, the first one as written."""
    budget: Budget
