"""The real server fires at the times that are shown: its next times, read back, around every kind of change day."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest
from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow

from models.schedules import Cron, Daily, Dst, Form, Interval, Monthly, Once, Policy, Weekly
from services.schedules.changes import changes
from services.schedules.server_times import server_times
from services.schedules.times import fire_times, instant_of
from tests.unit.schedules.strategies import ODD_ZONES, ZONES, crons
from workflows.schedule_spec import to_policy, to_spec, to_state

SHOWN = 10
"""Times that the server tells."""
NEW_YORK = "America/New_York"
DST: tuple[Dst, ...] = ("exact", "as-is")
FIXED = [
    Daily(at="02:30"),
    Daily(at="01:30"),
    Daily(at="02:00"),
    Daily(at="00:00"),
    Daily(at="09:00"),
    Weekly(on=["SUN"], at="02:30"),
    Weekly(on=["SAT", "SUN", "MON"], at="01:30"),
    Weekly(on=["SAT"], at="09:00"),
    Monthly(day=31, at="09:00"),
    Monthly(day=31, at="02:30", short_month="skip"),
    Monthly(day=30, at="09:00"),
    Monthly(day=14, at="02:30"),
    Cron(cron="0 9 * * MON#1"),
    Cron(cron="30 2 * * SUN#2"),
    Cron(cron="0 0 L * *"),
    Cron(cron="0 0 LW * *"),
    Cron(cron="0 2 * * 7L"),
    Cron(cron="30 2 1,15 * FRI"),
    Cron(cron="30 2 */2 * SUN"),
    Cron(cron="0,15,45 1-3 * * *"),
]
FREQUENT = [Cron(cron="*/15 * * * *"), Cron(cron="0 * * * *"), Cron(cron="* * * * *"), Cron(cron="*/20 2 * * *")]


@pytest.fixture(scope="module")
def now() -> datetime:
    return datetime.now(UTC)


async def next_times(temporal: Client, form: Form, zone: str, now: datetime, dst: Dst = "exact") -> list[datetime]:
    """The server's next times of a schedule that is paused, and deleted at once."""
    id_ = str(uuid4())
    handle = await temporal.create_schedule(
        id_,
        Schedule(
            action=ScheduleActionStartWorkflow("nothing", id=id_, task_queue="nobody"),
            spec=to_spec(server_times(form, ZoneInfo(zone), now, dst)),
            policy=to_policy(Policy()),
            state=to_state(form.max_runs, paused=True),
        ),
    )
    try:
        return [at.astimezone(UTC) for at in (await handle.describe()).info.next_action_times]
    finally:
        await handle.delete()


def shown(form: Form, zone: str, now: datetime, dst: Dst = "exact") -> list[datetime]:
    times = islice(fire_times(form, ZoneInfo(zone), now, dst), SHOWN)
    return [at.astimezone(UTC) for at in times]


def change_days(zone: str, now: datetime, days: int = 400) -> Iterator[datetime]:
    """The instants at which the clocks change in the next year; without any, two others."""
    found = [change.at for change in changes(ZoneInfo(zone), now, now + timedelta(days=days))]
    return iter(found or [now + timedelta(days=100), now + timedelta(days=300)])


async def assert_same(temporal: Client, form: Form, zone: str, now: datetime, dst: Dst = "exact") -> None:
    expected = shown(form, zone, now, dst)
    assert await next_times(temporal, form, zone, now, dst) == expected, f"{form!r} in {zone}"


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("form", FIXED, ids=repr)
async def test_server_fires_at_the_shown_times_over_change_days(
    temporal: Client, now: datetime, form: Form, zone: str
) -> None:
    for change in change_days(zone, now):
        await assert_same(temporal, form.model_copy(update={"start": change - timedelta(days=2)}), zone, now)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("form", FREQUENT, ids=repr)
async def test_server_follows_the_clock_through_change_hours(
    temporal: Client, now: datetime, form: Form, zone: str
) -> None:
    for change in change_days(zone, now):
        for minutes in (121, 61, 31, 6, 0):
            start = change - timedelta(minutes=minutes)
            await assert_same(temporal, form.model_copy(update={"start": start}), zone, now)


@pytest.mark.parametrize("zone", ZONES)
async def test_server_leaves_out_and_repeats_what_the_clock_does_when_asked_to(
    temporal: Client, now: datetime, zone: str
) -> None:
    for change in change_days(zone, now):
        for at in ("01:30", "02:15"):
            form = Daily(at=at, start=change - timedelta(days=2))
            await assert_same(temporal, form, zone, now, "as-is")


@pytest.mark.parametrize("form", [Monthly(day=day, at="02:30") for day in (29, 30, 31)], ids=repr)
async def test_server_knows_the_last_days_of_leap_years(temporal: Client, now: datetime, form: Monthly) -> None:
    leap = next(year for year in range(now.year + 1, now.year + 10) if year % 4 == 0)
    for year in (leap, leap + 1):
        start = datetime(year - 1, 12, 1, tzinfo=UTC)
        await assert_same(temporal, form.model_copy(update={"start": start}), NEW_YORK, now)


