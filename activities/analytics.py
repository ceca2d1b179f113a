"""Actions of the analytics service."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from activities.step import Step
from models.activity import ActivityKind
from models.analytics import (
    ArchiveEvents,
    ArchiveRestored,
    AwardBadge,
    BackFillBadges,
    BackFilled,
    BeginDay,
    CheckEligibility,
    DayBegun,
    ErasuresFinished,
    EventsArchived,
    FinishErasures,
    GenerateReport,
    GetTrends,
    GetUserMetrics,
    Recompute,
    Recomputed,
    RecordAchievement,
    Recorded,
    Report,
    RestoreArchive,
    Tracked,
    TrackEngagement,
    TrackProgress,
    TryBadge,
    WouldEarn,
)
from models.badges import Award, Badge, Eligibility
from models.errors import InvalidInputError, UnavailableError
from models.metrics import Trend, UserMetrics
from models.persistence.audit import record_change
from services.analytics import awards, erasure, everybody, metrics, rebuild, recompute, retention
from services.analytics.badge_rules import Rules
from services.analytics.custom_badges import load_rules
from services.analytics.erasure import ForgetRuns
from services.analytics.facts import read_cohort_facts, read_learner_facts
from services.analytics.history import snapshot
from services.analytics.ingest import Ingest
from services.analytics.learners import find_learner
from services.analytics.partitions import Partitions
from services.analytics.scores import refresh_scores
from services.analytics.standings import read_percentile
from services.analytics.tallies import drop_standings
from services.analytics.timeframes import period
from services.reports.analysis.report import write_analysis_report
from services.reports.cohort.report import write_cohort_report
from services.reports.documents import Documents
from services.reports.learner.report import write_learner_report
from services.reports.repository import save_report

_SHOWN = 100
"""Findings in a result; the rest is counted."""


async def _no_temporal(_runs: Sequence[str]) -> None:
    raise UnavailableError("This process knows no Temporal server.")


class AnalyticsActivities:
    """What learners did, what follows from it, and reports."""

    def __init__(
        self,
        database: AsyncEngine,
        session_gap_seconds: float = 1_800.0,
        activity_months: int = 24,
        forget: ForgetRuns = _no_temporal,
    ) -> None:
        self._database = database
        self._gap = session_gap_seconds
        self._months = activity_months
        self._forget = forget
        self._ingest = Ingest(database, session_gap_seconds)

    async def generate_report(self, input: GenerateReport, step: Step) -> Report:  # noqa: A002 - every action names it so
        """Write a report and store it for the run's user; another attempt returns the same report."""
        documents = await self._documents(input, step)
        async with self._database.begin() as connection:
            return await save_report(
                connection,
                owner_id=step.caller.user_id,
                run_id=step.run_id,
                step_id=step.step_id,
                documents=documents,
            )

    async def _documents(self, wanted: GenerateReport, step: Step) -> Documents:
        if wanted.analysis is not None:
            return await asyncio.to_thread(write_analysis_report, wanted.analysis, wanted.title)
        now = datetime.now(UTC)
        if wanted.learner is not None:
            owner = wanted.learner.user_id or step.caller.user_id
            awards.may_see(step.caller, owner)
            await refresh_scores(self._database, now)
            async with snapshot(self._database) as connection:
                learner = await read_learner_facts(connection, owner, wanted.learner, now)
            return await asyncio.to_thread(write_learner_report, learner, wanted.title)
        assert wanted.cohort is not None  # noqa: S101 - exactly one subject is there
        await refresh_scores(self._database, now)
        async with snapshot(self._database) as connection:
            cohort = await read_cohort_facts(connection, wanted.cohort, now)
        return await asyncio.to_thread(write_cohort_report, cohort, wanted.title)

    async def track_engagement(self, input: TrackEngagement, step: Step) -> Tracked:  # noqa: A002 - the same
        """Report a heartbeat, once for this step."""
        return await self._track(input, ActivityKind.HEARTBEAT, {"activity", "duration_seconds"}, step)

    async def track_progress(self, input: TrackProgress, step: Step) -> Tracked:  # noqa: A002 - the same
        """Report a completed challenge, once for this step."""
        return await self._track(
            input, ActivityKind.COMPLETED, set(TrackProgress.model_fields) - {"user_id", "at"}, step
        )

    async def _track(
        self, reported: TrackEngagement | TrackProgress, kind: ActivityKind, data: set[str], step: Step
    ) -> Tracked:
        now = datetime.now(UTC)
        event_id = f"{step.run_id}/{step.step_id}"
        event: dict[str, Any] = {
            "id": event_id,
            "source": "workflow",
            "user_id": reported.user_id or step.caller.user_id,
            "kind": kind.value,
            "at": reported.at or now,
            "data": reported.model_dump(include=data, exclude_none=True),
        }
        taken = await self._ingest.take([(0, event)], step.caller, now)
        for refused in taken.refused:
            raise InvalidInputError(refused.message, code=refused.code)
        return Tracked(event_id=event_id, accepted=taken.accepted > 0)

    async def record_achievement(self, input: RecordAchievement, step: Step) -> Recorded:  # noqa: A002 - the same
        """Record a milestone, once for its key."""
        async with self._database.begin() as connection:
            await find_learner(connection, input.user_id)
            new = await awards.record_achievement(connection, input.user_id, input.key, input.name, datetime.now(UTC))
            if new:
                detail = {"user_id": input.user_id, "key": input.key}
                await record_change(connection, step.caller.user_id, "achievement.record", f"run/{step.run_id}", detail)
        return Recorded(key=input.key, new=new)

    async def get_user_metrics(self, input: GetUserMetrics, step: Step) -> UserMetrics:  # noqa: A002 - the same
        """Read metrics of the run's user, or of anyone for an admin."""
        owner = input.user_id or step.caller.user_id
        awards.may_see(step.caller, owner)
        now = datetime.now(UTC)
        await refresh_scores(self._database, now)
        async with self._database.connect() as connection:
            learner = await find_learner(connection, owner)
            wanted = period(input.timeframe, input.first, input.last, learner.today(now))
            share = await read_percentile(connection, learner, now)
            return await metrics.read_metrics(connection, learner, wanted, share, now)

    async def get_trends(self, input: GetTrends, step: Step) -> Trend:  # noqa: A002 - the same
        """Read a trend of all, or of the run's user, or of anyone for an admin."""
        now = datetime.now(UTC)
        async with self._database.connect() as connection:
            if input.user_id is None:
                return await everybody.read_trend(connection, input.metric, input.days, now.date())
            awards.may_see(step.caller, input.user_id)
            today = (await find_learner(connection, input.user_id)).today(now)
            return await everybody.read_trend(connection, input.metric, input.days, today, input.user_id)

    async def award_badge(self, input: AwardBadge, step: Step) -> Award:  # noqa: A002 - the same
        """Award a badge, once for this step."""
        async with self._database.begin() as connection:
            return await awards.award_by_hand(
                connection,
                await load_rules(connection),
                input.user_id,
                input.badge,
                step.caller.user_id,
                input.at or datetime.now(UTC),
                input.reason,
                once_for=f"{step.run_id}/{step.step_id}",
            )

    async def check_eligibility(self, input: CheckEligibility, step: Step) -> Eligibility:  # noqa: A002 - the same
        """Check the run's user, or anyone for an admin."""
        owner = input.user_id or step.caller.user_id
        awards.may_see(step.caller, owner)
        async with self._database.connect() as connection:
            learner = await find_learner(connection, owner)
            rule = awards.rule_of(await load_rules(connection), input.badge)
            return awards.eligibility(learner, rule, await awards.list_awards(connection, owner))

    async def recompute(self, input: Recompute, step: Step) -> Recomputed:  # noqa: A002 - the same
        """Fold every event again as of one moment, and tell what differs."""
        found = recompute.Audit()
        async for found in recompute.audit(self._database, self._gap, datetime.now(UTC)):
            step.report({"learners": found.learners, "differences": len(found.differences)})
        if input.repair and found.differences:
            await recompute.repair(self._database, found, self._gap, datetime.now(UTC))
        return Recomputed(
            learners=found.learners,
            events=found.events,
            differences_total=len(found.differences),
            differences=tuple(found.differences[:_SHOWN]),
            repaired=input.repair and bool(found.differences),
        )

    async def begin_day(self, _input: BeginDay, _step: Step) -> DayBegun:
        """What readers and writers would otherwise do when they come to it."""
        now = datetime.now(UTC)
        await Partitions(self._database).ensure_ahead(now)
        async with self._database.begin() as connection:
            standings = await drop_standings(connection, now.date())
        return DayBegun(scores=await refresh_scores(self._database, now), standings=standings)

    async def back_fill_badges(self, _input: BackFillBadges, step: Step) -> BackFilled:
        """Go through all learners that a custom badge has not looked at."""
        learners = given = 0
        after: str | None = ""
        while after is not None:
            old, after = await rebuild.outdated_learners(self._database, after)
            if old:
                given += await rebuild.rebuild(self._database, old, self._gap, datetime.now(UTC))
            learners += len(old)
            step.report({"learners": learners, "awards": given})
        return BackFilled(learners=learners, awards=given)

    async def try_badge(self, input: TryBadge, step: Step) -> WouldEarn:  # noqa: A002 - the same
        """Fold every event with the one rule."""
        rules = Rules([Badge(id="tried", name="", description="", rule=input.rule)])
        learners = would = 0
        examples: dict[str, datetime] = {}
        async for seen, earned in rebuild.who_would_earn(self._database, rules):
            learners += seen
            would += len(earned)
            examples.update(earned[: _SHOWN - len(examples)])
            step.report({"learners": learners, "would_earn": would})
        return WouldEarn(learners=learners, would_earn=would, examples=examples)

    async def archive(self, _input: ArchiveEvents, step: Step) -> EventsArchived:
        """Month by month; another attempt goes on. Erased people go first, so that nobody writes them again."""
        await erasure.finish_erasures(self._database, self._forget)
        months: dict[str, int] = {}
        now, actor = datetime.now(UTC), step.caller.user_id
        async for month, events in retention.archive_events(self._database, self._months, now, actor):
            months[month] = events
            step.report({"months": len(months), "last": month})
        return EventsArchived(months=months)

    async def restore_archive(self, input: RestoreArchive, step: Step) -> ArchiveRestored:  # noqa: A002 - the same
        """Put a month back, for some days."""
        now = datetime.now(UTC)
        rows, until = await retention.restore_events(self._database, input.month, now, step.caller.user_id)
        return ArchiveRestored(month=input.month, rows=rows, until=until)

    async def finish_erasures(self, _input: FinishErasures, _step: Step) -> ErasuresFinished:
        """Try what is left of every erasure; what cannot be done yet is left to the next time."""
        finished, _ = await erasure.finish_erasures(self._database, self._forget)
        async with self._database.connect() as connection:
            return ErasuresFinished(finished=finished, left=await erasure.count_erasures(connection))
