from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from models.badges import BADGES, Aggregate, Badge, Filter, Operator, Rule
from services.analytics.badge_rules import Rules
from services.analytics.timeline import progress
from tests.unit.analytics.events import NOON, RULES, Posted, at, completed, folded, posted, read

BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
ANY_KIND = ("session.heartbeat", "challenge.started", "topic.studied", "provider.used", "x-forum.post")
ANY_DATA: tuple[dict[str, Any], ...] = (
    {"activity": "coding"},
    {"challenge_id": "c"},
    {"topic": "loops"},
    {"provider": "p"},
    {},
)


def on_days(*numbers: int, first: datetime = NOON) -> list[Posted]:
    return [completed(first + number * DAY) for number in numbers]


def active_on(*numbers: int) -> list[Posted]:
    return [posted(ANY_KIND[number % 5], NOON + number * DAY, **ANY_DATA[number % 5]) for number in numbers]


def distinct(count: int, repeats: int = 1, **data: Any) -> list[Posted]:
    numbers = [number for number in range(count) for _ in range(repeats)]
    return [completed(NOON + place * DAY / 24, f"c{number}", **data) for place, number in enumerate(numbers)]


def in_languages(*names: str) -> list[Posted]:
    return [completed(NOON + place * DAY, language=name) for place, name in enumerate(names)]


def with_providers(*used: str, completing: tuple[str, ...] = ()) -> list[Posted]:
    asked = [posted("provider.used", NOON + place * DAY, provider=name) for place, name in enumerate(used)]
    return [*asked, *(completed(NOON + (50 + place) * DAY, provider=name) for place, name in enumerate(completing))]


def at_time(text: str) -> list[Posted]:
    return [completed(at(f"2026-03-02T{text}+05:45"))]


def within(last: timedelta, count: int = 10) -> list[Posted]:
    between = [completed(NOON + timedelta(minutes=number)) for number in range(1, count - 1)]
    return [completed(NOON), *between, completed(NOON + last)]


def earned(posts: list[Posted], zone: ZoneInfo | None = None) -> dict[str, str]:
    """The event that has earned each badge."""
    return {one.badge: one.event.id for one in folded(read(posts, zone)).earned}


