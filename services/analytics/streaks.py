"""Streaks of active local days, with freezes. Pure.

Every seventh active day of a streak earns a freeze; up to two are held. A missed day uses one by itself and is bridged:
it does not count, and does not break. Today may still be missed; what is used up is what the days before needed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

EARNED_EVERY = 7
MOST_HELD = 2


@dataclass(frozen=True)
class Streak:
    """Active days in a row as of today."""

    current: int = 0
    longest: int = 0
    frozen_days: int = 0
    """Missed days that freezes have bridged in the current streak."""
    freezes_held: int = 0
    started_on: int | None = None
    """First day of the current streak."""


def streak(days: Iterable[int], today: int) -> Streak:
    """The streak of `days`, each once and in order, on the day `today`. Days after today count as today's."""
    current = longest = frozen = held = 0
    start = last = None
    for day in days:
        missed = 0 if last is None else day - last - 1
        if last is None or missed > held:
            current = frozen = held = 0
            start = day
        else:
            held -= missed
            frozen += missed
        current += 1
        if current % EARNED_EVERY == 0:
            held = min(MOST_HELD, held + 1)
        longest = max(longest, current)
        last = day
    if last is None:
        return Streak()
    missed = max(0, today - last - 1)
    if missed > held:
        return Streak(longest=longest)
    return Streak(current, longest, frozen + missed, held - missed, start)
