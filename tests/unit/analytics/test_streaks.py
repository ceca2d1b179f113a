import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.analytics.streaks import Streak, streak


def days(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


@pytest.mark.parametrize(
    ("active", "today", "current", "longest", "frozen", "held"),
    [
        ([], 5, 0, 0, 0, 0),
        (days(1, 3), 3, 3, 3, 0, 0),
        (days(1, 3), 4, 3, 3, 0, 0),  # today may still be missed
        (days(1, 3), 5, 0, 3, 0, 0),
        (days(1, 6), 8, 0, 6, 0, 0),
        (days(1, 7), 7, 7, 7, 0, 1),
        (days(1, 7), 8, 7, 7, 0, 1),
        (days(1, 7), 9, 7, 7, 1, 0),
        (days(1, 7), 10, 0, 7, 0, 0),
        ([*days(1, 6), 8], 8, 1, 6, 0, 0),
        ([*days(1, 7), 9], 9, 8, 8, 1, 0),
        ([*days(1, 7), 9], 11, 0, 8, 0, 0),
        ([*days(1, 7), *days(9, 14)], 14, 13, 13, 1, 0),
        ([*days(1, 7), *days(9, 15)], 15, 14, 14, 1, 1),  # missed days do not count toward the next freeze
        (days(1, 14), 14, 14, 14, 0, 2),
        (days(1, 21), 21, 21, 21, 0, 2),
        (days(1, 70), 70, 70, 70, 0, 2),
        ([*days(1, 14), 17], 17, 15, 15, 2, 0),
        ([*days(1, 14), 18], 18, 1, 14, 0, 0),
        (days(1, 21), 24, 21, 21, 2, 0),
        (days(1, 21), 25, 0, 21, 0, 0),
        ([*days(1, 14), 16, 18], 18, 16, 16, 2, 0),
        ([*days(1, 14), 16, 18, 20], 20, 1, 16, 0, 0),
        ([*days(1, 20), *days(30, 33)], 33, 4, 20, 0, 0),  # what was held is lost with the streak
        ([*days(1, 5), *days(30, 40)], 40, 11, 11, 0, 1),
        (days(1, 3), 2, 3, 3, 0, 0),
        (days(-3, 2), 2, 6, 6, 0, 0),
    ],
)
def test_freezes_are_earned_each_seventh_day_and_used_by_missed_days(
    active: list[int], today: int, current: int, longest: int, frozen: int, held: int
) -> None:
    found = streak(active, today)
    assert (found.current, found.longest, found.frozen_days, found.freezes_held) == (current, longest, frozen, held)
    assert (found.started_on is None) == (current == 0)


def test_streak_starts_on_its_first_active_day() -> None:
    assert streak([1, *days(5, 11), 13], 13) == Streak(8, 8, 1, 0, 5)


@given(st.sets(st.integers(1, 120), min_size=1), st.integers(1, 10))
def test_streak_covers_every_day_since_it_started(active: set[int], later: int) -> None:
    today = max(active) + later
    found = streak(sorted(active), today)
    assert found.current <= found.longest <= len(active)
    assert 0 <= found.freezes_held <= 2
    if found.started_on is not None:
        since = [day for day in range(found.started_on, today) if day not in active]
        assert found.frozen_days == len(since) <= found.current // 7
        assert found.current == sum(day >= found.started_on for day in active)
