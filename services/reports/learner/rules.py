"""What stands out of a learner's figures."""

from models.reports import LearnerFacts
from services.reports.learner.figures import Figures
from services.reports.rules import Observation, Rule, Voice, apply_rules
from services.reports.wording import counted, decimal, number, share, visible

VOICE = Voice("At a glance", strength="Going well", risk="Worth a look")
LONG_STREAK = 7
AWAY_DAYS = 7
"""Days since the last active one, from which on the recency is at most a half."""
ENOUGH_CHALLENGES = 5
"""Challenges below which nothing is said about scores."""
HIGH_SCORE = 80
LOW_SCORE = 50
HIGH_PERCENTILE = 0.75
NEAR = 0.8
"""Of a badge's target."""
_NAMED = 3


def observe(facts: LearnerFacts, figures: Figures) -> tuple[Observation, ...]:
    """All observations, what is worth a look first. Nothing is said about a learner without events."""
    return apply_rules(RULES, facts, figures) if figures.ever_active else ()


def _presence(facts: LearnerFacts, _figures: Figures) -> Observation | None:
    streak = facts.metrics.streak
    if streak.current >= LONG_STREAK:
        held = f", with {counted(streak.freezes_held, 'freeze')} to spare" if streak.freezes_held else ""
        text = f"{counted(streak.current, 'active day')} in a row{held}."
        return Observation("strength", "presence", "On a streak", text)
    if facts.engagement.parts.recency <= 2 ** (-AWAY_DAYS / 7):
        longest = counted(streak.longest, "active day")
        text = f"No activity for {AWAY_DAYS} days or more. The longest streak so far is {longest}."
        return Observation("risk", "presence", "Away", text)
    return None


def _reviews(_facts: LearnerFacts, figures: Figures) -> Observation | None:
    if not figures.due:
        return None
    first = figures.due[0]
    text = f"{counted(len(figures.due), 'topic')} to repeat. First: {visible(first.name)}, due since {first.since}."
    return Observation("risk", "reviews", "Reviews are due", text)


def _scores(facts: LearnerFacts, figures: Figures) -> Observation | None:
    completed = facts.metrics.challenges_completed
    if completed < ENOUGH_CHALLENGES or figures.mean_score is None:
        return None
    text = f"Mean score {decimal(figures.mean_score)} in {counted(completed, 'challenge')} of the period."
    if figures.mean_score >= HIGH_SCORE:
        return Observation("strength", "scores", "High scores", text)
    if figures.mean_score < LOW_SCORE:
        return Observation("risk", "scores", "Low scores", f"{text} Easier ones may teach more.")
    return None


def _mastered(_facts: LearnerFacts, figures: Figures) -> Observation | None:
    if not figures.done:
        return None
    names = ", ".join(visible(topic.name) for topic in figures.done[:_NAMED])
    more = len(figures.done) - _NAMED
    text = f"{names}{f' and {number(more)} more' if more > 0 else ''}."
    return Observation("strength", "mastery", f"Mastered {counted(len(figures.done), 'topic')}", text)


def _badge(_facts: LearnerFacts, figures: Figures) -> Observation | None:
    if not figures.nearing or figures.nearing[0].ratio < NEAR:
        return None
    nearest = figures.nearing[0]
    text = f"{visible(nearest.name)}: {share(nearest.ratio)} done, {visible(nearest.missing)}."
    return Observation("strength", "badges", "A badge is near", text)


def _peers(facts: LearnerFacts, _figures: Figures) -> Observation | None:
    above = facts.metrics.percentile
    if above is None or above < HIGH_PERCENTILE:
        return None
    text = f"{share(above)} of the other learners have a lower engagement score."
    return Observation("strength", "peers", "Ahead of most", text)


RULES = (
    Rule(
        f"Presence: going well from {LONG_STREAK} active days in a row; worth a look after {AWAY_DAYS} days without "
        "activity.",
        _presence,
    ),
    Rule("Reviews: worth a look when the time to repeat a topic has come.", _reviews),
    Rule(
        f"Scores: the mean score of the period goes well from {HIGH_SCORE} and is worth a look below {LOW_SCORE}; "
        f"silent below {ENOUGH_CHALLENGES} challenges.",
        _scores,
    ),
    Rule("Mastery: going well when a topic of the learning path is mastered.", _mastered),
    Rule(
        f"Badges: going well when {NEAR:.0%} of what a badge asks for is done.",
        _badge,
    ),
    Rule(
        f"Peers: going well when {HIGH_PERCENTILE:.0%} of the other learners have a strictly lower engagement score.",
        _peers,
    ),
)
