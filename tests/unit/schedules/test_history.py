"""What became of the times at which a task was to run."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.runs import RunStatus
from models.schedules import Cron, Form, Interval, Policy
from services.schedules.history import GRACE, HeldSchedule, NotStarted, Span, Started, not_started

UTC_ZONE = ZoneInfo("UTC")
START = datetime(2027, 1, 1, tzinfo=UTC)
MINUTES = Interval(every_seconds=60)
TOLD = timedelta(seconds=1)
"""What is recorded holds in Temporal that much later."""
LATER = GRACE + timedelta(seconds=1)


def minute(number: float) -> datetime:
    return START + timedelta(minutes=number)


def held(form: Form = MINUTES, since: float = 0, until: float = 1_000, **policy: object) -> HeldSchedule:
    return HeldSchedule(form, UTC_ZONE, Policy.model_validate(policy), minute(since) - TOLD, minute(until))


def ran(planned: float, *, until: float | None = 0.1, started: float = 0, status: str = "completed") -> Started:
    """A run that began some minutes after its time and took some; `until` None: it goes on."""
    begin = minute(planned + started)
    return Started(
        planned_at=minute(planned),
        started_at=begin,
        run_id=str(planned),
        status=RunStatus.RUNNING if until is None else RunStatus(status),
        ended_at=None if until is None else minute(planned + started + until),
        error=None,
        workflow="w",
    )


def missing(
    schedules: Sequence[HeldSchedule],
    started: Sequence[Started] = (),
    pauses: Sequence[Span] = (),
    *,
    now: float = 5,
    before: float = 1_000,
    limit: int = 100,
) -> list[tuple[float, str]]:
    paused = [(begin, None if end is None else end - TOLD) for begin, end in pauses]
    done, ran = {one.planned_at for one in started}, [(one.planned_at, one.ended_at) for one in started]
    found = not_started(schedules, done, ran, paused, minute(now) + LATER, before=minute(before), limit=limit)
    return [((one.planned_at - START) / timedelta(minutes=1), one.outcome) for one in found]


@pytest.mark.parametrize(
    ("schedules", "started", "pauses", "expected"),
    [
        ([held()], [ran(4), ran(3), ran(2), ran(1), ran(0)], [], [(5, "missed")]),
        ([held(since=2.5)], [], [], [(5, "missed"), (4, "missed"), (3, "missed")]),
        ([held(until=2)], [], [], [(1, "missed"), (0, "missed")]),
        ([held()], [ran(1, until=2.5), ran(0)], [], [(5, "missed"), (4, "missed"), (3, "skipped"), (2, "skipped")]),
        ([held()], [ran(1, until=None), ran(0)], [], [(n, "skipped") for n in (5, 4, 3, 2)]),
        # with a buffer, what comes during a run may still start after it
        ([held(overlap="buffer-one")], [ran(1, until=None), ran(0)], [], []),
        ([held(overlap="buffer-all")], [ran(1, until=None), ran(0)], [], []),
        ([held(overlap="buffer-one")], [ran(2, started=1.2, until=3), ran(1, until=2.2), ran(0)], [],
         [(5, "skipped"), (4, "skipped"), (3, "skipped")]),
        ([held(overlap="buffer-all")], [ran(5), ran(3, started=2.1), ran(1, until=4), ran(0)], [],
         [(4, "missed"), (2, "missed")]),
        ([held(overlap="allow-all")], [ran(1, until=None), ran(0)], [], [(n, "missed") for n in (5, 4, 3, 2)]),
        ([held(overlap="terminate-other")], [ran(1, until=None), ran(0)], [], [(n, "missed") for n in (5, 4, 3, 2)]),
        ([held(overlap="cancel-other")], [ran(4, until=None), ran(3, status="cancelled"), ran(2), ran(1), ran(0)], [],
         []),
        # pauses
        ([held()], [ran(0)], [(minute(0.5), minute(3.5))], [(5, "missed"), (4, "missed")]),
        ([held()], [ran(0)], [(minute(0.5), minute(1.5)), (minute(2.5), None)], [(2, "missed")]),
        ([held()], [], [(minute(-9), minute(-8)), (minute(-1), None)], []),
        ([held()], [], [(minute(1), minute(2)), (minute(3), minute(4))],
         [(5, "missed"), (4, "missed"), (2, "missed"), (0, "missed")]),
        # after an outage: what the catch-up window has missed, the first that it has not, and what comes during that
        ([held()], [ran(5), ran(2, started=2.5), ran(0)], [], [(4, "skipped"), (3, "skipped"), (1, "missed")]),
        ([held(overlap="buffer-all")], [ran(2, started=3, until=None), ran(0)], [], [(1, "missed")]),
        # late runs, jitter, runs that could not begin
        ([held()], [ran(5, started=0.4), ran(4), ran(3), ran(2), ran(1), ran(0)], [], []),
        ([held(jitter_seconds=120)], [ran(3), ran(2), ran(1), ran(0)], [], []),
        # earlier schedules
        ([held(since=3), held(Interval(every_seconds=30), until=3)], [ran(5), ran(4), ran(0.5), ran(0)], [],
         [(3, "missed"), (2.5, "missed"), (2, "missed"), (1.5, "missed"), (1, "missed")]),
    ],
)  # fmt: skip
def test_what_did_not_run(
    schedules: list[HeldSchedule], started: list[Started], pauses: list[Span], expected: list[tuple[float, str]]
) -> None:
    assert missing(schedules, started, pauses) == expected


def test_a_start_is_awaited_for_a_while() -> None:
    now = minute(3) + GRACE
    found = not_started([held(since=2.5)], (), [], [], now, before=minute(9), limit=9)
    assert found == []
    found = not_started([held(since=2.5)], (), [], [], now + timedelta(seconds=1), before=minute(9), limit=9)
    assert found == [NotStarted(minute(3), "missed")]


def test_outcomes() -> None:
    assert [ran(0, status=status).outcome for status in ("completed", "failed", "cancelled", "terminated")] == [
        "completed", "failed", "failed", "failed"
    ]  # fmt: skip
    assert ran(0, until=None).outcome == "running"


spans = st.lists(
    st.tuples(st.integers(0, 3_000), st.integers(1, 600)).map(
        lambda drawn: (minute(drawn[0] / 10), minute((drawn[0] + drawn[1]) / 10))
    ),
    max_size=5,
)


@given(st.sets(st.integers(0, 300)), spans, st.integers(1, 20))
def test_pages_are_the_whole(planned: set[int], pauses: list[Span], limit: int) -> None:
    runs = [ran(number) for number in sorted(planned, reverse=True)]
    schedules = [held(since=200), held(Interval(every_seconds=30), until=200)]
    whole = missing(schedules, runs, pauses, now=300, limit=10_000)
    due = {n / 2 for n in range(400)} | set(range(200, 301))
    rests = {n for n in due if any(a <= minute(n) and (b is None or minute(n) < b) for a, b in pauses)}
    assert [at for at, _ in whole] == sorted(due - planned - rests, reverse=True)
    paged: list[tuple[float, str]] = []
    while page := missing(schedules, runs, pauses, now=300, before=paged[-1][0] if paged else 1_000, limit=limit):
        assert len(page) <= limit
        paged += page
    assert paged == whole


@given(st.sets(st.integers(0, 59), min_size=1), st.sampled_from([0, 1, 7, 3_600]), st.data())
def test_spans_start_some_times_and_no_others(minutes: set[int], jitter: int, data: st.DataObject) -> None:
    some = data.draw(st.sets(st.sampled_from(sorted(minutes)), min_size=1))
    cron = Cron(cron=f"{','.join(map(str, sorted(minutes)))} * * * *")
    one = held(cron, jitter_seconds=jitter)
    wanted = {minute(number) for number in some}
    groups = one.together(wanted)
    assert [at for times in groups for at in times] == sorted(wanted)
    spans = [one.starts(times[0], times[-1]) for times in groups]
    within = [at for at in one.times(START, minute(120)) if any(begin <= at <= end for begin, end in spans)]
    assert set(within) == wanted
    for times, (_, end) in zip(groups, spans, strict=True):
        following = next(one.times(times[-1] + timedelta(seconds=1), minute(240)))
        assert end >= min(times[-1] + timedelta(seconds=jitter), following - timedelta(seconds=1))


def test_no_times_are_no_spans() -> None:
    assert held().together([]) == []


@pytest.mark.parametrize(
    ("form", "second", "taken", "free"),
    [
        (MINUTES, 0.0, [], -1),
        (MINUTES, 0.9, [], -1),
        (MINUTES, 1.2, [], 1),
        (MINUTES, 1.2, [1, -1], -2),
        (MINUTES, 30.0, range(-40, 31), None),
        (Cron(cron="0 9 * * *"), 5.5, [], 5),
        (Interval(every_seconds=1), 5.5, [], 5),  # none is without a time of the schedule
        (Interval(every_seconds=1), 5.5, [5, 4], 3),
        (Interval(every_seconds=2), 6.5, [5], 3),
    ],
)
def test_each_trigger_has_a_second_of_its_own(
    form: Form, second: float, taken: Iterable[int], free: int | None
) -> None:
    others = {START + timedelta(seconds=one) for one in taken}
    found = held(form, since=-10).free_second(START + timedelta(seconds=second), others)
    assert found == (None if free is None else START + timedelta(seconds=free))


@pytest.mark.parametrize(
    ("since", "now", "window", "expected"),
    [
        (0.5, 0.9, 3_600, None),
        (0.5, 1.5, 3_600, (1, 1)),
        (0.5, 5.5, 3_600, (1, 5)),
        (0.5, 5.5, 150, (3.0, 5)),
    ],
)
def test_what_was_due_before_temporal_was_told_is_late(
    since: float, now: float, window: int, expected: tuple[float, float] | None
) -> None:
    late = held(catchup_window_seconds=window).late(minute(since), minute(now))
    assert late == (None if expected is None else (minute(expected[0]), minute(expected[1])))
