"""What stands out of the figures over all learners."""

from models.reports import CohortFacts
from services.reports.cohort.figures import HALF_DAYS, Change, Figures
from services.reports.rules import Observation, Rule, Voice, apply_rules
from services.reports.wording import counted, decimal, number, share

VOICE = Voice("At a glance", strength="Going well", risk="Worth a look")
ENOUGH_LEARNERS = 10
"""Learners below which nothing is said about shares: one more or less would turn them."""
GOOD_RETURN = 0.4
LOW_RETURN = 0.2
GOOD_STICKINESS = 0.2
LOW_STICKINESS = 0.1
TURN = 0.1
"""Change of a mean that is worth a word."""


def observe(facts: CohortFacts, figures: Figures) -> tuple[Observation, ...]:
    """All observations, what is worth a look first."""
    return apply_rules(RULES, facts, figures)


def _return(facts: CohortFacts, figures: Figures) -> Observation | None:
    enough = [one for one in figures.returns if one.learners >= ENOUGH_LEARNERS]
    if not enough:
        return None
    latest = enough[0]
    by = facts.cohorts.by
    text = (
        f"Of the {counted(latest.learners, 'learner')} who began in the {by} of {latest.period}, {share(latest.share)} "
        f"were active in the next {by}."
    )
    if len(enough) > 1:
        text += f" Of those of {enough[1].period} it was {share(enough[1].share)}."
    if latest.share >= GOOD_RETURN:
        return Observation("strength", "return", "New learners come back", text)
    if latest.share < LOW_RETURN:
        return Observation("risk", "return", "New learners stay away", text)
    return None


def _stickiness(facts: CohortFacts, _figures: Figures) -> Observation | None:
    known = facts.metrics.stickiness
    if known.ratio is None or known.monthly < ENOUGH_LEARNERS:
        return None
    text = f"{number(known.daily)} of the {number(known.monthly)} learners of the last 30 days are active today."
    if known.ratio >= GOOD_STICKINESS:
        return Observation("strength", "stickiness", "A daily habit", text)
    if known.ratio < LOW_STICKINESS:
        return Observation("risk", "stickiness", "Seldom visited", text)
    return None


def _active(_facts: CohortFacts, figures: Figures) -> Observation | None:
    return _turn("active", "active learners", figures.active_users)


def _challenges(_facts: CohortFacts, figures: Figures) -> Observation | None:
    return _turn("challenges", "challenges", figures.challenges)


def _turn(rule: str, what: str, change: Change) -> Observation | None:
    if change.before <= 0 or abs(change.after - change.before) < TURN * change.before:
        return None
    text = (
        f"{decimal(change.after)} {what} a day on average in the last {HALF_DAYS} days that are over, after "
        f"{decimal(change.before)} in the {HALF_DAYS} before."
    )
    if change.after > change.before:
        return Observation("strength", rule, f"More {what}", text)
    return Observation("risk", rule, f"Fewer {what}", text)


RULES = (
    Rule(
        f"Return: of the latest cohort of {ENOUGH_LEARNERS} or more whose second period is over, the share that was "
        f"active in it goes well from {GOOD_RETURN:.0%} and is worth a look below {LOW_RETURN:.0%}.",
        _return,
    ),
    Rule(
        f"Stickiness: learners active today among those of the last 30 days; going well from {GOOD_STICKINESS:.0%}, "
        f"worth a look below {LOW_STICKINESS:.0%}; silent below {ENOUGH_LEARNERS} learners. It grows in the course of "
        "the day.",
        _stickiness,
    ),
    Rule(
        f"Active learners: the mean of the last {HALF_DAYS} days that are over against the {HALF_DAYS} before, from a "
        f"change of {TURN:.0%}, whatever the period of the report.",
        _active,
    ),
    Rule("Challenges: the same of completed challenges.", _challenges),
)