HOUR = timedelta(hours=1)
CASES: list[tuple[str, list[Posted], str | None]] = [
    ("first-challenge", [], None),
    ("first-challenge", [posted("challenge.started", NOON, challenge_id="c")], None),
    ("first-challenge", on_days(0), "e0"),
    ("first-challenge", on_days(0, 1), "e0"),
    ("challenge-streak-7", on_days(*range(6)), None),
    ("challenge-streak-7", on_days(*range(7)), "e6"),
    ("challenge-streak-7", on_days(*range(8)), "e6"),
    ("challenge-streak-7", on_days(*range(6), *range(7, 13)), None),
    ("challenge-streak-7", on_days(*range(6), *range(7, 14)), "e12"),
    ("challenge-streak-7", on_days(0, 0, 0, 1, 1, 2, 3, 4, 5), None),
    ("challenge-streak-7", on_days(5, 3, 1, 0, 2, 4, 6), "e6"),
    ("challenge-streak-7", [*on_days(*range(6)), *active_on(6, 7)], None),
    ("challenge-streak-30", on_days(*range(29)), None),
    ("challenge-streak-30", on_days(*range(30)), "e29"),
    ("challenge-streak-30", on_days(*range(31)), "e29"),
    ("challenge-streak-30", on_days(*range(14), *range(15, 31)), None),  # a freeze bridges day 14
    ("challenge-streak-30", on_days(*range(29), *range(30, 59)), None),
    ("challenge-streak-30", on_days(*range(29), *range(30, 60)), "e58"),
    ("code-master", distinct(99), None),
    ("code-master", distinct(99, repeats=3), None),
    ("code-master", distinct(100, repeats=2), "e198"),
    ("code-master", distinct(101), "e99"),
    ("speed-demon", [completed(NOON, elapsed=120.001)], None),
    ("speed-demon", [completed(NOON, elapsed=120)], None),
    ("speed-demon", [completed(NOON, elapsed=119.999999)], "e0"),
    ("speed-demon", [completed(NOON, elapsed=119.999)], "e0"),
    ("speed-demon", [completed(NOON, elapsed=0)], "e0"),
    ("quality-focus", distinct(4, score=90), None),
    ("quality-focus", distinct(4, repeats=2, score=100), None),
    ("quality-focus", distinct(5, score=89.99), None),
    ("quality-focus", distinct(5, score=90), "e4"),
    ("quality-focus", distinct(6, score=100), "e4"),
    ("quality-focus", [*distinct(4, score=90), completed(NOON + 9 * DAY, "other", score=89.99)], None),
    ("language-polyglot", in_languages("a", "b", "c", "d"), None),
    ("language-polyglot", in_languages("Go", "go", " GO ", "b", "c", "d"), None),
    ("language-polyglot", in_languages("a", "B", "A", "c", "d", "E"), "e5"),
    ("language-polyglot", in_languages("a", "b", "c", "d", "e", "f"), "e4"),
    ("provider-switcher", with_providers("a", "b"), None),
    ("provider-switcher", with_providers("a", "A", completing=("b", " B")), None),
    ("provider-switcher", with_providers("a", "b", "c"), "e2"),
    ("provider-switcher", with_providers(completing=("a", "b", "c")), "e2"),
    ("provider-switcher", with_providers("a", "b", completing=("b", "C", "d")), "e3"),
    ("provider-switcher", [*with_providers("a", "b"), posted("x-ai", NOON, provider="c")], None),
    ("night-owl", at_time("19:59:59"), None),
    ("night-owl", at_time("19:59:59.999999"), None),
    ("night-owl", at_time("20:00:00"), "e0"),
    ("night-owl", at_time("00:00:00"), "e0"),
    ("night-owl", at_time("03:00:00"), "e0"),
    ("night-owl", at_time("05:59:59"), "e0"),
    ("night-owl", at_time("05:59:59.900000"), "e0"),
    ("night-owl", at_time("06:00:00"), None),
    ("early-bird", at_time("23:59:59"), None),
    ("early-bird", at_time("00:00:00"), "e0"),
    ("early-bird", at_time("03:00:00"), "e0"),
    ("early-bird", at_time("07:59:59.900000"), "e0"),
    ("early-bird", at_time("08:00:00"), None),
    ("power-hour", within(HOUR - MICROSECOND), "e9"),
    ("power-hour", within(HOUR), "e9"),
    ("power-hour", within(HOUR + MICROSECOND), None),
    ("power-hour", within(HOUR, count=9), None),
    ("power-hour", within(HOUR, count=11), "e9"),
    ("power-hour", [completed(NOON)] * 10, "e9"),
    ("power-hour", [completed(NOON - MICROSECOND), *within(HOUR)], "e9"),
    ("power-hour", [completed(NOON - 2 * HOUR), *within(HOUR)], "e10"),
    ("consistency-king", active_on(*range(29)), None),
    ("consistency-king", active_on(*range(30)), "e29"),
    ("consistency-king", active_on(*range(31)), "e29"),
    ("consistency-king", active_on(*range(29), *range(30, 59)), None),
    ("consistency-king", [*active_on(*range(15)), *on_days(*range(15, 30))], "e29"),
]


@pytest.mark.parametrize(("badge", "posts", "event"), CASES)
def test_badge_is_earned_by_the_event_that_reaches_its_bound(
    badge: str, posts: list[Posted], event: str | None
) -> None:
    assert earned(posts).get(badge) == event


def test_table_has_every_badge_earned_and_not_earned() -> None:
    assert len(BADGES) == 12
    for badge in BADGES:
        assert {event is None for id_, _, event in CASES if id_ == badge.id} == {True, False}


def test_three_at_night_is_late_and_early() -> None:
    assert {"night-owl", "early-bird"} <= earned(at_time("03:00:00")).keys()
    assert not {"night-owl", "early-bird"} & earned(at_time("12:00:00")).keys()


