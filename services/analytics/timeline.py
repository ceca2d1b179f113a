"""A learner's events folded, in their order, into what is known of the learner. Pure.

What is known is the fold over all events sorted by `Order`: it depends on neither the order nor the number of times
they arrive. Events that follow the last one continue the fold; for late ones it is done again from the first event,
and the difference is what changes in the tables (`ingest.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from models.activity import ActivityKind
from services.analytics.activities import SECOND, Activity, Order
from services.analytics.badge_rules import BadgeRule, Rules, Seen, current
from services.analytics.engagement import RECENT_ATTEMPTS, performance, remember_day
from services.analytics.mastery import LEAST_ATTEMPTS, LEVELS, MASTERED, level, mastery, updated

HUNDREDTHS = 100
"""Scores are summed in hundredths of a point: whole numbers, whose sums do not depend on their order."""
SESSION_GAP_SECONDS = 1_800.0
"""A longer pause begins a new session."""


@dataclass(slots=True)
class Tally:
    """What happened on one day."""

    events: int = 0
    active: int = 0
    """Whether the learner was active at all; in sums, how many learners were."""
    sessions: int = 0
    microseconds: int = 0
    """In sessions, which belong to the day they begin on."""
    challenges: int = 0
    score: int = 0
    """Sum of scores, in hundredths."""
    activities: dict[str, int] = field(default_factory=dict[str, int])
    """Events by kind."""

    def add(self, other: "Tally", sign: int = 1) -> None:
        """Add another day's tally, or take it away."""
        self.events += sign * other.events
        self.active += sign * other.active
        self.sessions += sign * other.sessions
        self.microseconds += sign * other.microseconds
        self.challenges += sign * other.challenges
        self.score += sign * other.score
        for kind, count in other.activities.items():
            self.activities[kind] = self.activities.get(kind, 0) + sign * count

    @property
    def is_zero(self) -> bool:
        """Whether nothing happened."""
        figures = (self.events, self.active, self.sessions, self.microseconds, self.challenges, self.score)
        return not any(figures) and not any(self.activities.values())


Tallies = dict[int, Tally]
"""By day."""


@dataclass(slots=True)
class Skill:
    """A learner's rating in a topic, a language or all."""

    rating: float = 0.0
    attempts: int = 0
    last_at: int = 0


@dataclass(slots=True)
class Known:
    """All that is known of a learner after some events."""

    last: Order | None = None
    first_day: int = 0
    last_day: int = 0
    active: int = 0
    """Bits of the active days up to `last_day`."""
    utc_day: int = -(10**9)
    """The last day in UTC with an event."""
    session_day: int = 0
    """Local day the open session belongs to."""
    session_utc_day: int = 0
    offset: int = 0
    """Seconds from UTC at the last event."""
    events: int = 0
    challenges: int = 0
    difficulties: dict[str, int] = field(default_factory=dict[str, int])
    recent: list[int] = field(default_factory=list[int])
    """Scores of the last attempts, in hundredths."""
    overall: Skill = field(default_factory=Skill)
    topics: dict[str, Skill] = field(default_factory=dict[str, Skill])
    languages: dict[str, Skill] = field(default_factory=dict[str, Skill])
    level: int = 0
    """The highest level reached, as its place among all."""
    mastered: list[str] = field(default_factory=list[str])
    badges: dict[str, Seen] = field(default_factory=dict[str, Seen])
    """What the rules of badges that are not earned yet have seen."""
    earned: dict[str, int] = field(default_factory=dict[str, int])
    """How often each badge was earned."""
    rules_version: int = 0
    """The newest custom badge that has been looked at."""

    @property
    def performance(self) -> float:
        """Mean score of the last attempts, from 0 to 1."""
        return performance(self.recent)


