"""An activity event with its place in time: what all rules work on."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000
"""In microseconds, the unit of all instants here."""
DAY_SECONDS = 86_400


class Order(NamedTuple):
    """Where an event stands among all of its learner: by time, then by what names it."""

    at: int
    source: str
    id: str


@dataclass(frozen=True, slots=True)
class Activity:
    """One event of one learner. Its local day was fixed when it came in."""

    owner_id: str
    source: str
    id: str
    kind: str
    at: int
    """Microseconds since 1970-01-01 UTC."""
    offset: int
    """Seconds from UTC to the learner's local time."""
    data: dict[str, Any]
    self_reported: bool = False

    @property
    def order(self) -> Order:
        """What all of a learner's events are sorted by."""
        return Order(self.at, self.source, self.id)

    @property
    def day(self) -> int:
        """The local day, counted from 1970-01-01."""
        return (self.at // SECOND + self.offset) // DAY_SECONDS

    @property
    def utc_day(self) -> int:
        """The day in UTC, counted from 1970-01-01."""
        return self.at // (SECOND * DAY_SECONDS)

    @property
    def local_second(self) -> int:
        """Second of the local day."""
        return (self.at // SECOND + self.offset) % DAY_SECONDS


def instant(at: datetime) -> int:
    """A time as microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def moment(at: int) -> datetime:
    """Microseconds since 1970 as a time in UTC."""
    return _EPOCH + timedelta(microseconds=at)


def day_number(day: date) -> int:
    """A day counted from 1970-01-01."""
    return day.toordinal() - _EPOCH_DAY


def day_of(number: int) -> date:
    """The day with that number. Raises ValueError before the year 1."""
    return date.fromordinal(number + _EPOCH_DAY)