def test_badge_is_earned_once() -> None:
    everything = [*on_days(*range(70)), *distinct(250, score=100, elapsed=1)]
    badges = [one.badge for one in folded(read(everything)).earned]
    assert len(badges) == len(set(badges))


def test_events_that_come_late_move_a_badge_to_the_event_that_earns_it() -> None:
    assert earned(on_days(0, 1, 2, 4, 5, 6, 7))["first-challenge"] == "e0"
    assert earned(on_days(0, 1, 2, 4, 5, 6, 7, 3))["challenge-streak-7"] == "e5"


@pytest.mark.parametrize(("zone", "is_earned"), [(BERLIN, True), (ZoneInfo("Etc/GMT-1"), False)])
def test_streak_goes_over_the_day_that_has_23_hours(zone: ZoneInfo, is_earned: bool) -> None:
    local = [datetime(2026, 3, 26, 0, 30, tzinfo=BERLIN) + number * DAY for number in range(7)]
    posts = [completed(at(when.isoformat()).astimezone(ZoneInfo("UTC"))) for when in local]
    assert ("challenge-streak-7" in earned(posts, zone)) == is_earned


def test_day_of_25_hours_is_one_day() -> None:
    first, last = at("2026-10-24T22:15:00+00:00"), at("2026-10-25T22:45:00+00:00")
    events = read([completed(first), completed(last)], BERLIN)
    assert events[0].day == events[1].day
    assert [event.local_second for event in events] == [15 * 60, 23 * 3_600 + 45 * 60]


def test_hour_that_comes_twice_is_night_both_times_and_60_minutes_stay_60_minutes() -> None:
    start = at("2026-10-25T00:30:00+00:00")  # 02:30 in summer time; an hour later it is 02:30 again
    posts = [completed(start + number * HOUR / 9) for number in range(10)]
    assert {"night-owl", "power-hour"} <= earned(posts, BERLIN).keys()
    assert "power-hour" not in earned([*posts[:9], completed(start + HOUR + MICROSECOND)], BERLIN)


def test_29_february_is_a_day_of_a_streak() -> None:
    leap = at("2028-02-26T12:00:00+00:00")
    assert earned(on_days(*range(7), first=leap))["challenge-streak-7"] == "e6"
    assert "challenge-streak-7" not in earned(on_days(0, 1, 2, 4, 5, 6, first=leap))
    assert "challenge-streak-7" not in earned(on_days(0, 1, 2, 4, 5, 6, 7, first=leap))
    assert earned(on_days(*range(7), first=at("2027-02-25T12:00:00+00:00")))["challenge-streak-7"] == "e6"


TRAVELS = [
    ("west, one day twice", ["01+14", "02+14", "03+14", "03-11", "04-11", "05-11", "06-11", "07-11"], "e7"),
    ("east, one day never", ["01-11", "02-11", "03-11", "05+14", "06+14", "07+14", "08+14"], None),
    ("back into a day that was missed", ["01+14", "02+14", "03+14", "05+14", "04-11", "06-11", "07-11"], "e6"),
    ("back, and the day joins what came before", ["06+14", "07+14", "05-11", "04-12"], None),
]


@pytest.mark.parametrize(("days", "event"), [case[1:] for case in TRAVELS], ids=[case[0] for case in TRAVELS])
def test_days_are_those_where_the_learner_was(days: list[str], event: str | None) -> None:
    posts = [completed(at(f"2026-05-{day[:2]}T{'00' if '+' in day else '22'}:30:00{day[2:]}:00")) for day in days]
    assert earned(posts).get("challenge-streak-7") == event


def test_same_instant_is_night_in_one_zone_only() -> None:
    posts = [completed(at("2026-06-01T19:00:00+00:00"))]
    assert "night-owl" in earned(posts, BERLIN)
    assert "night-owl" not in earned(posts, ZoneInfo("Atlantic/Azores"))


