import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import fsrs.card
import fsrs.scheduler
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.activity import Difficulty
from models.learning_path import NewTopics, Topic
from services.analytics.activities import SECOND, instant
from services.analytics.learning_path import check_topics, in_order, learning_path, reviews
from services.analytics.mastery import RATINGS
from services.analytics.timeline import Skill

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
AT = instant(NOW)
DAY = 86_400 * SECOND
MASTER = Skill(rating=2.0, attempts=5)


def topic(id_: str, *needs: str, difficulty: Difficulty = Difficulty.MEDIUM) -> Topic:
    return Topic(id=id_, name=id_.upper(), difficulty=difficulty, prerequisites=needs)


def ids(topics: Iterable[Topic]) -> list[str]:
    return [one.id for one in topics]


@st.composite
def dags(draw: st.DrawFn) -> list[Topic]:
    names = draw(st.lists(st.text("abcdef", min_size=1, max_size=3), unique=True, max_size=14))
    topics = [
        topic(
            name,
            *(draw(st.lists(st.sampled_from(names[:place]), max_size=5)) if place else ()),
            difficulty=draw(st.sampled_from(Difficulty)),
        )
        for place, name in enumerate(names)
    ]
    return draw(st.permutations(topics))


@given(dags())
def test_prerequisites_come_first(topics: list[Topic]) -> None:
    assert check_topics(topics) == []
    ordered = in_order(topics)
    assert sorted(ids(ordered)) == sorted(ids(topics))
    place = {id_: index for index, id_ in enumerate(ids(ordered))}
    assert all(place[needed] < place[one.id] for one in topics for needed in one.prerequisites)


@given(dags())
def test_the_easiest_of_those_that_can_come_next_does(topics: list[Topic]) -> None:
    seen: set[str] = set()
    for one in in_order(topics):
        can = [other for other in topics if other.id not in seen and seen.issuperset(other.prerequisites)]
        assert one == min(can, key=lambda other: (RATINGS[other.difficulty], other.id))
        seen.add(one.id)


@given(dags())
def test_the_order_does_not_depend_on_the_order_of_the_list(topics: list[Topic]) -> None:
    assert in_order(sorted(topics, key=lambda one: one.id)) == in_order(topics)


@pytest.mark.parametrize(
    ("topics", "problems"),
    [
        ([], []),
        ([topic("a", "b", "b"), topic("b")], []),
        ([topic("a"), topic("A ")], [("/topics/1/id", "duplicate-topic", "'a'")]),
        ([topic("a", "b")], [("/topics/0/prerequisites/0", "unknown-topic", "'b'")]),
        ([topic("a", "a")], [("/topics/0/prerequisites/0", "cycle", ": a -> a")]),
        ([topic("a", "b"), topic("b", "a")], [("/topics/1/prerequisites/0", "cycle", ": a -> b -> a")]),
        (
            [topic("start", "b"), topic("b", "c"), topic("c", "x", "d"), topic("x"), topic("d", "b")],
            [("/topics/4/prerequisites/0", "cycle", ": b -> c -> d -> b")],
        ),
        (
            [topic("a", "b", "c"), topic("b", "a"), topic("c", "a")],
            [
                ("/topics/1/prerequisites/0", "cycle", ": a -> b -> a"),
                ("/topics/2/prerequisites/0", "cycle", ": a -> c -> a"),
            ],
        ),
        (
            [topic("a", "b"), topic("b", "a", "y"), topic("b", "z")],
            [
                ("/topics/2/id", "duplicate-topic", "topic 1"),
                ("/topics/1/prerequisites/1", "unknown-topic", "'y'"),
                ("/topics/2/prerequisites/0", "unknown-topic", "'z'"),
                ("/topics/1/prerequisites/0", "cycle", ": a -> b -> a"),
            ],
        ),
    ],
)
def test_all_problems_are_named_at_once(topics: list[Topic], problems: list[tuple[str, str, str]]) -> None:
    found = check_topics(topics)
    assert [(one.pointer, one.code) for one in found] == [(pointer, code) for pointer, code, _ in problems]
    assert all(text in one.message for one, (_, _, text) in zip(found, problems, strict=True))


