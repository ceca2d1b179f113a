"""Which topic a learner should take up next, and which to repeat. Pure.

New topics follow their prerequisites, those of which success is likely but not certain first. Known ones come back
when FSRS says so: when one in ten would be forgotten, after a day at least.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush
from itertools import islice

from fsrs import Card, Rating, Scheduler

from models.errors import Problem
from models.learning_path import LearningPath, PathTopic, Topic, TopicState
from services.analytics.activities import moment
from services.analytics.mastery import LEAST_ATTEMPTS, MASTERED, RATINGS, expected, level, mastery
from services.analytics.timeline import Skill

_WANTED_SUCCESS = 0.7
"""Neither dull nor discouraging."""
_DIGITS = 4
_MOST_CYCLES = 20
"""Named in one answer: a cycle can go through all topics, and there can be thousands."""
_HARD, _GOOD, _EASY = 50, 70, 90
"""The score each rating begins at, from 0 to 100."""
_SCHEDULER = Scheduler(enable_fuzzing=False, learning_steps=(), relearning_steps=())
"""Whole days: nobody comes back to a topic after ten minutes."""


def check_topics(topics: Sequence[Topic]) -> list[Problem]:
    """All that is wrong with topics taken together; of cycles the first 20.

    Without the prerequisites that are named as closing a cycle, there is none left (unless there were more than 20).
    """
    first: dict[str, int] = {}
    problems: list[Problem] = []
    for place, topic in enumerate(topics):
        if first.setdefault(topic.id, place) != place:
            problems.append(
                Problem(
                    pointer=f"/topics/{place}/id",
                    code="duplicate-topic",
                    message=f"{topic.id!r} is already the id of topic {first[topic.id]}",
                    suggestion="give each topic an id of its own; case does not tell them apart",
                )
            )
    for place, topic in enumerate(topics):
        problems.extend(
            Problem(
                pointer=f"/topics/{place}/prerequisites/{index}",
                code="unknown-topic",
                message=f"{topic.id!r} needs {needed!r}, which is no topic",
                suggestion="add the topic, or remove the prerequisite",
            )
            for index, needed in enumerate(topic.prerequisites)
            if needed not in first
        )
    problems.extend(islice(_cycles(topics, first), _MOST_CYCLES))
    return problems


def _cycles(topics: Sequence[Topic], first: Mapping[str, int]) -> Iterator[Problem]:
    """One for each prerequisite that closes a cycle, by depth-first search with a stack of its own."""
    finished: set[str] = set()
    for root in first:
        if root in finished:
            continue
        path = {root: _known_prerequisites(topics[first[root]], first)}
        while path:
            here = next(reversed(path))
            index, needed = next(path[here], (0, None))
            if needed is None:
                finished.add(here)
                del path[here]
            elif needed in path:
                yield _cycle_problem([*path], needed, f"/topics/{first[here]}/prerequisites/{index}")
            elif needed not in finished:
                path[needed] = _known_prerequisites(topics[first[needed]], first)


def _known_prerequisites(topic: Topic, known: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    indexes: dict[str, int] = {}
    for index, needed in enumerate(topic.prerequisites):
        if needed in known:
            indexes.setdefault(needed, index)
    return ((index, needed) for needed, index in indexes.items())


def _cycle_problem(path: list[str], closing: str, pointer: str) -> Problem:
    cycle = [*path[path.index(closing) :], closing]
    return Problem(
        pointer=pointer,
        code="cycle",
        message=f"no topic may need itself: {' -> '.join(cycle)}",
        suggestion="remove one of these prerequisites",
    )


def in_order(topics: Iterable[Topic]) -> list[Topic]:
    """Topics after their prerequisites; of those that could come next, the easiest, then the first by id.

    Prerequisites that are no topics do not count. Raises ValueError when topics need each other or share an id.
    """
    given = list(topics)
    by_id = {topic.id: topic for topic in given}
    missing = {topic.id: {needed for needed in topic.prerequisites if needed in by_id} for topic in given}
    needed_by: dict[str, list[str]] = {}
    for id_, needs in missing.items():
        for needed in needs:
            needed_by.setdefault(needed, []).append(id_)
    ready = [_rank(by_id[id_]) for id_, needs in missing.items() if not needs]
    heapify(ready)
    ordered: list[Topic] = []
    while ready:
        _, id_ = heappop(ready)
        ordered.append(by_id[id_])
        for other in needed_by.get(id_, ()):
            missing[other].remove(id_)
            if not missing[other]:
                heappush(ready, _rank(by_id[other]))
    if len(ordered) < len(given):
        raise ValueError("topics need each other or share an id")
    return ordered


def _rank(topic: Topic) -> tuple[float, str]:
    return RATINGS[topic.difficulty], topic.id


def learning_path(
    topics: Iterable[Topic], skills: Mapping[str, Skill], reviews: Mapping[str, datetime], now: datetime
) -> LearningPath:
    """A learner's way through the topics, then through those that the learner met although no list has them.

    `reviews` says when each topic is due again. Raises ValueError as `in_order` does.
    """
    listed = in_order(topics)
    unlisted = {*skills, *reviews} - {topic.id for topic in listed}
    path = [*listed, *(Topic.model_construct(id=id_, name=id_) for id_ in sorted(unlisted))]
    done = {id_ for id_, skill in skills.items() if _is_done(skill)}
    placed = tuple(
        _placed(topic, skills.get(topic.id) or Skill(), _state(topic, done), reviews.get(topic.id)) for topic in path
    )
    ready = (topic for topic in placed if topic.state == "ready")
    chosen = min(ready, key=_distance, default=None)
    due = sorted((at, place) for place, topic in enumerate(placed) if (at := topic.review_due_at) and at <= now)
    return LearningPath(
        topics=placed,
        next=chosen.topic if chosen else None,
        reviews_due=tuple(placed[place].topic for _, place in due),
    )


def _is_done(skill: Skill) -> bool:
    return skill.attempts >= LEAST_ATTEMPTS and mastery(skill.rating) >= MASTERED


def _state(topic: Topic, done: set[str]) -> TopicState:
    if topic.id in done:
        return "done"
    return "ready" if done.issuperset(topic.prerequisites) else "locked"


def _placed(topic: Topic, skill: Skill, state: TopicState, due_at: datetime | None) -> PathTopic:
    return PathTopic(
        topic=topic.id,
        name=topic.name,
        state=state,
        difficulty=topic.difficulty,
        mastery=round(mastery(skill.rating), _DIGITS),
        level=level(skill.rating, skill.attempts),
        attempts=skill.attempts,
        prerequisites=topic.prerequisites,
        predicted_success=round(expected(skill.rating, topic.difficulty), _DIGITS),
        review_due_at=due_at,
    )


def _distance(topic: PathTopic) -> float:
    """As shown, rounded: what binary fractions lose decides no tie."""
    return round(abs(topic.predicted_success - _WANTED_SUCCESS), _DIGITS)


def reviews(attempts: Iterable[tuple[str, int, float | None]]) -> dict[str, datetime]:
    """When each topic is due again.

    Args:
        attempts: In their order: the topic, when in microseconds since 1970, and the score from 0 to 100, or None
            when the topic was studied without one.
    """
    cards: dict[str, Card] = {}
    for topic, at, score in attempts:
        when = moment(at)
        card = cards.get(topic) or Card(card_id=0, due=when)  # it would take either from the clock
        cards[topic], _ = _SCHEDULER.review_card(card, _rating(score), review_datetime=when)
    return {topic: card.due for topic, card in cards.items()}


def _rating(score: float | None) -> Rating:
    if score is None:
        return Rating.Good
    if score < _HARD:
        return Rating.Again
    if score < _GOOD:
        return Rating.Hard
    return Rating.Good if score < _EASY else Rating.Easy
