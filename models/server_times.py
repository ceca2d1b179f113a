"""When a schedule fires, in the terms that Temporal's server knows: calendars, periods and single instants."""

from dataclasses import dataclass
from datetime import datetime

from models.schedules import Policy

Values = frozenset[int]


@dataclass(frozen=True)
class Calendar:
    """Fires at second 0 of every local time whose fields are all among these."""

    minutes: Values
    hours: Values
    days: Values
    months: Values
    weekdays: Values
    """From 0, Sunday."""
    years: Values

    def __and__(self, other: "Calendar") -> "Calendar":
        """What both have."""
        return Calendar(
            self.minutes & other.minutes,
            self.hours & other.hours,
            self.days & other.days,
            self.months & other.months,
            self.weekdays & other.weekdays,
            self.years & other.years,
        )

    def __bool__(self) -> bool:
        """Whether no field is empty."""
        return all((self.minutes, self.hours, self.days, self.months, self.weekdays, self.years))


@dataclass(frozen=True)
class Period:
    """Fires each time that many seconds have passed since 1970-01-01T00:00Z plus the offset."""

    every_seconds: int
    offset_seconds: int


@dataclass(frozen=True)
class ServerTimes:
    """The union of all these, within the bounds, which are included."""

    timezone: str
    calendars: tuple[Calendar, ...] = ()
    periods: tuple[Period, ...] = ()
    instants: tuple[datetime, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    exact_until: datetime | None = None
    """From then on, change days of the clocks are left to the server. None: it never matters."""


@dataclass(frozen=True)
class TaskSchedule:
    """The schedule of a task, as it is to be."""

    task_id: str
    name: str
    owner_id: str
    times: ServerTimes
    policy: Policy
    is_known: bool
    """Whether Temporal was told of it before."""
    remaining_runs: int | None
    """None: without a limit."""
    counts_anew: bool
    """Whether the runs are counted anew; else Temporal's own count goes on."""
    paused: bool
    pauses_anew: bool
    """Whether somebody paused or resumed the task; else what Temporal has made of it by itself stays."""
    late: tuple[datetime, datetime] | None
    """From when to when it was to fire before Temporal was told."""
