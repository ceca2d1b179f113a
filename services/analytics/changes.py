"""What one transaction changes of one learner."""

from dataclasses import dataclass, field

from services.analytics.activities import Activity
from services.analytics.timeline import Achieved, Checkpoint, Earned, Known, Tallies, Tally, Timeline


@dataclass
class LearnerChange:
    """One learner in one transaction."""

    owner_id: str
    known: Known
    score: int | None
    """The score before; None for a learner without events."""
    zone: str | None
    rules_version: int
    """The newest custom badge that had been looked at before."""
    moved: dict[str, float] = field(default_factory=dict[str, float])
    """Badges that have come nearer, with the progress before."""
    days: Tallies = field(default_factory=dict[int, Tally])
    utc_days: Tallies = field(default_factory=dict[int, Tally])
    earned: list[Earned] = field(default_factory=list[Earned])
    achieved: list[Achieved] = field(default_factory=list[Achieved])
    events: list[Activity] = field(default_factory=list[Activity])
    checkpoints: list[Checkpoint] = field(default_factory=list[Checkpoint])
    refolded: bool = False
    """Whether it was not only continued: something that follows from events may be different now."""
    base: int = 0
    """When refolded, the number of first events of which nothing is different."""

    def take_over(self, folding: Timeline) -> None:
        """What a fold has found."""
        self.known = folding.known
        self.days, self.utc_days = folding.days, folding.utc_days
        self.earned, self.achieved = folding.earned, folding.achieved
        self.checkpoints = folding.checkpoints
