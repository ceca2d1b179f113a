"""Metrics of learners and of all."""

import asyncio
from datetime import UTC, date, datetime
from functools import partial
from typing import Annotated, Literal
from uuid import uuid4
from zoneinfo import available_timezones

from fastapi import BackgroundTasks, Depends, Path, Query, Request
from starlette.responses import Response

from api.dependencies import AdminDep, CallerDep, DatabaseDep, LookupsDep, PartsDep, require
from api.parts import Parts
from api.routing import resource
from models.activity import Timeframe
from models.analytics import ArchivedMonth
from models.errors import InvalidInputError, NotFoundError, Problem
from models.identity import Caller, Role
from models.learning_path import LearningPath, NewTopics, Topics
from models.metrics import (
    Achievement,
    Cohorts,
    EngagementScore,
    Erasing,
    Export,
    GlobalMetrics,
    NewProfile,
    Profile,
    ProgressMetrics,
    TopPerformers,
    Trend,
    UserMetrics,
)
from services.analytics import erasure, everybody, learners, metrics, standings, topics
from services.analytics.awards import list_achievements, may_see
from services.analytics.export import export_learner
from services.analytics.retention import list_archives
from services.analytics.scores import are_refreshed, refresh_scores, today_in
from services.analytics.timeframes import period
from workflows.client import forget_runs

router = resource("analytics")

UserPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$", examples=["ada"])]
AnyKeyDep = Annotated[Caller, Depends(require(Role.LEARNER, Role.AUTHOR, Role.ADMIN, Role.SERVICE))]
_FINISHES_WITHIN = 5.0
"""Seconds that who erases a person waits for what is left after the database."""
_From = Annotated[date | None, Query(alias="from", description="First day; with `to`, in place of timeframe.")]
_To = Annotated[date | None, Query(description="Last day, included.")]
_Days = Annotated[int, Query(ge=1, le=400, description="Up to today, which is included.")]
_TimeframeQuery = Annotated[Timeframe | None, Query(description="Calendar period; all without it.")]


@router.get("/analytics/user/{user_id}/metrics", response_model=UserMetrics)
async def get_user_metrics(
    request: Request,
    user_id: UserPath,
    caller: CallerDep,
    parts: PartsDep,
    timeframe: _TimeframeQuery = None,
    first: _From = None,
    to: _To = None,
) -> Response:
    """What a learner did in a calendar period, in the learner's local days. Learners see themselves only."""
    may_see(caller, user_id)
    now = datetime.now(UTC)
    version = await parts.versions.load(user_id)
    if version is not None and not are_refreshed(version.refreshed_at, now):
        await refresh_scores(parts.database, now)
        version = await parts.versions.load(user_id)
    if version is None:
        raise NotFoundError("There is no such user.")
    today = today_in(now, version.zone, version.offset)
    wanted = period(timeframe, first, to, today)
    key, state = ("metrics", user_id, wanted), (version, today)
    answer = parts.answers.find(key, state)
    if answer is None:
        async with parts.autocommit.connect() as connection:
            learner = await learners.find_learner(connection, user_id)
            share = await standings.read_percentile(connection, learner, now)
            found = await metrics.read_metrics(connection, learner, wanted, share, now)
        answer = parts.answers.keep(key, state, found.model_dump_json(by_alias=True).encode())
    return answer.response(request)


@router.get("/analytics/user/{user_id}/progress")
async def get_user_progress(user_id: UserPath, caller: CallerDep, lookups: LookupsDep) -> ProgressMetrics:
    """Challenges a learner has completed, and mastery by topic and language."""
    may_see(caller, user_id)
    async with lookups.connect() as connection:
        return learners.progress_metrics((await learners.find_learner(connection, user_id)).known)


@router.get("/analytics/user/{user_id}/engagement-score")
async def get_engagement_score(user_id: UserPath, caller: CallerDep, lookups: LookupsDep) -> EngagementScore:
    """How engaged a learner is today, from 0 to 100, with the parts of the formula."""
    may_see(caller, user_id)
    async with lookups.connect() as connection:
        return learners.engagement_score(await learners.find_learner(connection, user_id), datetime.now(UTC))


@router.get("/analytics/user/{user_id}/learning-path")
async def get_learning_path(user_id: UserPath, caller: CallerDep, database: DatabaseDep) -> LearningPath:
    """Topics in the order to learn them: done, ready or locked; the next best one, and reviews that are due."""
    may_see(caller, user_id)
    async with database.connect() as connection:
        learner = await learners.find_learner(connection, user_id)
        return await topics.read_learning_path(connection, learner, datetime.now(UTC))


@router.get("/analytics/topics")
async def list_topics(_: AnyKeyDep, lookups: LookupsDep) -> Topics:
    """All topics in the order of their prerequisites."""
    async with lookups.connect() as connection:
        return Topics(items=await topics.list_topics(connection))


@router.put("/analytics/topics")
async def replace_topics(new: NewTopics, caller: AdminDep, database: DatabaseDep) -> Topics:
    """Replace all topics. What learners have mastered stays, also of topics that are gone."""
    async with database.begin() as connection:
        return await topics.replace_topics(connection, new, caller.user_id)


@router.get("/analytics/user/{user_id}/trends")
async def get_user_trend(
    user_id: UserPath,
    caller: CallerDep,
    lookups: LookupsDep,
    metric: everybody.Metric = "sessions",
    days: _Days = 30,
) -> Trend:
    """A metric of one learner by local day. Today is partial."""
    may_see(caller, user_id)
    async with lookups.connect() as connection:
        learner = await learners.find_learner(connection, user_id)
        return await everybody.read_trend(connection, metric, days, learner.today(datetime.now(UTC)), user_id)


