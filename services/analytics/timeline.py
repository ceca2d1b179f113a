"""A learner's events folded, in their order, into what is known of the learner. Pure.

What is known is the fold over all events sorted by `Order`: it depends on neither the order nor the number of times
they arrive. Events that follow the last one continue the fold; for late ones it is done again from the first event,
and the difference is what changes in the tables (`ingest.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from models.activity import ActivityKind
from services.analytics.activities import SECOND, Activity, Order
from services.analytics.badge_rules import BadgeRule, Rules, Seen, current
from services.analytics.engagement import RECENT_ATTEMPTS, performance, remember_day
from services.analytics.mastery import LEAST_ATTEMPTS, LEVELS, MASTERED, level, mastery, updated

HUNDREDTHS = 100
"""Scores are summed in hundredths of a point: whole numbers, whose sums do not depend on their order."""
CHECKPOINT_EVERY = 20
"""Events from one checkpoint to the next."""
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


class Skill(msgspec.Struct, array_like=True, gc=False):
    """A learner's rating in a topic, a language or all. Stored as a list, since most of a state is skills."""

    rating: float = 0.0
    attempts: int = 0
    last_at: int = 0


class Known(msgspec.Struct):
    """All that is known of a learner after some events, stored as JSON in `learners.state`."""

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
    difficulties: dict[str, int] = {}
    recent: list[int] = []
    """Scores of the last attempts, in hundredths."""
    overall: Skill = msgspec.field(default_factory=Skill)
    topics: dict[str, Skill] = {}
    languages: dict[str, Skill] = {}
    level: int = 0
    """The highest level reached, as its place among all."""
    mastered: list[str] = []
    badges: dict[str, Seen] = {}
    """What the rules of badges that are not earned yet have seen."""
    earned: dict[str, int] = {}
    """How often each badge was earned."""
    rules_version: int = 0
    """The newest custom badge that has been looked at."""

    @property
    def performance(self) -> float:
        """Mean score of the last attempts, from 0 to 1."""
        return performance(self.recent)


@dataclass(frozen=True, slots=True)
class Earned:
    """A badge that an event has earned."""

    badge: str
    occurrence: int
    """1 for the first time; more only of repeatable badges."""
    event: Activity


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was known after some events."""

    events: int
    at: int
    """Of the last of them."""
    state: str


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
        self.checkpoints: list[Checkpoint] = []
        self.moved: dict[str, float] = {}
        """Badges that have come nearer, with the progress before."""
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
        if known.events % CHECKPOINT_EVERY == 0:
            self.checkpoints.append(Checkpoint(known.events, event.at, to_state(known)))

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
        if (times and not rule.repeatable) or not rule.matches(event):
            return
        before = known.badges.get(rule.id)
        seen, reached = rule.step(before, event)
        if seen is before:
            return
        if rule.id not in self.moved:
            self.moved[rule.id] = current(rule, before)
        if reached < rule.target:
            known.badges[rule.id] = seen
            return
        known.badges.pop(rule.id, None)
        known.earned[rule.id] = times + 1
        self.earned.append(Earned(rule.id, times + 1, event))


_LASTING = frozenset({ActivityKind.HEARTBEAT.value, ActivityKind.STUDIED.value})


def fold(events: Iterable[Activity], rules: Rules, session_gap_seconds: float, known: Known | None = None) -> Timeline:
    """The fold over a learner's events, in their order: all of them, or those that follow what is known."""
    timeline = Timeline(known or Known(), rules, session_gap_seconds)
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


def milestones(known: Known) -> list[str]:
    """Keys of all that has been achieved."""
    levels = [f"level:{name}" for name, _ in LEVELS[1 : known.level + 1]]
    return levels + [f"topic:{topic}" for topic in known.mastered]


def progress(known: Known, rule: BadgeRule) -> float:
    """How far the learner is toward a badge: the target when it is earned."""
    if known.earned.get(rule.id) and not rule.repeatable:
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


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Known)


def to_state(known: Known) -> str:
    """What is known as JSON."""
    return _ENCODER.encode(known).decode()


def from_state(state: str) -> Known:
    """What is known, from its JSON. It may be older than what is kept of learners now: what is missing is empty."""
    return _DECODER.decode(state)