@pytest.mark.parametrize(
    ("badge", "posts", "current"),
    [
        ("first-challenge", [], 0),
        ("challenge-streak-7", on_days(*range(6), 10), 6),
        ("challenge-streak-30", on_days(*range(40)), 30),
        ("code-master", distinct(99, repeats=2), 99),
        ("speed-demon", on_days(0), 0),
        ("quality-focus", distinct(4, score=90), 4),
        ("language-polyglot", in_languages("a", "A", "b"), 2),
        ("provider-switcher", with_providers("a", "b"), 2),
        ("power-hour", within(HOUR + MICROSECOND), 9),
        ("power-hour", [*within(HOUR, count=8), completed(NOON + 9 * DAY)], 8),
        ("consistency-king", active_on(*range(29), 40), 29),
    ],
)
def test_progress_is_the_best_so_far(badge: str, posts: list[Posted], current: float) -> None:
    assert progress(folded(read(posts)).known, RULES.by_id[badge]) == current


def custom(rule: Rule, *, repeatable: bool = False) -> Rules:
    return Rules(
        [Badge(id="own", name="Own", description="", rule=rule, repeatable=repeatable, custom=True, version=3)]
    )


def where(field: str, op: Operator, value: Any) -> Rule:
    return Rule(kinds=("x-thing",), aggregate=Aggregate.FIRST, where=(Filter(field=field, op=op, value=value),))


@pytest.mark.parametrize(
    ("rule", "data", "is_earned"),
    [
        (where("data.n", Operator.EQ, 1), {"n": 1.0}, True),
        (where("data.n", Operator.EQ, 1), {"n": True}, False),
        (where("data.n", Operator.EQ, "Blue"), {"n": "blue"}, True),
        (where("data.n", Operator.NE, 1), {"n": 2}, True),
        (where("data.n", Operator.NE, 1), {}, False),
        (where("data.n", Operator.NE, 1), {"n": None}, False),
        (where("data.n", Operator.GT, 1), {"n": 1}, False),
        (where("data.n", Operator.GE, 1), {"n": "2"}, False),
        (where("data.n", Operator.LE, 1), {"n": [0]}, False),
        (where("data.n", Operator.LE, 1), {"n": False}, False),
        (where("data.n", Operator.IN, ["a", 2]), {"n": "A"}, True),
        (where("data.n", Operator.IN, ["a", 2]), {"n": 3}, False),
        (where("data.n", Operator.BETWEEN, [1, 3]), {"n": 3}, False),
        (where("data.n", Operator.BETWEEN, [1, 3]), {"n": 1}, True),
        (where("weekday", Operator.EQ, 1), {}, True),
        (where("local_date", Operator.EQ, "2026-03-02"), {}, True),
        (where("elapsed_seconds", Operator.LT, 1e9), {"started_at": "2026-03-02"}, False),
    ],
)
def test_filter_of_a_custom_badge_compares_like_with_like(rule: Rule, data: dict[str, Any], is_earned: bool) -> None:
    assert bool(folded(read([posted("x-thing", NOON, **data)]), custom(rule)).earned) == is_earned


def test_largest_value_counts_and_what_is_no_number_does_not() -> None:
    rules = custom(Rule(aggregate=Aggregate.MAX, field="data.n", threshold=9.5))
    values = [9, "10", True, None, 9.4, 3, 9.5, 20]
    timeline = folded(read([posted("x-thing", NOON + n * DAY, n=value) for n, value in enumerate(values)]), rules)
    assert [one.event.id for one in timeline.earned] == ["e6"]
    assert timeline.known.rules_version == 3


def test_repeatable_badge_starts_again_after_each_time() -> None:
    timeline = folded(read(active_on(*range(8))), custom(Rule(aggregate=Aggregate.COUNT, threshold=3), repeatable=True))
    assert [(one.occurrence, one.event.id) for one in timeline.earned] == [(1, "e2"), (2, "e5")]
    assert progress(timeline.known, RULES.by_id["first-challenge"]) == 0
    assert timeline.known.badges == {"own": 2}
