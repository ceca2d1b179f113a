"""What one transaction changes of one learner."""

from dataclasses import dataclass, field

from services.analytics.activities import Activity
from services.analytics.timeline import Achieved, BadgesBefore, Earned, Known, Tallies, Tally


@dataclass
class LearnerChange:
    """One learner in one transaction."""

    owner_id: str
    known: Known
    score: int | None
    """The score before; None for a learner without events."""
    zone: str | None
    before: BadgesBefore
    """What was known of its badges before."""
    days: Tallies = field(default_factory=dict[int, Tally])
    utc_days: Tallies = field(default_factory=dict[int, Tally])
    earned: list[Earned] = field(default_factory=list[Earned])
    achieved: list[Achieved] = field(default_factory=list[Achieved])
    events: list[Activity] = field(default_factory=list[Activity])
    refolded: bool = False
    """Whether `earned` and `achieved` are those of the learner's whole history."""
