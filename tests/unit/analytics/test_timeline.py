from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.analytics.activities import SECOND, Activity, instant
from services.analytics.timeline import (
    SESSION_GAP_SECONDS,
    Tallies,
    Tally,
    Timeline,
    difference,
    from_state,
    progress,
    to_state,
)
from tests.unit.analytics.events import NOON, RULES, folded

HOUR = 3_600 * SECOND
GAP = 1_800 * SECOND
OFFSETS = [0, -12 * 3_600, 5 * 3_600 + 45 * 60, 14 * 3_600, -(3 * 3_600 + 30 * 60), 3_600, 7_200, 23 * 3_600 + 59 * 60]
STEPS = [0, 0, 0, 1, SECOND, GAP - 1, GAP, GAP + 1, HOUR, 12 * HOUR, 24 * HOUR, 24 * HOUR, 48 * HOUR, 24 * 60 * HOUR]
DURATIONS = [None, 0, 0.5, 1, 600, 1_800, 1_800.000001, 3_600, 86_400]


def lasting(data: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    durations = st.sampled_from(DURATIONS)
    return durations.map(lambda seconds: data if seconds is None else {**data, "duration_seconds": seconds})


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    data: dict[str, Any] = {
        "challenge_id": draw(st.sampled_from("abcdefg")),
        "language": draw(st.sampled_from("pqrstu")),
        "difficulty": draw(st.sampled_from(["easy", "medium", "hard", "expert"])),
        "topics": draw(st.lists(st.sampled_from("xyz"), max_size=3)),
        "score": draw(st.sampled_from([0, 33.33, 89.99, 90, 100, 100]) | st.floats(0, 100)),
        "elapsed": draw(st.sampled_from([0, 119 * SECOND, 120 * SECOND, HOUR])),
    }
    if draw(st.booleans()):
        data["provider"] = draw(st.sampled_from("klm"))
    return data


KINDS: list[tuple[str, st.SearchStrategy[dict[str, Any]]]] = [
    ("challenge.completed", completions()),
    ("challenge.completed", completions()),
    ("session.heartbeat", lasting({"activity": "coding"})),
    ("topic.studied", lasting({"topic": "loops"})),
    ("challenge.started", st.just({"challenge_id": "a"})),
    ("provider.used", st.fixed_dictionaries({"provider": st.sampled_from("klm")})),
    ("x-free", lasting({})),
]


@st.composite
def histories(draw: st.DrawFn) -> list[Activity]:
    """Events of one learner in their order."""
    events: list[Activity] = []
    at, offset = instant(NOON), 0
    for number in range(draw(st.integers(0, 40))):
        at += draw(st.sampled_from(STEPS))
        if draw(st.integers(0, 4)) == 0:
            offset = draw(st.sampled_from(OFFSETS))
        kind, strategy = draw(st.sampled_from(KINDS))
        data = dict(draw(strategy))
        if "elapsed" in data:
            data["started_at"] = at - data.pop("elapsed")
        events.append(Activity("ada", draw(st.sampled_from(["api", "grader"])), str(number), kind, at, offset, data))
    return sorted(events, key=lambda event: event.order)


def total(*parts: Tallies) -> Tallies:
    """The sum by day, without what is zero."""
    summed: Tallies = {}
    for part in parts:
        for day, tally in part.items():
            summed.setdefault(day, Tally()).add(tally)
    for tally in summed.values():
        tally.activities = {kind: count for kind, count in tally.activities.items() if count}
    return {day: tally for day, tally in summed.items() if not tally.is_zero}


@given(histories(), st.data())
def test_fold_can_be_left_and_continued_anywhere(events: list[Activity], data: st.DataObject) -> None:
    whole = folded(events)
    cut = data.draw(st.integers(0, len(events)))
    first = folded(events[:cut])
    second = Timeline(from_state(to_state(first.known)), RULES, SESSION_GAP_SECONDS)
    for event in events[cut:]:
        second.add(event)
    assert second.known == whole.known
    assert to_state(second.known) == to_state(whole.known)
    assert total(first.days, second.days) == total(whole.days)
    assert total(first.utc_days, second.utc_days) == total(whole.utc_days)
    assert first.earned + second.earned == whole.earned
    assert first.achieved + second.achieved == whole.achieved


@given(histories())
def test_days_add_up_to_what_happened(events: list[Activity]) -> None:
    timeline = folded(events)
    known = timeline.known
    scores = [round(event.data["score"] * 100) for event in events if event.kind == "challenge.completed"]
    for tallies in (timeline.days, timeline.utc_days):
        summed = Tally()
        for tally in tallies.values():
            summed.add(tally)
        assert summed.events == known.events == len(events)
        assert summed.challenges == known.challenges == len(scores) == sum(known.difficulties.values())
        assert summed.score == sum(scores)
    assert known.recent == scores[-20:]
    assert sum((Counter(tally.activities) for tally in timeline.days.values()), Counter()) == Counter(
        event.kind for event in events
    )
    assert {day for day, tally in timeline.utc_days.items() if tally.active} == {event.utc_day for event in events}
    assert all(tally.active in {0, 1} for tally in timeline.utc_days.values())


@given(histories())
def test_active_days_are_remembered_for_eight_weeks(events: list[Activity]) -> None:
    known = folded(events).known
    days = {event.day for event in events}
    last = max(days, default=0)
    remembered = {known.last_day - number for number in range(known.active.bit_length()) if known.active >> number & 1}
    assert known.last_day == last
    assert remembered == {day for day in days if day > last - 56}


@given(histories(), st.data())
def test_difference_turns_some_of_the_events_into_all(events: list[Activity], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.booleans(), min_size=len(events), max_size=len(events)))
    all_, some = folded(events), folded([event for event, is_in in zip(events, chosen, strict=True) if is_in])
    for new, old in ((all_.days, some.days), (all_.utc_days, some.utc_days)):
        assert total(old, difference(new, old)) == total(new)
        assert total(new, difference(old, new)) == total(old)
        assert difference(new, new) == {}


