"""What docs/analytics.md and docs/badges.md say is what the code does."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from fastapi.routing import APIRoute
from pydantic_core import from_json
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import ROUTERS
from models.activity import DATA, MOST_EVENTS, ActivityEvent
from models.analytics import ACTIONS, GenerateReport, ReportOnCohort, ReportOnLearner
from models.badges import BADGES, Aggregate, NewBadge, Operator, Rule
from models.catalogue import CATALOGUE
from models.events import EventType
from models.identity import Caller, Role
from models.settings import CHECKOUT
from services.analytics.activities import day_number, day_of, instant
from services.analytics.badge_rules import Rules
from services.analytics.engagement import FORMULA_VERSION, engagement, performance, remember_day
from services.analytics.everybody import read_cohorts, read_trend
from services.analytics.facts import read_cohort_facts, read_learner_facts
from services.analytics.history import snapshot
from services.analytics.ingest import Ingest
from services.analytics.learners import find_learner
from services.analytics.learning_path import reviews
from services.analytics.mastery import LEVELS, expected, level, mastery, updated
from services.analytics.metrics import read_metrics
from services.analytics.reading import read_events
from services.analytics.scores import SCORES, refresh_scores
from services.analytics.standings import percentile
from services.analytics.streaks import streak
from services.analytics.timeframes import period
from services.analytics.xapi import read_statements
from services.reports.cohort.report import write_cohort_report
from services.reports.learner.report import write_learner_report
from workflows.dag.compile import Compiled, compile_definition
from workflows.platform import ANALYTICS_NIGHT, platform_definitions

PAGE = (CHECKOUT / "docs" / "analytics.md").read_text()
BADGES_PAGE = (CHECKOUT / "docs" / "badges.md").read_text()
JSON = re.compile(r"```json\n(.*?)```", re.DOTALL)
EXAMPLES: dict[str, Any] = {block["example"]: block for block in map(from_json, JSON.findall(PAGE))}
RULES = [from_json(block) for block in JSON.findall(BADGES_PAGE)]
GRADER = Caller(user_id="grader", role=Role.SERVICE)
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PREFIX = "/api/v1"


def day(text: str) -> int:
    return day_number(date.fromisoformat(text))


def completed(user: str, on: str, number: int = 0) -> dict[str, Any]:
    return {
        **EXAMPLES["event"]["given"],
        "id": f"{user} {on} {number}",
        "user_id": user,
        "at": f"{on}T12:00:00Z",
        "data": {**EXAMPLES["event"]["given"]["data"], "started_at": f"{on}T11:00:00Z"},
    }


async def take(database: AsyncEngine, events: Sequence[Any]) -> dict[str, Any]:
    return (await Ingest(database).take(list(enumerate(events)), GRADER, NOW)).model_dump(mode="json")


def test_every_example_is_held_against_the_code() -> None:
    tested = {"event", "refusals", "idempotency", "local-day", "xapi", "sessions", "engagement", "streak"}
    tested |= {"percentile", "mastery", "cohorts", "trend", "reviews", "reports"}
    assert set(EXAMPLES) == tested
    assert len(EXAMPLES) == len(JSON.findall(PAGE))


@pytest.mark.parametrize("name", ["event", "idempotency"])
async def test_posted_events(name: str, database: AsyncEngine) -> None:
    given = EXAMPLES[name]["given"]
    answer = await take(database, given if isinstance(given, list) else [given])
    assert answer == {**EXAMPLES[name]["gives"], "refused": []}


def test_lines_are_events() -> None:
    (lines,) = re.findall(r"```ndjson\n(.*?)```", PAGE, re.DOTALL)
    events = [ActivityEvent.model_validate_json(line) for line in lines.splitlines()]
    reported, refused = read_events([(n, e.model_dump(mode="json")) for n, e in enumerate(events)], GRADER, NOW)
    assert (len(reported), refused) == (2, [])


def test_kinds_and_their_data() -> None:
    rows = dict(re.findall(r"^\| `([a-z]+\.[a-z]+)` \| (`.*) \|$", PAGE, re.MULTILINE))
    told = {kind: dict(re.findall(r"`(\w+)`(?: \(.*?\))?(\??)", text)) for kind, text in rows.items()}
    assert told == {
        str(kind): {name: "" if field.is_required() else "?" for name, field in model.model_fields.items()}
        for kind, model in DATA.items()
    }
    assert f"up to {MOST_EVENTS:,}" in PAGE


def test_refusals() -> None:
    example = EXAMPLES["refusals"]
    now = datetime.fromisoformat(example["now"])
    reported, refused = read_events(enumerate(example["given"]), Caller(**_caller(example["caller"])), now)
    assert [event.index for event in reported] == example["gives"]["taken"]
    codes = {str(one.index): one.code for one in refused}
    assert codes == example["gives"]["refused"]
    table = PAGE.partition("### What is refused")[2].partition("###")[0]
    assert set(codes.values()) <= set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE))


def _caller(named: dict[str, str]) -> dict[str, Any]:
    return {**named, "role": Role(named["role"])}


def test_local_days() -> None:
    found: list[str] = []
    for number, one in enumerate(EXAMPLES["local-day"]["given"]):
        event = {**completed("ada", "2026-01-01", number), "kind": "x-example", "at": one["at"]}
        reported, refused = read_events([(0, event)], GRADER, NOW)
        assert not refused
        placed = reported[0].placed(ZoneInfo(one["zone"]) if one["zone"] else None)
        found.append(day_of(placed.day).isoformat())
    assert found == EXAMPLES["local-day"]["gives"]


def test_xapi() -> None:
    (event,) = read_statements(EXAMPLES["xapi"]["given"], [uuid4()], NOW)
    told = EXAMPLES["xapi"]["gives"]
    assert event["data"]["started_at"] == datetime.fromisoformat(told["started_at"])
    flat = {**event, **event["data"], "started_at": told["started_at"]}
    assert {name: flat[name] for name in told} == told
    assert read_events([(0, event)], GRADER, NOW)[1] == []


def test_xapi_verbs() -> None:
    table = PAGE.partition("| verb (")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (.*) \| `([a-z]+\.[a-z]+)` \|$", table, re.MULTILINE)
    assert len(rows) == 4
    for verbs, kind in rows:
        with_topic = "urn:tooloo:topic" in verbs
        for verb in ["asked"] if with_topic else re.findall(r"`(\w+)`", verbs):
            statement = {**EXAMPLES["xapi"]["given"], "verb": {"id": f"http://adlnet.gov/expapi/verbs/{verb}"}}
            if with_topic:
                statement["context"] = {"extensions": {"urn:tooloo:topic": "loops"}}
            (event,) = read_statements(statement, [uuid4()], NOW)
            assert event["kind"] == kind


async def test_sessions(database: AsyncEngine) -> None:
    events = [{**event, "user_id": "ada"} for event in EXAMPLES["sessions"]["given"]]
    assert (await take(database, events))["accepted"] == len(events)
    async with database.connect() as connection:
        learner = await find_learner(connection, "ada")
        whole = period("all", None, None, NOW.date())
        metrics = await read_metrics(connection, learner, whole, None, NOW)
    told = EXAMPLES["sessions"]["gives"]
    assert {name: getattr(metrics, name) for name in told} == told


def test_engagement() -> None:
    example = EXAMPLES["engagement"]
    first, *others = map(day, example["active"])
    last, active = first, 1
    for other in others:
        last, active = remember_day(last, active, other)
    attempts = performance([100 * score for score in example["scores"]])
    found = engagement(last, active, attempts, day(example["today"]))
    told = example["gives"]
    assert {name: round(getattr(found, name), 4) for name in told} == told
    assert f"`formula_version` is {FORMULA_VERSION}" in PAGE


def test_engagement_formula() -> None:
    (formula,) = re.findall(r"^    score = (.*), rounded half up$", PAGE, re.MULTILINE)
    told = EXAMPLES["engagement"]["gives"]
    weights = {name: float(weight) for weight, name in re.findall(r"(0\.\d+) · (\w+)", formula)}
    assert int(100 * sum(weight * told[name] for name, weight in weights.items()) + 0.5) == told["score"]
    assert sum(weights.values()) == pytest.approx(1)


def test_streak() -> None:
    days = list(map(day, EXAMPLES["streak"]["active"]))
    for today, told in EXAMPLES["streak"]["gives"].items():
        found = streak(days, day(today))
        assert {name: getattr(found, name) for name in told} == told


def test_percentile() -> None:
    scores: dict[str, int] = EXAMPLES["percentile"]["scores"]
    counts = [list(scores.values()).count(score) for score in range(SCORES)]
    assert {user: percentile(counts, score) for user, score in scores.items()} == EXAMPLES["percentile"]["gives"]


async def test_mastery(database: AsyncEngine) -> None:
    example = EXAMPLES["mastery"]
    rating, found = 0.0, list[dict[str, Any]]()
    for attempts, one in enumerate(example["attempts"]):
        wanted = expected(rating, one["difficulty"])
        rating = updated(rating, attempts, one["difficulty"], one["score"] / 100)
        figures = {"expected": wanted, "rating": rating, "mastery": mastery(rating)}
        rounded = {name: round(value, 4) for name, value in figures.items()}
        found.append({**rounded, "level": level(rating, attempts + 1)})
    assert found == example["gives"]
    events = [completed("ada", f"2026-03-0{n + 1}") for n in range(len(found))]
    for event, one in zip(events, example["attempts"], strict=True):
        event["data"] |= one
    await take(database, events)
    async with database.connect() as connection:
        known = (await find_learner(connection, "ada")).known
    assert [round(skill.rating, 4) for skill in (known.overall, *known.topics.values(), *known.languages.values())] == [
        found[-1]["rating"]
    ] * 3


def test_levels() -> None:
    table = PAGE.partition("| level | from |")[2].partition("\n\n")[0]
    assert [(name, float(least)) for name, least in re.findall(r"^\| (\w+) \| ([\d.]+) \|$", table, re.MULTILINE)] == [
        *LEVELS
    ]


async def test_cohorts(database: AsyncEngine) -> None:
    example = EXAMPLES["cohorts"]
    await take(database, [completed(user, on) for user, days in example["active"].items() for on in days])
    async with database.connect() as connection:
        today = date.fromisoformat(example["today"])
        cohorts = await read_cohorts(connection, example["by"], example["periods"], today)
    assert cohorts.model_dump(mode="json")["items"] == example["gives"]


async def test_trend(database: AsyncEngine) -> None:
    example, told = EXAMPLES["trend"], EXAMPLES["trend"]["gives"]
    events = [completed("ada", on, n) for on, count in example["completed"].items() for n in range(count)]
    await take(database, events)
    async with database.connect() as connection:
        today = date.fromisoformat(example["today"])
        for owner in (None, "ada"):
            trend = await read_trend(connection, example["metric"], len(told["values"]), today, owner)
            assert [one.value for one in trend.days] == told["values"]
            assert [one.partial for one in trend.days] == told["partial"]
            assert trend.slope == told["slope"]


def test_reviews() -> None:
    attempts = [
        (one["topic"], instant(datetime.fromisoformat(one["at"])), one["score"])
        for one in EXAMPLES["reviews"]["attempts"]
    ]
    told = {topic: datetime.fromisoformat(due) for topic, due in EXAMPLES["reviews"]["gives"].items()}
    assert reviews(attempts) == told


async def test_reports(database: AsyncEngine) -> None:
    example = EXAMPLES["reports"]
    now = datetime.fromisoformat(example["now"])
    assert isinstance(compile_definition(example["definition"], CATALOGUE), Compiled)
    await take(database, [completed(user, on) for user, days in example["completed"].items() for on in days])
    mine, everybody = (GenerateReport.model_validate(step["input"]) for step in example["definition"]["steps"])
    assert mine.learner is not None
    assert everybody.cohort is not None
    await refresh_scores(database, now)
    async with snapshot(database) as connection:
        learner = await read_learner_facts(connection, "ada", mine.learner, now)
        cohort = await read_cohort_facts(connection, everybody.cohort, now)
    written = {"mine": write_learner_report(learner), "everybody": write_cohort_report(cohort, everybody.title)}
    assert {step: documents.headline for step, documents in written.items()} == example["gives"]


def test_subjects_of_reports_are_described() -> None:
    rows = dict(re.findall(r"^\| `(analysis|learner|cohort)` \| (.*) \| .* \|$", PAGE, re.MULTILINE))
    assert set(rows) == set(GenerateReport.model_fields) - {"title"}
    for subject, model in (("learner", ReportOnLearner), ("cohort", ReportOnCohort)):
        named = set(re.findall(r"`([a-z_]+)`", rows[subject])) - {"week", "month"}
        assert named == set(model.model_fields)


def test_actions() -> None:
    rows = re.findall(r"^\| `analytics\.([a-z-]+)` \| .* \| (admins|anyone)?.* \|$", PAGE, re.MULTILINE)
    assert dict(rows) == {action.name: "admins" if action.roles == {Role.ADMIN} else "anyone" for action in ACTIONS}
    known = {*CATALOGUE, *EventType}
    assert set(re.findall(r"`(analytics\.[a-z-]+)`", PAGE + BADGES_PAGE)) <= known


def test_night() -> None:
    (night,) = [one for one in platform_definitions() if one["id"] == ANALYTICS_NIGHT]
    section = PAGE.partition("## By night")[2].partition("\n## ")[0]
    assert f"`{ANALYTICS_NIGHT}` runs at 03:20 UTC" in section
    assert re.findall(r"`([a-z]+-?[a-z-]+)`", section)[1:] == [step["action"] for step in night["steps"]]


def test_every_route_is_named_and_every_named_one_exists() -> None:
    there = {
        f"{method} {route.path.removeprefix(PREFIX)}"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.path.startswith(f"{PREFIX}/analytics/")
        for method in route.methods or ()
    }
    named = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /analytics/[^`?\s]*)", PAGE + BADGES_PAGE))
    assert named == there


def test_every_badge_is_described() -> None:
    table = BADGES_PAGE.partition("## For admins")[0]
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE) == [badge.id for badge in BADGES]


@pytest.mark.parametrize("rule", RULES, ids=range(len(RULES)))
def test_rules_are_taken(rule: dict[str, Any]) -> None:
    badge = NewBadge.model_validate(rule if "id" in rule else {"id": "an-example", "name": "Example", "rule": rule})
    assert isinstance(badge.rule, Rule)


def test_rule_language_is_described() -> None:
    section = BADGES_PAGE.partition("### Rules")[2]
    aggregates, operators, fields = (
        re.findall(r"^\| (`.*?) \|", section.partition(f"| {head} |")[2].partition("\n\n")[0], re.MULTILINE)
        for head in ("aggregate", "op", "field")
    )
    assert [name.strip("`") for name in aggregates] == list(Aggregate)
    assert re.findall(r"`(\w+)`", " ".join(operators)) == list(Operator)
    for name in fields:
        Rules([BADGES[0].model_copy(update={"rule": _max_of(name.strip("`").replace("<name>", "score"))})])


def _max_of(field: str) -> Rule:
    return Rule(aggregate=Aggregate.MAX, field=field)


def test_times_of_night_owl_early_bird_and_power_hour() -> None:
    def earned(*times: datetime) -> set[str]:
        events: list[dict[str, Any]] = [
            {**completed("ada", "2026-03-02", n), "at": at.isoformat()} for n, at in enumerate(times)
        ]
        for event, at in zip(events, times, strict=True):
            event["data"] = {**event["data"], "started_at": (at - timedelta(hours=1)).isoformat()}
        reported, refused = read_events(enumerate(events), GRADER, NOW)
        assert not refused
        rules = Rules(BADGES)
        return {badge.id for badge in BADGES if _reached(rules, badge.id, [one.placed(None) for one in reported])}

    at = datetime(2026, 3, 2, tzinfo=UTC)
    assert {"night-owl", "early-bird"} <= earned(at.replace(hour=3))
    assert "night-owl" not in earned(at.replace(hour=6))
    assert "night-owl" in earned(at.replace(hour=20))
    assert "early-bird" not in earned(at.replace(hour=8))
    nine = [at.replace(hour=9)] * 9
    assert "power-hour" in earned(*nine, at.replace(hour=10))
    assert "power-hour" not in earned(*nine, at.replace(hour=10, second=1))


def _reached(rules: Rules, badge: str, events: Sequence[Any]) -> bool:
    rule = rules.by_id[badge]
    seen, current = None, 0.0
    for event in events:
        if rule.matches(event):
            seen, current = rule.step(seen, event)
    return current >= rule.target