@dataclass(frozen=True, slots=True)
class BadgesBefore:
    """What was known of a learner's badges before some events."""

    badges: dict[str, Seen]
    earned: dict[str, int]
    rules_version: int

    @classmethod
    def of(cls, known: Known) -> "BadgesBefore":
        """As it is now. Rules replace what they have seen: copies of the two tables are enough."""
        return cls(dict(known.badges), dict(known.earned), known.rules_version)


@dataclass(frozen=True, slots=True)
class Earned:
    """A badge that an event has earned."""

    badge: str
    occurrence: int
    """1 for the first time; more only of repeatable badges."""
    event: Activity


@dataclass(frozen=True, slots=True)
class Achieved:
    """A milestone that an event has reached: `level:…` or `topic:…`."""

    key: str
    event: Activity


class Timeline:
    """Continues the fold from `known`, which it changes. Events have to be added in their order."""

    def __init__(self, known: Known, rules: Rules, session_gap_seconds: float = SESSION_GAP_SECONDS) -> None:
        self.known = known
        self.days: Tallies = {}
        """What has changed, by local day."""
        self.utc_days: Tallies = {}
        self.earned: list[Earned] = []
        self.achieved: list[Achieved] = []
        self._rules = rules
        self._gap = round(session_gap_seconds * SECOND)
        known.rules_version = rules.version

    def add(self, event: Activity) -> None:
        """The next event."""
        known = self.known
        day, utc_day = event.day, event.utc_day
        tally = _of(self.days, day)
        utc_tally = _of(self.utc_days, utc_day)
        tally.events += 1
        utc_tally.events += 1
        tally.activities[event.kind] = tally.activities.get(event.kind, 0) + 1
        self._place_in_session(event, day, utc_day)
        if utc_day > known.utc_day:
            known.utc_day = utc_day
            utc_tally.active += 1
        if known.last is None:
            known.first_day = known.last_day = day
            known.active = 1
        else:
            known.last_day, known.active = remember_day(known.last_day, known.active, day)
        known.last = event.order
        known.offset = event.offset
        known.events += 1
        if event.kind == ActivityKind.COMPLETED:
            self._complete(event, tally, utc_tally)
        for rule in self._rules.of_kind(event.kind):
            self._evaluate(rule, event)

    def _place_in_session(self, event: Activity, day: int, utc_day: int) -> None:
        """A session goes from the start of its first event to its last event.

        An event begins its `duration_seconds` before its time, but not before the event ahead of it.
        """
        known = self.known
        duration = round((event.data.get("duration_seconds") or 0) * SECOND) if event.kind in _LASTING else 0
        if known.last is None:
            pause, lasted = self._gap + 1, duration
        else:
            since = event.at - known.last.at
            lasted = min(duration, since)
            pause = since - lasted
        if pause > self._gap:
            known.session_day, known.session_utc_day = day, utc_day
            _of(self.days, day).sessions += 1
            _of(self.utc_days, utc_day).sessions += 1
        else:
            lasted += pause
        if lasted:
            _of(self.days, known.session_day).microseconds += lasted
            _of(self.utc_days, known.session_utc_day).microseconds += lasted

    def _complete(self, event: Activity, tally: Tally, utc_tally: Tally) -> None:
        known, data = self.known, event.data
        score = round(data["score"] * HUNDREDTHS)
        for one in (tally, utc_tally):
            one.challenges += 1
            one.score += score
        known.challenges += 1
        difficulty = data["difficulty"]
        known.difficulties[difficulty] = known.difficulties.get(difficulty, 0) + 1
        known.recent = [*known.recent, score][-RECENT_ATTEMPTS:]
        share = score / (100 * HUNDREDTHS)
        _attempt(known.overall, event, share)
        _attempt(known.languages.setdefault(data["language"], Skill()), event, share)
        for topic in dict.fromkeys(data["topics"]):
            skill = known.topics.setdefault(topic, Skill())
            _attempt(skill, event, share)
            if skill.attempts >= LEAST_ATTEMPTS and mastery(skill.rating) >= MASTERED and topic not in known.mastered:
                known.mastered = [*known.mastered, topic]
                self.achieved.append(Achieved(f"topic:{topic}", event))
        self._reach_level(event)

    def _reach_level(self, event: Activity) -> None:
        known = self.known
        if known.overall.attempts < LEAST_ATTEMPTS:
            return
        name = level(known.overall.rating, known.overall.attempts)
        reached = next(place for place, (other, _) in enumerate(LEVELS) if other == name)
        for place in range(known.level + 1, reached + 1):
            self.achieved.append(Achieved(f"level:{LEVELS[place][0]}", event))
        known.level = max(known.level, reached)

    def _evaluate(self, rule: BadgeRule, event: Activity) -> None:
        known = self.known
        times = known.earned.get(rule.id, 0)
        if (times and not rule.badge.repeatable) or not rule.matches(event):
            return
        seen, reached = rule.step(known.badges.get(rule.id), event)
        if reached < rule.target:
            if seen is not None:
                known.badges[rule.id] = seen
            return
        known.badges.pop(rule.id, None)
        known.earned[rule.id] = times + 1
        self.earned.append(Earned(rule.id, times + 1, event))


