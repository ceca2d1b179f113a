from datetime import timedelta
from math import log
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.analytics.mastery import expected, level, mastery, updated
from tests.unit.analytics.events import NOON, Posted, completed, folded, read

difficulties = st.sampled_from(["easy", "medium", "hard", "expert"])


def rating_at(share: float) -> float:
    return log(share / (1 - share))


@pytest.mark.parametrize(
    ("rating", "difficulty", "score"),
    [
        (0, "medium", 0.5),
        (-1, "easy", 0.5),
        (1, "hard", 0.5),
        (2, "expert", 0.5),
        (0, "easy", 0.731),
        (0, "hard", 0.269),
    ],
)
def test_score_to_expect_depends_on_how_far_the_rating_is_above_the_challenge(
    rating: float, difficulty: str, score: float
) -> None:
    assert expected(rating, difficulty) == pytest.approx(score, abs=0.001)


@given(st.floats(-5, 5), st.integers(0, 500), difficulties, st.floats(0, 1))
def test_rating_moves_toward_what_an_attempt_shows(rating: float, attempts: int, difficulty: str, score: float) -> None:
    moved = updated(rating, attempts, difficulty, score)
    surprise = score - expected(rating, difficulty)
    assert (moved - rating) * surprise >= 0
    assert abs(moved - rating) <= 1
    assert updated(rating, attempts, difficulty, 1) >= moved >= updated(rating, attempts, difficulty, 0)


def test_later_attempts_weigh_less() -> None:
    moves = [updated(0, attempts, "medium", 1) for attempts in (0, 1, 20, 100)]
    assert moves == [0.5, pytest.approx(0.5 / 1.05), 0.25, pytest.approx(0.5 / 6)]


def test_hard_challenges_show_more_and_easy_ones_reveal_more_of_what_is_missing() -> None:
    solved = [updated(0, 0, difficulty, 1) for difficulty in ("easy", "medium", "hard", "expert")]
    failed = [updated(0, 0, difficulty, 0) for difficulty in ("easy", "medium", "hard", "expert")]
    assert solved == sorted(solved)
    assert failed == sorted(failed)


@pytest.mark.parametrize(
    ("share", "name"),
    [
        (0.01, "novice"),
        (0.449, "novice"),
        (0.451, "beginner"),
        (0.5, "beginner"),
        (0.599, "beginner"),
        (0.601, "intermediate"),
        (0.749, "intermediate"),
        (0.751, "advanced"),
        (0.899, "advanced"),
        (0.901, "expert"),
        (0.999, "expert"),
    ],
)
def test_level_begins_at_its_mastery(share: float, name: str) -> None:
    assert mastery(rating_at(share)) == pytest.approx(share)
    assert level(rating_at(share), 1) == name


def test_there_is_no_level_before_the_first_attempt() -> None:
    assert level(3.0, 0) is None


def attempts(count: int, start: int = 0, **data: Any) -> list[Posted]:
    return [completed(NOON + timedelta(days=start + number), **data) for number in range(count)]


def achieved(posts: list[Posted]) -> list[tuple[str, str]]:
    return [(one.key, one.event.id) for one in folded(read(posts)).achieved]


def test_levels_and_topics_are_achieved_from_the_fifth_attempt_on() -> None:
    assert achieved(attempts(4, difficulty="expert", score=100)) == []
    assert achieved(attempts(6, difficulty="expert", score=100)) == [
        ("topic:loops", "e4"),
        ("level:beginner", "e4"),
        ("level:intermediate", "e4"),
        ("level:advanced", "e4"),
        ("level:expert", "e4"),
    ]


def test_what_is_achieved_is_not_achieved_again_after_it_was_lost() -> None:
    up_and_down = [
        *attempts(6, difficulty="expert", score=100),
        *attempts(30, start=10, difficulty="easy", score=0),
        *attempts(60, start=50, difficulty="expert", score=100),
    ]
    assert mastery(folded(read(up_and_down[:36])).known.overall.rating) < 0.45
    assert mastery(folded(read(up_and_down)).known.overall.rating) > 0.9
    assert len(achieved(up_and_down)) == 5


def test_failing_achieves_nothing_and_the_lowest_level_is_no_achievement() -> None:
    assert achieved(attempts(20, difficulty="easy", score=0)) == []


def test_topics_and_languages_are_rated_apart() -> None:
    posts = [
        *attempts(5, difficulty="hard", score=100, topics=["Loops", "loops ", "arrays"], language="Go"),
        *attempts(3, start=9, difficulty="easy", score=0, topics=[], language="python"),
    ]
    known = folded(read(posts)).known
    assert {topic: skill.attempts for topic, skill in known.topics.items()} == {"loops": 5, "arrays": 5}
    assert {name: skill.attempts for name, skill in known.languages.items()} == {"go": 5, "python": 3}
    assert known.topics["loops"] == known.topics["arrays"] == known.languages["go"]
    assert known.languages["python"].rating < 0 < known.languages["go"].rating
    assert known.overall.attempts == 8