@pytest.mark.parametrize(
    "form",
    [
        Interval(every_seconds=10),
        Interval(every_seconds=86_400, offset_seconds=3_601),
        Interval(every_seconds=7, offset_seconds=3, max_runs=4),
        Daily(at="02:30", max_runs=3),
        Daily(at="12:00", max_runs=1),
    ],
    ids=repr,
)
async def test_server_counts_seconds_and_runs(temporal: Client, form: Form) -> None:
    now = datetime.now(UTC)
    tomorrow = now.replace(microsecond=0) + timedelta(days=1)
    for bounds in ({"start": tomorrow}, {"start": tomorrow, "end": tomorrow + timedelta(days=2, seconds=30)}):
        await assert_same(temporal, form.model_copy(update=bounds), NEW_YORK, now)


async def test_server_includes_start_and_end(temporal: Client, now: datetime) -> None:
    noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
    form = Daily(at="12:00", start=noon + timedelta(days=5), end=noon + timedelta(days=7))
    assert await next_times(temporal, form, "UTC", now) == [noon + timedelta(days=days) for days in (5, 6, 7)]


async def test_server_fires_once_also_in_a_skipped_hour_and_never_again(temporal: Client, now: datetime) -> None:
    zone = ZoneInfo(NEW_YORK)
    for change in change_days(NEW_YORK, now):
        local = change.astimezone(zone).replace(tzinfo=None)
        for minutes in (-90, -30, 0, 30):
            once = Once(at=local + timedelta(minutes=minutes))
            assert await next_times(temporal, once, NEW_YORK, now) == [instant_of(once.at, zone)]


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(crons, st.sampled_from((*ZONES, *ODD_ZONES)), st.integers(0, 1), st.integers(0, 60 * 72), st.sampled_from(DST))
@example(Cron(cron="*/15 0 * * SUN"), "America/Havana", 0, 600, "exact")
@example(Cron(cron="30 0 * * SAT"), "America/Havana", 0, 600, "exact")
@example(Cron(cron="0,30 1,2 * * *"), "Antarctica/Troll", 1, 300, "as-is")
async def test_server_fires_at_the_shown_times_of_any_cron(
    temporal: Client, now: datetime, cron: Cron, zone: str, which: int, minutes: int, dst: Dst
) -> None:
    start = list(change_days(zone, now))[which] - timedelta(minutes=minutes)
    await assert_same(temporal, cron.model_copy(update={"start": start}), zone, now, dst)


DAYS_OF_2027 = [
    (Daily(at="02:30"), "2027-03-12", 4, ["03-12 07:30", "03-13 07:30", "03-14 07:00", "03-15 06:30"]),
    (Daily(at="02:30"), "2027-11-05", 4, ["11-05 06:30", "11-06 06:30", "11-07 07:30", "11-08 07:30"]),
    (Daily(at="01:30"), "2027-11-06", 3, ["11-06 05:30", "11-07 05:30", "11-08 06:30"]),
    (
        Monthly(day=31, at="12:00"),
        "2027-01-01",
        181,
        ["01-31 17:00", "02-28 17:00", "03-31 16:00", "04-30 16:00", "05-31 16:00", "06-30 16:00"],
    ),
    (
        Monthly(day=31, at="12:00", short_month="skip"),
        "2027-01-01",
        365,
        ["01-31 17:00", "03-31 16:00", "05-31 16:00", "07-31 16:00", "08-31 16:00", "10-31 16:00", "12-31 17:00"],
    ),
    (Cron(cron="0 9 * * MON#1"), "2027-03-01", 92, ["03-01 14:00", "04-05 13:00", "05-03 13:00"]),
    (Cron(cron="0 9 * * MON#1"), "2027-11-01", 60, ["11-01 13:00", "12-06 14:00"]),
]
"""Of New York, from a local day on for some days; expected in UTC."""


@pytest.mark.parametrize(("form", "day", "days", "expected"), DAYS_OF_2027, ids=repr)
async def test_what_is_shown_for_2027_is_what_the_server_fires(
    temporal: Client, form: Form, day: str, days: int, expected: list[str]
) -> None:
    zone = ZoneInfo(NEW_YORK)
    begin = datetime.fromisoformat(day).replace(tzinfo=zone)
    end = begin + timedelta(days=days)  # local days
    previewed = takewhile(lambda at: at < end, fire_times(form, zone, begin - timedelta(seconds=1)))
    assert [at.astimezone(UTC).strftime("%m-%d %H:%M") for at in previewed] == expected
    fired = await matching_times(temporal, form, begin, end)
    assert [at.strftime("%m-%d %H:%M") for at in fired] == expected


async def matching_times(temporal: Client, form: Form, begin: datetime, end: datetime) -> list[datetime]:
    """When the server fires a schedule that was made at the end of 2026, in a span of any time, past or to come."""
    id_ = str(uuid4())
    handle = await temporal.create_schedule(
        id_,
        Schedule(
            action=ScheduleActionStartWorkflow("nothing", id=id_, task_queue="nobody"),
            spec=to_spec(server_times(form, ZoneInfo(NEW_YORK), datetime(2026, 12, 1, tzinfo=UTC))),
            state=to_state(None, paused=True),
        ),
    )
    request = ListScheduleMatchingTimesRequest(namespace=temporal.namespace, schedule_id=id_)
    request.start_time.FromDatetime(begin.astimezone(UTC) - timedelta(seconds=1))
    request.end_time.FromDatetime(end.astimezone(UTC) - timedelta(seconds=1))
    try:
        answer = await temporal.workflow_service.list_schedule_matching_times(request)
    finally:
        await handle.delete()
    return [at.ToDatetime(UTC) for at in answer.start_time]