@given(histories())
def test_progress_never_falls_and_a_badge_is_earned_when_it_is_complete(events: list[Activity]) -> None:
    timeline = folded([])
    before = dict.fromkeys(RULES.by_id, 0.0)
    for event in events:
        timeline.add(event)
        now = {rule.id: progress(timeline.known, rule) for rule in RULES.all}
        assert all(before[badge] <= now[badge] <= RULES.by_id[badge].target for badge in now)
        assert {badge for badge in now if now[badge] == RULES.by_id[badge].target} == timeline.known.earned.keys()
        before = now
    assert {one.badge: one.occurrence for one in timeline.earned} == timeline.known.earned


def sessions_of(events: list[Activity]) -> list[tuple[Activity, int]]:
    """The first event of each session and how long it takes, by cutting a line of marks where nothing happens."""
    begun: list[int] = []
    for place, event in enumerate(events):
        lasts = event.kind in {"session.heartbeat", "topic.studied"}
        start = event.at - round(event.data.get("duration_seconds", 0) * SECOND) if lasts else event.at
        begun.append(start if place == 0 else max(start, events[place - 1].at))
    cuts = [place for place in range(len(events)) if place == 0 or begun[place] - events[place - 1].at > GAP]
    ends = [*cuts[1:], len(events)]
    return [(events[cut], events[end - 1].at - begun[cut]) for cut, end in zip(cuts, ends, strict=False) if end > cut]


@given(histories())
def test_sessions_end_where_nothing_happens_for_half_an_hour(events: list[Activity]) -> None:
    timeline = folded(events)
    expected = sessions_of(events)
    for tallies, day_of in (
        (timeline.days, lambda event: event.day),
        (timeline.utc_days, lambda event: event.utc_day),
    ):
        count, lasted = Counter[int](), Counter[int]()
        for event, microseconds in expected:
            count[day_of(event)] += 1
            lasted[day_of(event)] += microseconds
        assert Counter({day: tally.sessions for day, tally in tallies.items()}) == count
        assert Counter({day: tally.microseconds for day, tally in tallies.items()}) == lasted


def test_session_counts_for_the_day_of_its_first_event() -> None:
    late = instant(NOON) + 12 * HOUR - 10 * 60 * SECOND
    events = [Activity("ada", "api", str(n), "x-free", late + n * 20 * 60 * SECOND, 0, {}) for n in range(3)]
    timeline = folded(events)
    assert [(tally.sessions, tally.microseconds, tally.events) for tally in timeline.days.values()] == [
        (1, 40 * 60 * SECOND, 1),
        (0, 0, 2),
    ]