@given(st.lists(st.lists(st.integers(0, 5), max_size=4), max_size=6))
def test_without_the_named_prerequisites_no_cycle_is_left(needs: list[list[int]]) -> None:
    topics = [topic(f"t{place}", *(f"t{one}" for one in needed)) for place, needed in enumerate(needs)]
    cut = {
        (int(place), topics[int(place)].prerequisites[int(index)])
        for one in check_topics(topics)
        for _, _, place, _, index in [one.pointer.split("/")]
    }
    mended = [
        topic(one.id, *(needed for needed in one.prerequisites if (place, needed) not in cut))
        for place, one in enumerate(topics)
    ]
    assert len(in_order(mended)) == len(topics)


def test_long_chains_and_many_cycles_are_no_trouble() -> None:
    chain = [topic(f"t{n}", *([f"t{n + 1}"] if n < 999 else [])) for n in range(1_000)]
    assert check_topics(chain) == []
    assert ids(in_order(chain))[0] == "t999"
    ring = [*chain[:-1], topic("t999", "t0")]
    assert check_topics(ring)[0].message.count(" -> ") == 1_000
    knots = [topic(f"t{n}", *(f"t{(n + step) % 1_000}" for step in range(20))) for n in range(1_000)]
    assert len(check_topics(knots)) == 20


@pytest.mark.parametrize("topics", [[topic("a", "b"), topic("b", "a")], [topic("a"), topic("a")]])
def test_topics_without_an_order_are_refused(topics: list[Topic]) -> None:
    with pytest.raises(ValueError, match="need each other or share an id"):
        in_order(topics)


def test_ids_have_one_spelling_and_lists_an_end() -> None:
    read = NewTopics.model_validate({"topics": [{"id": " Loops", "name": "Loops", "prerequisites": ["Basics "]}]})
    assert read.topics == [Topic(id="loops", name="Loops", difficulty=Difficulty.MEDIUM, prerequisites=("basics",))]
    for wrong in ({"name": ""}, {"name": "n" * 101}, {"prerequisites": ["p"] * 21}, {"difficulty": "odd"}):
        with pytest.raises(ValidationError):
            Topic.model_validate({"id": "a", "name": "A", **wrong})
    with pytest.raises(ValidationError):
        NewTopics(topics=[topic(f"t{n}") for n in range(1_001)])


@pytest.mark.parametrize(
    ("skills", "states", "best"),
    [
        ({}, {"a": "ready", "b": "locked", "c": "locked"}, "a"),
        ({"a": MASTER}, {"a": "done", "b": "ready", "c": "locked"}, "b"),
        ({"a": Skill(2.0, 4)}, {"a": "ready", "b": "locked", "c": "locked"}, "a"),
        ({"a": Skill(1.7, 50)}, {"a": "ready", "b": "locked", "c": "locked"}, "a"),
        ({"b": MASTER}, {"a": "ready", "b": "done", "c": "locked"}, "a"),
        ({"a": MASTER, "b": MASTER}, {"a": "done", "b": "done", "c": "ready"}, "c"),
        (dict.fromkeys("abc", MASTER), {"a": "done", "b": "done", "c": "done"}, None),
    ],
)
def test_states(skills: dict[str, Skill], states: dict[str, str], best: str | None) -> None:
    path = learning_path([topic("c", "a", "b"), topic("b", "a"), topic("a")], skills, {}, NOW)
    assert {one.topic: one.state for one in path.topics} == states
    assert [one.topic for one in path.topics] == ["a", "b", "c"]
    assert path.next == best


@pytest.mark.parametrize(
    ("difficulties", "ratings", "best"),
    [
        ({"a": "medium", "b": "easy", "c": "hard"}, {}, "b"),
        ({"a": "medium", "b": "medium"}, {}, "a"),
        ({"a": "medium", "b": "medium"}, {"b": 0.85}, "b"),
        ({"a": "easy", "b": "hard"}, {"a": 4.0, "b": 1.8}, "b"),
        ({"a": "medium", "b": "medium"}, {"a": 1.098612289, "b": 0.619039208}, "a"),
    ],
)
def test_next_is_what_will_probably_but_not_surely_succeed(
    difficulties: dict[str, str], ratings: dict[str, float], best: str
) -> None:
    topics = [topic(id_, difficulty=Difficulty(difficulty)) for id_, difficulty in difficulties.items()]
    skills = {id_: Skill(rating, 3) for id_, rating in ratings.items()}
    assert learning_path(topics, skills, {}, NOW).next == best


