import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.analytics.engagement import NONE, engagement, performance, remember_day

TODAY = 20_000
EVERY_DAY = (1 << 56) - 1
TWENTY_DAYS = sum(1 << number for number in range(20))
EVERY_WEEK = sum(1 << 7 * week for week in range(8))


@pytest.mark.parametrize(
    ("ago", "active", "attempts", "score"),
    [
        (0, EVERY_DAY, 1.0, 100),
        (0, TWENTY_DAYS | EVERY_WEEK, 1.0, 100),
        (0, (TWENTY_DAYS >> 1) | EVERY_WEEK, 1.0, 100),  # week 3 fills the place of the day that is left out
        (0, ((1 << 19) - 1) | (EVERY_WEEK & ~((1 << 28) - 1)) | 1 << 55, 1.0, 95),  # 19 of 28 days, 7 of 8 weeks
        (0, 1, 0.0, 35),  # 30 + 1.5 + 3.125
        (7, 1, 0.0, 20),  # 15 + 1.5 + 3.125
        (14, 1, 0.0, 12),  # 7.5 + 1.5 + 3.125
        (27, 1, 0.0, 7),  # 2.07 + 1.5 + 3.125
        (28, 1, 0.0, 5),  # 1.875 + 3.125: not one of the 28 days any more
        (55, 1, 0.0, 3),  # 0.13 + 3.125
        (56, 1, 0.0, 0),
        (10_000, EVERY_DAY, 0.0, 0),
        (10_000, EVERY_DAY, 1.0, 15),
        (0, 1, 0.125, 37),  # 36.5
        (0, 1, 0.1249, 36),
        (0, 1, 0.525, 43),  # 42.5
        (0, 1, 0.5249, 42),
        (0, 0b11, 0.425, 43),  # 36.125 + 6.375 = 42.5
    ],
)
def test_score_follows_the_formula_and_is_rounded_half_up(ago: int, active: int, attempts: float, score: int) -> None:
    assert engagement(TODAY - ago, active, attempts, TODAY).score == score


def test_without_data_the_score_is_zero() -> None:
    assert engagement(None, 0, 0.0, TODAY) == NONE
    assert NONE.score == 0


@pytest.mark.parametrize(("ago", "recency"), [(0, 1), (7, 0.5), (14, 0.25), (28, 0.0625)])
def test_recency_halves_each_week(ago: int, recency: float) -> None:
    assert engagement(TODAY - ago, 1, 0.0, TODAY).recency == recency


@pytest.mark.parametrize(
    ("active", "frequency", "consistency"),
    [
        (1, 0.05, 0.125),
        (0b1111111, 0.35, 0.125),
        (0b11111111, 0.4, 0.25),
        (1 << 6 | 1 << 7, 0.1, 0.25),
        (1 << 27, 0.05, 0.125),
        (1 << 28, 0, 0.125),
        (1 << 55, 0, 0.125),
        (EVERY_WEEK, 0.2, 1),
        (TWENTY_DAYS >> 1, 0.95, 0.375),
        (TWENTY_DAYS, 1, 0.375),
        (EVERY_DAY, 1, 1),
    ],
)
def test_days_count_for_four_weeks_and_weeks_for_eight(active: int, frequency: float, consistency: float) -> None:
    found = engagement(TODAY, active, 0.0, TODAY)
    assert (found.frequency, found.consistency) == (pytest.approx(frequency), consistency)


def test_day_after_today_counts_as_today() -> None:
    assert engagement(TODAY + 1, 1, 0.0, TODAY) == engagement(TODAY, 1, 0.0, TODAY)


@pytest.mark.parametrize(
    ("recent", "mean"),
    [([], 0), ([10_000], 1), ([0, 10_000], 0.5), ([0] * 5 + [10_000] * 20, 1), ([8_999], 0.8999)],
)
def test_performance_is_the_mean_of_the_last_twenty(recent: list[int], mean: float) -> None:
    assert performance(recent) == mean


@given(st.lists(st.integers(TODAY - 100, TODAY), min_size=1), st.integers(0, 70))
def test_days_are_remembered_in_any_order(days: list[int], later: int) -> None:
    last, active = days[0], 1
    for day in days[1:]:
        last, active = remember_day(last, active, day)
    today = TODAY + later
    kept = {day for day in days if day > max(days) - 56}
    found = engagement(last, active, 0.0, today)
    assert last == max(days)
    assert active < 1 << 56
    assert found.frequency == min(1, sum(day > today - 28 for day in kept) / 20)
    assert found.consistency == len({(today - day) // 7 for day in kept if day > today - 56}) / 8
    assert 0 <= found.score <= 100