@router.get("/analytics/user/{user_id}/achievements")
async def list_user_achievements(
    user_id: UserPath, caller: CallerDep, lookups: LookupsDep
) -> dict[str, tuple[Achievement, ...] | None]:
    """Milestones in a learner's history, the earliest first."""
    may_see(caller, user_id)
    async with lookups.connect() as connection:
        await learners.find_learner(connection, user_id)
        return {"items": await list_achievements(connection, user_id), "next_cursor": None}


@router.put("/analytics/user/{user_id}/profile")
async def set_profile(user_id: UserPath, new: NewProfile, caller: CallerDep, database: DatabaseDep) -> Profile:
    """Set a learner's time zone, language and whether leaderboards show them. What is left out stays, past days too."""
    may_see(caller, user_id)
    if new.timezone not in available_timezones():
        message = f"{new.timezone} is no zone of the IANA time zone database, such as Europe/Berlin"
        raise InvalidInputError(message, problems=[Problem(pointer="/timezone", code="bad-timezone", message=message)])
    async with database.begin() as connection:
        return await learners.save_profile(connection, user_id, new, caller.user_id)


@router.get("/analytics/user/{user_id}/export")
async def export_user(user_id: UserPath, caller: CallerDep, database: DatabaseDep) -> Export:
    """Everything that is known of a learner, events included."""
    may_see(caller, user_id)
    async with database.connect() as connection:
        return await export_learner(connection, user_id, datetime.now(UTC))


@router.delete(
    "/analytics/user/{user_id}",
    status_code=204,
    responses={202: {"model": Erasing, "description": "Erased from the database; what is left is tried until done."}},
)
async def erase_user(user_id: UserPath, caller: CallerDep, parts: PartsDep, background: BackgroundTasks) -> Response:
    """Erase a person for good: keys, events, reports and all that runs took and gave.

    204 when nothing is left anywhere. 202 when the person is gone from the database, and Temporal's histories or
    archived events are still to be erased: that is tried every five minutes until it is done. Awards and audit keep a
    pseudonym; sums over all keep their counts. 409 for an admin.
    """
    may_see(caller, user_id)
    pseudonym = f"erased-{uuid4().hex[:16]}"
    actor = caller.user_id if caller.user_id != user_id else pseudonym
    async with parts.database.begin() as connection:
        await erasure.erase_user(connection, user_id, pseudonym, actor)
    finishing = asyncio.create_task(_finish_erasure(parts, pseudonym))
    done, _ = await asyncio.wait({finishing}, timeout=_FINISHES_WITHIN)
    left = finishing.result() if done else ["temporal", "archive"]
    if not left:
        return Response(status_code=204)
    background.add_task(asyncio.wait, {finishing})  # what takes longer goes on behind the answer
    answer = Erasing.model_validate({"left": left}).model_dump_json()
    return Response(answer, status_code=202, media_type="application/json", background=background)


@router.get("/analytics/global/metrics")
async def get_global_metrics(
    _: AnyKeyDep,
    database: DatabaseDep,
    timeframe: _TimeframeQuery = None,
    first: _From = None,
    to: _To = None,
) -> GlobalMetrics:
    """What all learners did in a calendar period, in UTC."""
    now = datetime.now(UTC)
    async with database.connect() as connection:
        return await everybody.read_global_metrics(connection, period(timeframe, first, to, now.date()), now)


@router.get("/analytics/global/top-performers")
async def get_top_performers(
    caller: AnyKeyDep,
    parts: PartsDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 10,
    timeframe: Timeframe = "all",
    by: standings.By = "engagement",
    near: Annotated[Literal["me"] | None, Query(description="Those around the caller.")] = None,
) -> TopPerformers:
    """The best learners: by engagement or mastery as of now, or by completed challenges in a calendar period in UTC.

    Equal values share a rank. Learners who are not listed count, and are not shown.
    """
    now = datetime.now(UTC)
    await refresh_scores(parts.database, now)
    async with parts.autocommit.connect() as connection:
        around = caller.user_id if near else None
        return await standings.top_performers(connection, by, timeframe, limit, now, around)


@router.get("/analytics/global/trends")
async def get_global_trend(
    _: AnyKeyDep, lookups: LookupsDep, metric: everybody.Metric = "sessions", days: _Days = 30
) -> Trend:
    """A metric over all learners by day in UTC. Today is partial."""
    async with lookups.connect() as connection:
        return await everybody.read_trend(connection, metric, days, datetime.now(UTC).date())


@router.get("/analytics/cohorts")
async def get_cohorts(
    _: AnyKeyDep,
    lookups: LookupsDep,
    by: Literal["week", "month"] = "week",
    periods: Annotated[int, Query(ge=1, le=60)] = 12,
) -> Cohorts:
    """Retention: of learners who began in the same period, the share active in each period since."""
    async with lookups.connect() as connection:
        return await everybody.read_cohorts(connection, by, periods, datetime.now(UTC).date())


@router.get("/analytics/archives")
async def list_archived_months(_: AdminDep, lookups: LookupsDep) -> dict[str, tuple[ArchivedMonth, ...] | None]:
    """Months of activity events that are files. `analytics.restore-archive` puts one back."""
    async with lookups.connect() as connection:
        return {"items": await list_archives(connection), "next_cursor": None}


async def _finish_erasure(parts: Parts, pseudonym: str) -> list[str]:
    _, left = await erasure.finish_erasures(parts.database, partial(forget_runs, parts.temporal), pseudonym)
    return left