_LASTING = frozenset({ActivityKind.HEARTBEAT.value, ActivityKind.STUDIED.value})


def fold(events: Iterable[Activity], rules: Rules, session_gap_seconds: float) -> Timeline:
    """The fold over all events of a learner, in their order."""
    timeline = Timeline(Known(), rules, session_gap_seconds)
    for event in events:
        timeline.add(event)
    return timeline


def difference(new: Tallies, old: Tallies) -> Tallies:
    """What has to be added to `old` for `new`; days without a difference are left out."""
    changed: Tallies = {}
    for day, tally in new.items():
        _of(changed, day).add(tally)
    for day, tally in old.items():
        _of(changed, day).add(tally, -1)
    return {day: tally for day, tally in changed.items() if not tally.is_zero}


def progress(known: Known | BadgesBefore, rule: BadgeRule) -> float:
    """How far the learner is toward a badge: the target when it is earned."""
    if known.earned.get(rule.id) and not rule.badge.repeatable:
        return rule.target
    return current(rule, known.badges.get(rule.id))


def _attempt(skill: Skill, event: Activity, share: float) -> None:
    skill.rating = updated(skill.rating, skill.attempts, event.data["difficulty"], share)
    skill.attempts += 1
    skill.last_at = event.at


def _of(tallies: Tallies, day: int) -> Tally:
    tally = tallies.get(day)
    if tally is None:
        tally = tallies[day] = Tally()
    return tally


# As it is stored: JSON. Skills are lists, since most of a state is skills.


def to_state(known: Known) -> dict[str, Any]:
    """What is known as JSON."""
    state = {name: getattr(known, name) for name in _PLAIN}
    state["last"] = known.last
    state["overall"] = _skill_state(known.overall)
    state["topics"] = {name: _skill_state(skill) for name, skill in known.topics.items()}
    state["languages"] = {name: _skill_state(skill) for name, skill in known.languages.items()}
    return state


def from_state(state: Mapping[str, Any]) -> Known:
    """What is known, from its JSON."""
    known = Known()
    if "last" not in state:
        return known
    for name in _PLAIN:
        if name in state:  # a state may be older than what is kept of learners now
            setattr(known, name, state[name])
    last = state["last"]
    known.last = None if last is None else Order(*last)
    known.overall = Skill(*state["overall"])
    known.topics = {name: Skill(*skill) for name, skill in state["topics"].items()}
    known.languages = {name: Skill(*skill) for name, skill in state["languages"].items()}
    return known


def _skill_state(skill: Skill) -> list[float]:
    return [skill.rating, skill.attempts, skill.last_at]


_PLAIN = (
    "first_day",
    "last_day",
    "active",
    "utc_day",
    "session_day",
    "session_utc_day",
    "offset",
    "events",
    "challenges",
    "difficulties",
    "recent",
    "level",
    "mastered",
    "badges",
    "earned",
    "rules_version",
)
