"""When the clocks of a zone change. Pure, but for the time zone database."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_STEP = timedelta(days=7)
"""No zone changes its clocks and changes them back within it."""


@dataclass(frozen=True)
class Change:
    """The clocks are put forward or back."""

    at: datetime
    """First instant of the new offset, in UTC."""
    before: timedelta
    """Offset from UTC until then."""
    after: timedelta

    @property
    def stops(self) -> datetime:
        """What the clock would show at that instant, had it not changed."""
        return self.at.replace(tzinfo=None) + self.before

    @property
    def goes_on(self) -> datetime:
        """What the clock shows at that instant."""
        return self.at.replace(tzinfo=None) + self.after


@lru_cache(maxsize=256)
def changes(zone: ZoneInfo, since: datetime, until: datetime) -> tuple[Change, ...]:
    """All changes after `since`, up to `until`, in order."""
    found: list[Change] = []
    early = since.astimezone(UTC).replace(microsecond=0)
    while early < until:
        late = min(early + _STEP, until.astimezone(UTC))
        before, after = _offset(zone, early), _offset(zone, late)
        if before != after:
            found.append(Change(_first_with(zone, after, early, late), before, after))
        early = late
    return tuple(found)


def _first_with(zone: ZoneInfo, offset: timedelta, early: datetime, late: datetime) -> datetime:
    while late - early > timedelta(seconds=1):
        middle = (early + (late - early) / 2).replace(microsecond=0)
        if _offset(zone, middle) == offset:
            late = middle
        else:
            early = middle
    return late


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()
