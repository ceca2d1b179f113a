"""Reports that the action writes, with a database."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.analytics import AnalyticsActivities
from activities.step import Step
from models.analytics import GenerateReport, ReportOnCohort, ReportOnLearner
from models.catalogue import CATALOGUE
from models.errors import NotFoundError, Problem
from models.identity import Caller, Role
from models.persistence.tables import audit, reports, users
from services.analytics.facts import read_cohort_facts, read_learner_facts
from services.analytics.history import snapshot
from services.analytics.ingest import Ingest
from services.reports.repository import StoredReport, read_report
from tests.services.reports.report_examples import example_analysis
from tests.services.reports.report_readers import Page
from workflows.dag.compile import compile_definition

ADA = Caller(user_id="ada", role=Role.LEARNER)
ROOT = Caller(user_id="root", role=Role.ADMIN)
GRADER = Caller(user_id="grader", role=Role.SERVICE)
NOW = datetime.now(UTC)


@pytest.fixture
async def people(database: AsyncEngine) -> None:
    async with database.begin() as connection:
        rows = [{"id": user, "role": "learner"} for user in ("ada", "ben", "shy")]
        await connection.execute(insert(users), [*rows, {"id": "root", "role": "admin"}])


@pytest.fixture
def activities(database: AsyncEngine) -> AnalyticsActivities:
    return AnalyticsActivities(database)


def _step(attempt: int = 1, caller: Caller = ADA, run: str = "run-1") -> Step:
    return Step(run_id=run, step_id="report", definition="code-review", attempt=attempt, caller=caller)


def _completed(name: str, user: str, at: datetime, **data: Any) -> dict[str, Any]:
    filled = {
        "challenge_id": name,
        "language": "python",
        "difficulty": "easy",
        "topics": ["loops"],
        "score": 80,
        "started_at": (at - timedelta(minutes=10)).isoformat(),
        **data,
    }
    event = {"id": name, "source": "grader", "user_id": user, "kind": "challenge.completed", "at": at.isoformat()}
    return {**event, "data": filled}


async def _take(database: AsyncEngine, *events: dict[str, Any]) -> None:
    taken = await Ingest(database).take(list(enumerate(events)), GRADER, datetime.now(UTC))
    assert taken.accepted == len(events)


async def _stored(database: AsyncEngine, report_id: str, caller: Caller) -> StoredReport:
    async with database.connect() as connection:
        return await read_report(connection, report_id, caller)


@pytest.mark.usefixtures("people")
async def test_generate_report_stores_it_once_for_the_runs_user(
    database: AsyncEngine, activities: AnalyticsActivities
) -> None:
    order = GenerateReport(analysis=example_analysis(), title="Requests")

    report = await activities.generate_report(order, _step(attempt=1))
    again = await activities.generate_report(order, _step(attempt=2))

    assert again == report
    assert report.title == "Requests"
    async with database.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(reports)) == 1
        assert await connection.scalar(select(func.count()).select_from(audit)) == 0
    stored = await _stored(database, report.id, ADA)
    assert stored.html.startswith("<!DOCTYPE html>")
    assert stored.data["headline"] == report.headline


@pytest.mark.usefixtures("people")
async def test_a_learner_reports_on_themselves(database: AsyncEngine, activities: AnalyticsActivities) -> None:
    await _take(
        database,
        _completed("one", "ada", NOW, topics=["<script>alert(1)</script>", "グラフ"]),
        _completed("two", "ada", NOW - timedelta(days=40), score=60),
        _completed("three", "ben", NOW - timedelta(days=40)),
    )
    report = await activities.generate_report(GenerateReport(learner=ReportOnLearner(timeframe="month")), _step())
    stored = await _stored(database, report.id, ADA)
    learner = stored.data["learner"]
    assert (learner["user_id"], learner["metrics"]["timeframe"]) == ("ada", "month")
    assert (learner["metrics"]["challenges_completed"], learner["progress"]["challenges_completed"]) == (1, 2)
    assert learner["metrics"]["percentile"] == 1.0
    assert learner["scored_days"] == [{"date": NOW.date().isoformat(), "challenges": 1, "score_total": 80.0}]
    assert "<script" not in stored.html
    topics = {row[0] for row in Page(stored.html).tables["Mastery by topic"]}
    assert topics == {"Topic", "<script>alert(1)</script>", "グラフ", "loops"}
    assert "First challenge" in {row[0] for row in Page(stored.html).tables["Badges earned"]}
    assert report.headline.startswith("ada, ")
    assert report.formats == ("json", "html", "markdown")


@pytest.mark.usefixtures("people")
async def test_a_second_attempt_returns_the_first_report_whatever_happened_since(
    database: AsyncEngine, activities: AnalyticsActivities
) -> None:
    order = GenerateReport(learner=ReportOnLearner())
    first = await activities.generate_report(order, _step())
    await _take(database, _completed("one", "ada", NOW))
    assert first.headline == "ada: no activity yet."
    assert await activities.generate_report(order, _step(attempt=2)) == first
    other = await activities.generate_report(order, _step(run="run-2"))
    assert other.id != first.id
    assert "1 challenge" in other.headline


@pytest.mark.usefixtures("people")
async def test_learners_get_no_report_on_another_and_admins_on_anyone(
    database: AsyncEngine, activities: AnalyticsActivities
) -> None:
    order = GenerateReport(learner=ReportOnLearner(user_id="ben"))
    with pytest.raises(NotFoundError) as refused:
        await activities.generate_report(order, _step())
    with pytest.raises(NotFoundError) as missing:
        await activities.generate_report(GenerateReport(learner=ReportOnLearner(user_id="nobody")), _step())
    with pytest.raises(NotFoundError) as metrics:
        await activities.get_user_metrics(ReportOnLearner(user_id="ben"), _step())
    assert str(refused.value) == str(missing.value) == str(metrics.value)
    report = await activities.generate_report(order, _step(caller=ROOT))
    assert (await _stored(database, report.id, ROOT)).data["learner"]["user_id"] == "ben"
    with pytest.raises(NotFoundError):  # it is the admin's: the learner reads their own
        await _stored(database, report.id, Caller(user_id="ben", role=Role.LEARNER))
    nobody = GenerateReport(learner=ReportOnLearner(user_id="nobody"))
    with pytest.raises(NotFoundError):
        await activities.generate_report(nobody, _step(caller=ROOT, run="run-3"))


@pytest.mark.usefixtures("people")
async def test_a_cohort_report_names_only_who_is_listed(database: AsyncEngine, activities: AnalyticsActivities) -> None:
    async with database.begin() as connection:
        await connection.execute(update(users).where(users.c.id == "shy").values(listed=False))
    weeks = [NOW - timedelta(weeks=number) for number in range(3)]
    await _take(
        database,
        *(_completed(f"shy-{number}", "shy", at) for number, at in enumerate(weeks)),
        *(_completed(f"ada-{number}", "ada", at) for number, at in enumerate(weeks[1:])),
        _completed("ben-0", "ben", weeks[0], score=70),
    )
    report = await activities.generate_report(GenerateReport(cohort=ReportOnCohort(periods=4)), _step())
    stored = await _stored(database, report.id, ADA)
    documents = f"{stored.html}{stored.markdown}{stored.data}"
    assert "shy" not in documents
    cohort = stored.data["cohort"]
    assert [(one["learners"], one["retention"]) for one in cohort["cohorts"]["items"]] == [
        (2, [1.0, 1.0, 0.5, None]),
        (1, [1.0, None, None, None]),
    ]
    assert {(one["user_id"], one["rank"]) for one in cohort["by_completed"]["items"]} == {("ada", 2), ("ben", 3)}
    assert {one["badge"]: one["awards"] for one in cohort["badges"]}["first-challenge"] == 3
    assert (cohort["metrics"]["learners"], cohort["metrics"]["challenges_completed"]) == (3, 6)
    assert report.headline.endswith("3 of 3 learners active; 6 sessions; 6 challenges with a mean score of 78.3.")


@pytest.mark.usefixtures("people")
async def test_badges_of_a_cohort_are_of_its_period_and_not_revoked(
    database: AsyncEngine, activities: AnalyticsActivities
) -> None:
    long_ago = NOW - timedelta(days=60)
    await _take(
        database, _completed("one", "ada", long_ago), _completed("two", "ben", NOW), _completed("x", "shy", NOW)
    )
    revoke = """
        INSERT INTO award_changes (award_id, change, actor_id, reason)
        SELECT id, 'revoked', 'root', 'copied' FROM awards WHERE owner_id = 'shy'
    """
    async with database.begin() as connection:
        await connection.execute(text(revoke))
    days = {"first": (NOW - timedelta(days=1)).date(), "last": NOW.date()}
    for run, wanted, awards in (("a", ReportOnCohort(), 2), ("b", ReportOnCohort.model_validate(days), 1)):
        report = await activities.generate_report(GenerateReport(cohort=wanted), _step(run=run))
        counts = (await _stored(database, report.id, ADA)).data["cohort"]["badges"]
        assert {one["badge"]: one["awards"] for one in counts}["first-challenge"] == awards


@pytest.mark.usefixtures("people")
async def test_what_is_read_is_of_one_moment(database: AsyncEngine) -> None:
    async with snapshot(database) as connection:
        learner = await read_learner_facts(connection, "ada", ReportOnLearner(), NOW)
        cohort = await read_cohort_facts(connection, ReportOnCohort(), NOW)
        await _take(database, _completed("one", "ada", NOW))
        assert await read_learner_facts(connection, "ada", ReportOnLearner(), NOW) == learner
        assert await read_cohort_facts(connection, ReportOnCohort(), NOW) == cohort
    async with snapshot(database) as connection:
        assert await read_learner_facts(connection, "ada", ReportOnLearner(), NOW) != learner


# Definitions


def _problems(*steps: dict[str, Any]) -> Sequence[Problem]:
    definition = {
        "id": "reporting",
        "name": "Reporting",
        "input": {
            "type": "object",
            "properties": {"user": {"type": "string"}, "number": {"type": "integer"}},
            "required": ["user", "number"],
        },
        "steps": [{"service": "analytics", "action": "generate-report", **step} for step in steps],
    }
    compiled = compile_definition(definition, CATALOGUE)
    return compiled if isinstance(compiled, list) else []


REPO = {"id": "load", "service": "context", "action": "load-repo", "input": {"path": "/x"}}
ANALYZE = {"id": "analyze", "service": "context", "action": "analyze", "input": {"repo": "from:load"}}


@pytest.mark.parametrize(
    "given",
    [
        {"learner": {}},
        {"learner": {"user_id": "ada", "timeframe": "week"}, "title": "Ada"},
        {"learner": {"user_id": "from:input.user", "first": "2026-01-01", "last": "2026-01-31"}},
        {"cohort": {}},
        {"cohort": {"by": "month", "periods": 6, "timeframe": "month", "top": 3}},
        {"analysis": "from:analyze", "title": "from:input.user"},
    ],
)
def test_definitions_name_one_subject(given: dict[str, Any]) -> None:
    steps = [REPO, ANALYZE] if "analysis" in given else []
    assert _problems(*steps, {"id": "report", "input": given}) == []


@pytest.mark.parametrize(
    ("given", "pointer", "words"),
    [
        ({}, "", "exactly one of analysis, learner and cohort; there is none"),
        ({"title": "from:input.user"}, "/analysis", "missing"),
        ({"learner": {}, "cohort": {}}, "", "there is learner and cohort"),
        ({"learner": {"timeframe": "week", "first": "2026-01-01"}}, "/learner", "either timeframe, or first and last"),
        ({"learner": {"first": "2026-01-02", "last": "2026-01-01"}}, "/learner", "last is before first"),
        ({"learner": {"timeframe": "year"}}, "/learner/timeframe", "'day', 'week', 'month' or 'all'"),
        ({"learner": {"user": "ada"}}, "/learner/user", "not known here"),
        ({"learner": {"user_id": "from:input.number"}}, "/learner/user_id", "integer is not string"),
        ({"cohort": {"by": "day"}}, "/cohort/by", "'week' or 'month'"),
        ({"cohort": {"periods": 61}}, "/cohort/periods", "less than or equal to 60"),
        ({"analysis": "from:input.user"}, "/analysis", "string is not object"),
        ({"analysis": None, "learner": {}, "colour": 1}, "/colour", "not known here"),
    ],
)
def test_a_wrong_subject_is_refused_with_its_place(given: dict[str, Any], pointer: str, words: str) -> None:
    (problem,) = _problems({"id": "report", "input": given})
    assert (problem.pointer, words in problem.message) == (f"/steps/0/input{pointer}", True), problem
