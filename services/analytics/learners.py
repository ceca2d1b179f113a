"""Reading what is known of one learner."""

from dataclasses import dataclass
from datetime import date, datetime

from pydantic_core import from_json
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.errors import NotFoundError
from models.metrics import EngagementParts, EngagementScore, NewProfile, Profile, ProgressMetrics, SkillMetrics
from models.persistence.audit import record_change
from services.analytics.activities import day_number, moment
from services.analytics.engagement import FORMULA_VERSION, NONE, Engagement, engagement
from services.analytics.mastery import level, mastery
from services.analytics.scores import today_in
from services.analytics.timeline import Known, Skill, from_state

_LEARNER = text("""
    SELECT users.id, users.timezone, learners.version, learners.state
    FROM users LEFT JOIN learners ON learners.owner_id = users.id WHERE users.id = :owner
""")
_VERSION = text("""
    SELECT users.timezone AS zone, coalesce(learners.utc_offset, 0) AS utc_offset, learners.version,
           (SELECT sum(version) FROM score_counts) AS counts
    FROM users LEFT JOIN learners ON learners.owner_id = users.id WHERE users.id = :owner
""")
_PROFILE = text("""
    INSERT INTO users (id, role, timezone, locale, listed) VALUES (:owner, 'learner', :timezone, :locale, :listed)
    ON CONFLICT (id) DO UPDATE SET timezone = :timezone, locale = :locale, listed = :listed
    RETURNING id AS user_id, timezone, locale, listed
""")
_TOUCH = text(
    "UPDATE learners SET version = version + 1, score_day = '-infinity' WHERE owner_id = :owner AND events > 0"
)
_UNREFRESH = text("DELETE FROM score_refreshes")


@dataclass(frozen=True)
class Learner:
    """A user as analytics knows them."""

    owner_id: str
    zone: str | None
    version: int
    known: Known

    def today(self, now: datetime) -> date:
        """The learner's local day."""
        return today_in(now, self.zone, self.known.offset)

    def engagement(self, now: datetime) -> Engagement:
        """The engagement score as of today."""
        known = self.known
        if known.last is None:
            return NONE
        return engagement(known.last_day, known.active, known.performance, day_number(self.today(now)))


@dataclass(frozen=True)
class LearnerVersion:
    """What an answer about a learner depends on, beside the day: equal ones give equal answers."""

    zone: str | None
    offset: int
    version: int
    counts: int


async def find_version(connection: AsyncConnection, owner_id: str) -> LearnerVersion:
    """The version of what is known of a user and of the scores of all. Raises NotFoundError."""
    row = (await connection.execute(_VERSION, {"owner": owner_id})).one_or_none()
    if row is None:
        raise NotFoundError("There is no such user.")
    return LearnerVersion(row.zone, row.utc_offset, row.version or 0, int(row.counts or 0))


async def find_learner(connection: AsyncConnection, owner_id: str) -> Learner:
    """A user, with or without events. Raises NotFoundError for one nobody knows."""
    row = (await connection.execute(_LEARNER, {"owner": owner_id})).one_or_none()
    if row is None:
        raise NotFoundError("There is no such user.")
    known = Known() if row.state is None else from_state(from_json(row.state))
    return Learner(row.id, row.timezone, row.version or 0, known)


async def save_profile(connection: AsyncConnection, owner_id: str, new: NewProfile, actor_id: str) -> Profile:
    """Set a profile; the user exists from then on. Days that have passed stay as they are."""
    row = (await connection.execute(_PROFILE, {"owner": owner_id, **new.model_dump()})).one()
    await connection.execute(_TOUCH, {"owner": owner_id})
    await connection.execute(_UNREFRESH)  # today may be another day for this learner: standings look again
    await record_change(connection, actor_id, "profile.set", f"user/{owner_id}", {"timezone": new.timezone})
    return Profile.model_validate(row._asdict())


def engagement_score(learner: Learner, now: datetime) -> EngagementScore:
    """The score as it is answered."""
    score = learner.engagement(now)
    names = ("recency", "frequency", "consistency", "performance")
    parts = EngagementParts(**{name: round(getattr(score, name), 4) for name in names})
    return EngagementScore(score=score.score, parts=parts, formula_version=FORMULA_VERSION)


def progress_metrics(known: Known) -> ProgressMetrics:
    """Progress as it is answered."""
    overall = _skill("", known.overall)
    return ProgressMetrics.model_validate(
        {
            "challenges_completed": known.challenges,
            "by_difficulty": known.difficulties,
            "mastery": overall.mastery if overall.attempts else 0.0,
            "level": overall.level,
            "topics": [_skill(name, skill) for name, skill in sorted(known.topics.items())],
            "languages": [_skill(name, skill) for name, skill in sorted(known.languages.items())],
        }
    )


def _skill(name: str, skill: Skill) -> SkillMetrics:
    return SkillMetrics(
        name=name,
        mastery=round(mastery(skill.rating), 4),
        level=level(skill.rating, skill.attempts),
        attempts=skill.attempts,
        last_at=moment(skill.last_at) if skill.attempts else None,
    )
