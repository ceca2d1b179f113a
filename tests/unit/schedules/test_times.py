"""When schedules fire, by tables of what clocks showed, and for any cron against independent rules."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInputError
from models.schedules import Cron, Daily, Dst, Form, Interval, Monthly, Once, Weekly
from services.schedules.changes import changes
from services.schedules.crons import parsed
from services.schedules.times import fire_times, instant_of, next_times
from tests.unit.schedules.strategies import ODD_ZONES, ZONES, crons

NEW_YORK = ZoneInfo("America/New_York")
BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
HAVANA = ZoneInfo("America/Havana")
KOLKATA = ZoneInfo("Asia/Kolkata")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


def times(form: Form, zone: ZoneInfo, after: str, count: int = 3, dst: Dst = "exact") -> list[str]:
    since = datetime.fromisoformat(after).replace(tzinfo=zone)
    return [at.isoformat(timespec="minutes") for at in islice(fire_times(form, zone, since, dst), count)]


@pytest.mark.parametrize(
    ("form", "zone", "after", "expected"),
    [
        (Daily(at="02:30"), NEW_YORK, "03-13", "03-13T02:30-05 03-14T03:00-04 03-15T02:30-04"),
        (Daily(at="01:30"), NEW_YORK, "11-06", "11-06T01:30-04 11-07T01:30-04 11-08T01:30-05"),
        (Daily(at="02:30"), BERLIN, "03-27", "03-27T02:30+01 03-28T03:00+02 03-29T02:30+02"),
        (Daily(at="02:30"), BERLIN, "10-30", "10-30T02:30+02 10-31T02:30+02 11-01T02:30+01"),
        (Daily(at="02:15"), LORD_HOWE, "10-02", "10-02T02:15+1030 10-03T02:30+11 10-04T02:15+11"),
        (Daily(at="01:45"), LORD_HOWE, "04-03", "04-03T01:45+11 04-04T01:45+11 04-05T01:45+1030"),
        (Daily(at="00:15"), HAVANA, "03-13", "03-13T00:15-05 03-14T01:00-04 03-15T00:15-04"),
        (Daily(at="02:30"), KOLKATA, "03-13", "03-13T02:30+0530 03-14T02:30+0530 03-15T02:30+0530"),
        (Cron(cron="0 2,3 * * *"), NEW_YORK, "03-14", "03-14T03:00-04 03-15T02:00-04 03-15T03:00-04"),
        (Cron(cron="*/30 2 * * *"), NEW_YORK, "03-14", "03-15T02:00-04 03-15T02:30-04 03-16T02:00-04"),
        (Cron(cron="*/30 1 * * *"), NEW_YORK, "11-07", "11-07T01:00-04 11-07T01:30-04 11-07T01:00-05"),
        (Cron(cron="*/15 0 * * SUN"), HAVANA, "03-13", "03-21T00:00-04 03-21T00:15-04 03-21T00:30-04"),
        (Cron(cron="*/15 2 * * *"), LORD_HOWE, "04-04", "04-04T02:00+1030 04-04T02:15+1030 04-04T02:30+1030"),
        (Cron(cron="0 9 * * MON#1"), NEW_YORK, "01-01", "01-04T09:00-05 02-01T09:00-05 03-01T09:00-05"),
        (Cron(cron="30 2 1,15 * FRI"), NEW_YORK, "01-01", "01-01T02:30-05 01-08T02:30-05 01-15T02:30-05"),
        (Weekly(on=["MON", "FRI"], at="02:30"), BERLIN, "03-27", "03-29T02:30+02 04-02T02:30+02 04-05T02:30+02"),
        (Once(at=local("2027-03-14T02:30")), NEW_YORK, "03-13", "03-14T03:00-04"),
        (Once(at=datetime(2027, 3, 14, 2, 30, tzinfo=UTC)), NEW_YORK, "03-13", "03-13T21:30-05"),
        (Once(at=local("2027-03-14T02:30")), NEW_YORK, "03-15", ""),
    ],
)  # fmt: skip
def test_times_of_the_day_are_those_of_the_zone(form: Form, zone: ZoneInfo, after: str, expected: str) -> None:
    since = datetime.fromisoformat(f"2027-{after}").replace(tzinfo=zone)
    found = [f"{at:%m-%dT%H:%M%z}".removesuffix("00") for at in islice(fire_times(form, zone, since), 3)]
    assert found == expected.split()


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("2027-11-07T01:30-04:00", "2027-11-08T01:30-05:00"),
        ("2027-11-07T01:29-04:00", "2027-11-07T01:30-04:00"),
        ("2027-11-07T01:10-05:00", "2027-11-08T01:30-05:00"),  # the first 01:30 is over, the second does not count
    ],
)
def test_repeated_hour_counts_once_from_whatever_instant(after: str, expected: str) -> None:
    found = next(fire_times(Daily(at="01:30"), NEW_YORK, datetime.fromisoformat(after)))
    assert found.isoformat(timespec="minutes") == expected


def test_what_the_clock_skips_is_left_out_and_what_it_repeats_comes_twice_as_is() -> None:
    assert times(Daily(at="02:30"), NEW_YORK, "2027-03-14", 1, "as-is") == ["2027-03-15T02:30-04:00"]
    twice = ["2027-11-07T01:30-04:00", "2027-11-07T01:30-05:00"]
    assert times(Daily(at="01:30"), NEW_YORK, "2027-11-07", 2, "as-is") == twice


@pytest.mark.parametrize(
    ("form", "days"),
    [
        (Monthly(day=31, at="09:00"), "01-31 02-29 03-31 04-30 05-31"),
        (Monthly(day=31, at="09:00", short_month="skip"), "01-31 03-31 05-31 07-31 08-31"),
        (Monthly(day=30, at="09:00"), "01-30 02-29 03-30 04-30 05-30"),
        (Monthly(day=30, at="09:00", short_month="skip"), "01-30 03-30 04-30 05-30 06-30"),
        (Monthly(day=29, at="09:00"), "01-29 02-29 03-29 04-29 05-29"),
        (Monthly(day=1, at="09:00"), "01-01 02-01 03-01 04-01 05-01"),
        (Cron(cron="0 9 L * *"), "01-31 02-29 03-31 04-30 05-31"),
        (Cron(cron="0 9 LW * *"), "01-31 02-29 03-31 04-28 05-31"),
        (Cron(cron="0 9 * * 5L"), "01-28 02-25 03-31 04-28 05-26"),
    ],
)
def test_days_of_the_month_in_a_leap_year(form: Form, days: str) -> None:
    assert [at[5:10] for at in times(form, BERLIN, "2028-01-01", 5)] == days.split()


def test_last_day_of_a_common_february() -> None:
    assert times(Monthly(day=30, at="09:00"), BERLIN, "2027-02-01", 1) == ["2027-02-28T09:00+01:00"]


@given(st.integers(1, 200_000), st.data(), st.datetimes(local("2026-01-01"), local("2030-01-01")))
def test_intervals_count_from_the_epoch(every: int, data: st.DataObject, after: datetime) -> None:
    offset = data.draw(st.integers(0, every - 1))
    form = Interval(every_seconds=every, offset_seconds=offset)
    found = list(islice(fire_times(form, NEW_YORK, after.replace(tzinfo=UTC)), 3))
    assert all((at.timestamp() - offset) % every == 0 for at in found)
    assert 0 < (found[0] - after.replace(tzinfo=UTC)).total_seconds() <= every


def test_start_and_end_are_included_and_runs_are_counted() -> None:
    form = Daily(at="12:00", start=local("2027-03-05T12:00"), end=local("2027-03-08T12:00-05:00"))
    assert [at[8:10] for at in times(form, NEW_YORK, "2027-03-01", 9)] == ["05", "06", "07", "08"]
    assert [at[8:10] for at in times(form.model_copy(update={"max_runs": 2}), NEW_YORK, "2027-03-06", 9)] == [
        "06",
        "07",
    ]


@pytest.mark.parametrize("after", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
@pytest.mark.parametrize("form", [Daily(at="02:30"), Cron(cron="* * * * *"), Interval(every_seconds=86_400)], ids=repr)
def test_nothing_fires_outside_of_the_years_of_calendars(form: Form, after: datetime) -> None:
    found = list(islice(fire_times(form, NEW_YORK, after), 2))
    assert [at.astimezone(UTC).year for at in found] == ([2000, 2000] if after.year == 1 else [])


MAY = local("2027-05-01")


@pytest.mark.parametrize(
    ("form", "pointer", "code"),
    [
        (Daily(at="02:30", start=MAY, end=local("2027-04-01T00:00Z")), "/schedule/end", "end-before-start"),
        (Daily(at="02:30", start=MAY, end=local("2027-05-01T02:00")), "/schedule/end", "never-fires"),
        (Once(at=local("2020-01-01")), "/schedule/at", "never-fires"),
        (Daily(at="02:30", start=local("2100-12-31T12:00")), "/schedule/start", "never-fires"),
    ],
)
def test_schedule_that_never_fires_is_refused(form: Form, pointer: str, code: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        next_times(form, NEW_YORK, datetime(2027, 1, 1, tzinfo=UTC), 1)
    assert [(one.pointer, one.code) for one in refused.value.problems] == [(pointer, code)]


@given(crons, st.sampled_from((*ZONES, *ODD_ZONES)), st.integers(0, 7), st.integers(-600, 60 * 72))
def test_fires_exactly_when_the_clock_shows_it(cron: Cron, name: str, which: int, minutes: int) -> None:
    zone = ZoneInfo(name)
    first = _around_a_change(zone, which, minutes)
    last = first + timedelta(days=1)
    rule = parsed(cron.cron)
    shown = [first + timedelta(minutes=minute) for minute in range(1, 24 * 60 + 1)]
    local = [at.astimezone(zone) for at in shown]
    expected = [
        at
        for at in local
        if at.minute in rule.minutes and at.hour in rule.hours and at.month in rule.months and rule.match_day(at)
    ]
    assert list(takewhile(lambda at: at.astimezone(UTC) <= last, fire_times(cron, zone, first, "as-is"))) == expected


@given(crons, st.sampled_from((*ZONES, *ODD_ZONES)), st.integers(0, 7), st.integers(-600, 60 * 72))
def test_times_are_in_order_and_each_once(cron: Cron, name: str, which: int, minutes: int) -> None:
    zone = ZoneInfo(name)
    after = _around_a_change(zone, which, minutes)
    found = [at.astimezone(UTC) for at in islice(fire_times(cron, zone, after), 30)]
    assert all(one < other for one, other in pairwise([after, *found]))
    if len(found) > 1:  # what comes after one of them does not depend on where one began
        assert next(fire_times(cron, zone, found[0])).astimezone(UTC) == found[1]


@given(
    crons, st.sampled_from(["America/New_York", "Europe/Berlin", "Asia/Kolkata"]), st.integers(0, 7), st.integers(0, 99)
)
def test_cron_is_what_debian_s_is_where_clocks_change_by_an_hour(
    cron: Cron, name: str, which: int, minutes: int
) -> None:
    zone = ZoneInfo(name)
    after = _around_a_change(zone, which, minutes + 180)
    expected = [at.astimezone(UTC) for at in islice(CronSim(cron.cron, after.astimezone(zone)), 10)]
    assert [at.astimezone(UTC) for at in islice(fire_times(cron, zone, after), 10)] == expected


def _around_a_change(zone: ZoneInfo, which: int, minutes: int) -> datetime:
    """That many minutes before one of the changes of clocks; without any, of the year."""
    found = changes(zone, datetime(2026, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC))
    at = found[which].at if found else datetime(2026 + which // 2, 3, 1, tzinfo=UTC)
    return at - timedelta(minutes=minutes)


def test_local_moments_are_instants_of_the_zone() -> None:
    assert instant_of(local("2027-03-14T02:30"), NEW_YORK) == datetime(2027, 3, 14, 7, tzinfo=UTC)
    assert instant_of(local("2027-11-07T01:30"), NEW_YORK) == datetime(2027, 11, 7, 5, 30, tzinfo=UTC)
