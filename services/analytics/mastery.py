"""Mastery by online Elo: each attempt moves a learner's rating toward what it showed. Pure.

The rating is in logits: 0 means an even chance at a medium challenge. Challenges keep the rating of their difficulty,
so that what one learner does never moves another's mastery. (Pelánek 2016, Applications of the Elo rating system in
adaptive educational systems: the weight falls with the number of attempts.)
"""

from math import exp

from models.activity import Difficulty

RATINGS = {Difficulty.EASY: -1.0, Difficulty.MEDIUM: 0.0, Difficulty.HARD: 1.0, Difficulty.EXPERT: 2.0}
LEVELS = (("novice", 0.0), ("beginner", 0.45), ("intermediate", 0.60), ("advanced", 0.75), ("expert", 0.90))
"""Names of levels, and the mastery each begins at."""
MASTERED = 0.85
LEAST_ATTEMPTS = 5
"""A level or a mastered topic is an achievement only after as many."""
_FIRST_WEIGHT = 1.0
_DECAY = 0.05


def updated(rating: float, attempts: int, difficulty: str, score: float) -> float:
    """The rating after one more attempt; `score` from 0 to 1."""
    weight = _FIRST_WEIGHT / (1 + _DECAY * attempts)
    return rating + weight * (score - expected(rating, difficulty))


def expected(rating: float, difficulty: str) -> float:
    """The score to expect at that difficulty, from 0 to 1."""
    return 1 / (1 + exp(RATINGS[Difficulty(difficulty)] - rating))


def mastery(rating: float) -> float:
    """The score to expect at a medium challenge."""
    return expected(rating, Difficulty.MEDIUM)


def level(rating: float, attempts: int) -> str | None:
    """The name of a level; None before the first attempt."""
    if attempts == 0:
        return None
    known = mastery(rating)
    return next(name for name, least in reversed(LEVELS) if known >= least)