def test_a_topic_shows_how_the_learner_stands_to_it() -> None:
    path = learning_path([topic("a", difficulty=Difficulty.HARD)], {"a": Skill(1.0, 3)}, {"a": NOW}, NOW)
    assert path.model_dump() == {
        "topics": (
            {
                "topic": "a",
                "name": "A",
                "state": "ready",
                "difficulty": "hard",
                "mastery": 0.7311,
                "level": "intermediate",
                "attempts": 3,
                "prerequisites": (),
                "predicted_success": 0.5,
                "review_due_at": NOW,
            },
        ),
        "next": "a",
        "reviews_due": ("a",),
    }


def test_topics_of_no_list_come_last() -> None:
    topics = [topic("z", difficulty=Difficulty.EXPERT)]
    path = learning_path(topics, {"b": Skill(0.8, 2), "c": MASTER}, {"a": NOW, "b": NOW}, NOW)
    shown = [(one.topic, one.name, one.difficulty, one.state, one.level) for one in path.topics]
    assert shown == [
        ("z", "Z", "expert", "ready", None),
        ("a", "a", "medium", "ready", None),
        ("b", "b", "medium", "ready", "intermediate"),
        ("c", "c", "medium", "done", "advanced"),
    ]
    assert path.next == "b"


def test_reviews_that_are_due_come_by_time() -> None:
    second = timedelta(seconds=1)
    due = {"a": NOW, "b": NOW - second, "c": NOW + second, "d": NOW - second}
    path = learning_path([topic(id_) for id_ in "dcbax"], {}, due, NOW)
    assert path.reviews_due == ("b", "d", "a")


SCORES = st.floats(0, 100) | st.none()
HISTORIES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60 * DAY), SCORES), max_size=12)


def history(steps: Iterable[tuple[str, int, float | None]]) -> list[tuple[str, int, float | None]]:
    at, attempts = AT, list[tuple[str, int, float | None]]()
    for name, pause, score in steps:
        at += pause
        attempts.append((name, at, score))
    return attempts


@pytest.mark.parametrize(
    ("score", "pause"),
    [
        (0, timedelta(days=1)),
        (49.99, timedelta(days=1)),
        (50, timedelta(days=1)),
        (69.99, timedelta(days=1)),
        (70, timedelta(days=2)),
        (None, timedelta(days=2)),
        (89.99, timedelta(days=2)),
        (90, timedelta(days=8)),
        (100, timedelta(days=8)),
    ],
)
def test_the_first_review_follows_the_score(score: float | None, pause: timedelta) -> None:
    assert reviews([("a", AT, score)]) == {"a": NOW + pause}


@given(HISTORIES, st.integers(0, 400 * DAY), st.floats(0, 100), st.floats(0, 100))
def test_a_better_score_is_never_due_earlier(
    steps: list[tuple[str, int, float | None]], pause: int, one: float, other: float
) -> None:
    worse, better = (reviews(history([*steps, ("a", pause, score)])) for score in sorted((one, other)))
    assert worse["a"] <= better["a"]


@given(HISTORIES)
def test_every_topic_met_is_due_after_it_on_its_own(steps: list[tuple[str, int, float | None]]) -> None:
    attempts = history(steps)
    due = reviews(attempts)
    assert due == reviews(iter(attempts))
    assert set(due) == {name for name, _, _ in attempts}
    for name, at in due.items():
        own = [attempt for attempt in attempts if attempt[0] == name]
        assert instant(at) > own[-1][1]
        assert reviews(own) == {name: at}


def test_reviews_use_neither_the_clock_nor_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> float:
        raise AssertionError("not deterministic")

    class NoClock(datetime):
        now = forbidden  # pyright: ignore[reportAssignmentType]

    attempts = history((name, 9 * DAY, score) for name in "ab" for score in (95.0, None, 75.0, 20.0, 60.0, 100.0))
    expected = reviews(attempts)
    monkeypatch.setattr(fsrs.card, "datetime", NoClock)
    monkeypatch.setattr(fsrs.scheduler, "datetime", NoClock)
    monkeypatch.setattr(fsrs.scheduler, "random", forbidden)
    monkeypatch.setattr(time, "sleep", forbidden)
    assert reviews(attempts) == expected
