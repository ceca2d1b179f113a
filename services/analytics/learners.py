"""Reading what is known of one learner."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

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
_VERSIONS = text("""
    SELECT users.id, users.timezone AS zone, coalesce(learners.utc_offset, 0) AS utc_offset, learners.version,
           (SELECT sum(version) FROM score_counts) AS counts, (SELECT at FROM score_refreshes) AS refreshed_at
    FROM users LEFT JOIN learners ON learners.owner_id = users.id WHERE users.id = ANY(CAST(:owners AS text[]))
""")
_PROFILE = text("""
    INSERT INTO users (id, role, timezone, locale, listed) VALUES (:owner, 'learner', :timezone, :locale, :listed)
    ON CONFLICT (id) DO UPDATE SET
        timezone = :timezone,
        locale = CASE WHEN :has_locale THEN excluded.locale ELSE users.locale END,
        listed = CASE WHEN :has_listed THEN excluded.listed ELSE users.listed END
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
    refreshed_at: datetime | None
    """When the scores of all were brought to their day."""


async def find_versions(connection: AsyncConnection, owners: Sequence[str]) -> dict[str, LearnerVersion]:
    """The versions of what is known of those users that there are, and of the scores of all."""
    rows = await connection.execute(_VERSIONS, {"owners": owners})
    return {
        row.id: LearnerVersion(row.zone, row.utc_offset, row.version or 0, int(row.counts or 0), row.refreshed_at)
        for row in rows
    }


async def find_learner(connection: AsyncConnection, owner_id: str) -> Learner:
    """A user, with or without events. Raises NotFoundError for one nobody knows."""
    row = (await connection.execute(_LEARNER, {"owner": owner_id})).one_or_none()
    if row is None:
        raise NotFoundError("There is no such user.")
    known = Known() if row.state is None else from_state(row.state)
    return Learner(row.id, row.timezone, row.version or 0, known)


async def save_profile(connection: AsyncConnection, owner_id: str, new: NewProfile, actor_id: str) -> Profile:
    """Set what a profile says; the user exists from then on. What it leaves out, and days that have passed, stay."""
    given = {f"has_{name}": name in new.model_fields_set for name in ("locale", "listed")}
    row = (await connection.execute(_PROFILE, {"owner": owner_id, **new.model_dump(), **given})).one()
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
