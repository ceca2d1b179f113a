"""What Temporal is told: calendars that mean what the expression means, and nothing of theirs around a change."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import ScheduleRange

from models.schedules import Cron, Daily, Form, Interval, Monthly, Once, Policy, Weekly
from models.server_times import Calendar, Period, ServerTimes
from services.schedules.calendars import calendars_of
from services.schedules.changes import changes
from services.schedules.crons import cron_expressions, parsed
from services.schedules.server_times import HORIZON, MOST_ENTRIES, server_times
from services.schedules.times import fire_times
from tests.unit.schedules.strategies import ODD_ZONES, ZONES, crons
from workflows.schedule_spec import to_policy, to_spec, to_state

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
DAYS = [date(2027, 1, 1) + timedelta(days=number) for number in range(800)]


def has(calendar: Calendar, day: date) -> bool:
    return (
        day.year in calendar.years
        and day.month in calendar.months
        and day.day in calendar.days
        and day.isoweekday() % 7 in calendar.weekdays
    )


@given(crons)
def test_calendars_have_the_days_of_the_expression(cron: Cron) -> None:
    rule, calendars = parsed(cron.cron), calendars_of(cron.cron)
    for day in DAYS:
        assert any(has(one, day) for one in calendars) == (day.month in rule.months and rule.match_day(day)), day
    assert all((one.minutes, one.hours) == (rule.minutes, rule.hours) for one in calendars)


@given(crons, st.sampled_from((*ZONES, *ODD_ZONES)), st.integers(0, 3))
def test_each_hour_around_a_change_is_either_a_calendar_s_or_named(cron: Cron, name: str, which: int) -> None:
    zone = ZoneInfo(name)
    found = changes(zone, NOW, NOW + timedelta(days=900))
    at = found[which].at if found else NOW + timedelta(days=which)
    first, last = at - timedelta(hours=30), at + timedelta(hours=30)
    told = server_times(cron, zone, NOW)
    assert told.exact_until is not None
    if told.exact_until < last:
        return
    calendars = _calendar_times(told.calendars, zone, first, last)
    named = {one for one in told.instants if first < one <= last}
    expected = set[datetime]()
    for time in fire_times(cron, zone, first):
        if time.astimezone(UTC) > last:
            break
        expected.add(time.astimezone(UTC))
    assert calendars | named == expected


def _calendar_times(calendars: Iterable[Calendar], zone: ZoneInfo, first: datetime, last: datetime) -> set[datetime]:
    """What a server without faults would fire."""
    minutes = (first + timedelta(minutes=number) for number in range(1, int((last - first).total_seconds()) // 60 + 1))
    return {
        at
        for at in minutes
        for local in (at.astimezone(zone),)
        for one in calendars
        if has(one, local) and local.hour in one.hours and local.minute in one.minutes
    }


@pytest.mark.parametrize(
    ("form", "zone", "sizes"),
    [
        (Daily(at="09:00"), "America/New_York", (1, 0)),  # no change is near
        (Daily(at="02:30"), "UTC", (1, 0)),
        (Daily(at="02:30"), "Asia/Kolkata", (1, 0)),
        (Weekly(on=["MON"], at="02:30"), "America/New_York", (1, 0)),  # clocks change on Sundays
        (Monthly(day=31, at="09:00"), "America/New_York", (4, 0)),
        (Monthly(day=31, at="09:00", short_month="skip"), "America/New_York", (1, 0)),
        (Cron(cron="0 9 * * MON#1"), "America/New_York", (1, 0)),
    ],
)
def test_most_schedules_are_a_calendar_or_two(form: Form, zone: str, sizes: tuple[int, int]) -> None:
    told = server_times(form, ZoneInfo(zone), NOW)
    assert (len(told.calendars), len(told.instants)) == sizes


def test_ten_years_of_changes_are_named_and_one_that_is_past() -> None:
    told = server_times(Daily(at="02:30"), NEW_YORK, NOW)
    assert Counter(at.year for at in told.instants) == Counter(range(2026, 2037))
    assert told.exact_until == NOW.replace(hour=0) + HORIZON


@pytest.mark.parametrize(
    "cron", ["* * * * *", "* 0-3 * * *", "* * */2,L,LW * 1#1,2#2,3#3,4#4,5#5,0L,1L,2L,3L,4L,5L,6L"]
)
@pytest.mark.parametrize("zone", [*ZONES, *ODD_ZONES])
def test_entries_are_bounded_and_what_does_not_fit_is_told(cron: str, zone: str) -> None:
    told = server_times(Cron(cron=cron), ZoneInfo(zone), NOW)
    assert len(told.calendars) + len(told.instants) <= MOST_ENTRIES
    assert told.exact_until is not None
    assert all(at < told.exact_until for at in told.instants)
    assert told.exact_until > NOW + timedelta(days=180)


def test_changes_count_from_the_start_when_that_is_far_away() -> None:
    start = datetime(2045, 1, 1, tzinfo=UTC)
    told = server_times(Daily(at="02:30", start=start), NEW_YORK, NOW)
    assert told.start == start
    assert datetime(2046, 3, 11, 7, tzinfo=UTC) in told.instants


def test_schedule_that_ends_before_the_horizon_stays_exact() -> None:
    assert server_times(Daily(at="02:30", end=NOW + timedelta(days=900)), NEW_YORK, NOW).exact_until is None


def test_intervals_and_single_times_need_no_calendar() -> None:
    at = datetime(2027, 3, 14, 7, tzinfo=UTC)
    interval = server_times(Interval(every_seconds=90, offset_seconds=7), NEW_YORK, NOW)
    assert interval == ServerTimes("America/New_York", periods=(Period(90, 7),))
    once = server_times(Once(at=at.replace(hour=2, minute=30, tzinfo=None)), NEW_YORK, NOW)
    assert once == ServerTimes("America/New_York", instants=(at,))
    spec = to_spec(once)
    assert (spec.start_at, spec.end_at) == (at, at)


@given(st.sets(st.integers(0, 59), min_size=1))
def test_ranges_have_the_values_and_nothing_else(minutes: set[int]) -> None:
    times = server_times(Cron(cron=f"{','.join(map(str, minutes))} 12 * * *"), ZoneInfo("UTC"), NOW)
    ranges = to_spec(times).calendars[0].minute
    assert [minute for one in ranges for minute in values(one)] == sorted(minutes)


def values(one: ScheduleRange) -> range:
    return range(one.start, one.end + 1, one.step)


def test_policies_and_counts_are_told_in_temporal_s_words() -> None:
    policy = to_policy(Policy(overlap="cancel-other", catchup_window_seconds=60, pause_on_failure=True))
    assert (policy.overlap.name, policy.catchup_window, policy.pause_on_failure) == (
        "CANCEL_OTHER",
        timedelta(minutes=1),
        True,
    )
    assert (to_state(3).limited_actions, to_state(3).remaining_actions) == (True, 3)
    assert (to_state(None, paused=True).limited_actions, to_state(None).remaining_actions) == (False, 0)
    assert to_spec(server_times(Daily(at="09:00"), NEW_YORK, NOW), 30).jitter == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("form", "expressions"),
    [
        (Daily(at="02:05"), ("5 2 * * *",)),
        (Weekly(on=["MON", "SUN"], at="00:00"), ("0 0 * * MON,SUN",)),
        (Monthly(day=28, at="09:00"), ("0 9 28 * *",)),
        (Monthly(day=29, at="09:00"), ("0 9 29 1,3-12 *", "0 9 L 2 *")),
        (Monthly(day=30, at="09:00", short_month="skip"), ("0 9 30 * *",)),
        (Monthly(day=31, at="09:00"), ("0 9 L * *",)),
    ],
)
def test_calendar_forms_are_cron_expressions(form: Daily | Weekly | Monthly, expressions: tuple[str, ...]) -> None:
    assert cron_expressions(form) == expressions
