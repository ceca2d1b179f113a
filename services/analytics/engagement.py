"""The engagement score (CONTRACT 5), as of a local day. Pure.

Kept of a learner: the last active local day, a bit for each of the 56 days up to it, and the scores of the last 20
attempts. Weeks are the seven days up to today, the seven before, and so on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

FORMULA_VERSION = 1
REMEMBERED_DAYS = 56
RECENT_ATTEMPTS = 20
_ALL = (1 << REMEMBERED_DAYS) - 1
_MONTH = (1 << 28) - 1
_WEEK = (1 << 7) - 1
_FULL_SCORE = 10_000
"""Of an attempt, in hundredths."""


@dataclass(frozen=True)
class Engagement:
    """The score and its parts, each from 0 to 1."""

    score: int
    recency: float
    frequency: float
    consistency: float
    performance: float


NONE = Engagement(0, 0.0, 0.0, 0.0, 0.0)


def remember_day(last_day: int, active: int, day: int) -> tuple[int, int]:
    """The last active day and the bits of active days, with one more active day."""
    if day > last_day:
        return day, (active << min(day - last_day, REMEMBERED_DAYS) | 1) & _ALL
    return last_day, active | (1 << (last_day - day)) & _ALL


def performance(recent: Sequence[int]) -> float:
    """Mean score of the last attempts (in hundredths of a point), from 0 to 1; 0 without any."""
    last = recent[-RECENT_ATTEMPTS:]
    return sum(last) / (_FULL_SCORE * len(last)) if last else 0.0


def engagement(last_day: int | None, active: int, attempts: float, today: int) -> Engagement:
    """The score on a day; `attempts` is the performance. Without any activity it is 0."""
    if last_day is None:
        return NONE
    days = max(0, today - last_day)
    seen = active << min(days, REMEMBERED_DAYS)
    recency = 2.0 ** (-days / 7)
    frequency = min(1.0, (seen & _MONTH).bit_count() / 20)
    consistency = sum(1 for week in range(8) if seen >> (7 * week) & _WEEK) / 8
    score = 100 * (0.30 * recency + 0.30 * frequency + 0.25 * consistency + 0.15 * attempts)
    return Engagement(_rounded_half_up(score), recency, frequency, consistency, attempts)


def _rounded_half_up(value: float) -> int:
    return int(round(value, 9) + 0.5)  # what binary fractions lost below a billionth does not decide
