"""Reports on a learner and on all learners: what they say, and that names stay text."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic_core import to_json

from models.badges import BADGES
from models.metrics import Cohort, Cohorts, DayMetrics, GlobalDay, StreakNow
from models.reports import BadgeCount, CohortFacts, LearnerFacts, ScoredDay
from services.reports.cohort.report import write_cohort_report
from services.reports.documents import Documents
from services.reports.learner.figures import derive
from services.reports.learner.report import write_learner_report
from services.reports.learner.rules import observe
from services.reports.timelines import MAX_COLUMNS, put_together
from services.reports.wording import decimal, duration, share, visible
from tests.services.reports.learning_examples import (
    FIRST,
    TODAY,
    award,
    board,
    days_of,
    everybody,
    learner,
    learner_without_events,
    nobody,
    path_topic,
    skill,
    trend,
)
from tests.services.reports.report_readers import SVG, Page, charts, inline_tokens, markdown_tables
from tests.services.reports.report_strategies import HOSTILE

Write = Callable[[str | None], Documents]
LEARNER_TABLES = [
    "Parts of the engagement score",
    "Activity by day",
    "Mastery by topic",
    "Mastery by language",
    "Badges earned",
    "Badges that are nearest",
    "Topics to repeat",
    "Topics that are ready",
]
LEARNER_CHARTS = [
    "Parts of the engagement score",
    "Minutes in sessions by day",
    "Challenges by day",
    "Mean score by day",
    "Mastery by topic",
    "Mastery by language",
    "Progress toward badges",
]
COHORT_TABLES = [
    "Retention by week",
    "Activity by day",
    "Top performers by engagement",
    "Top performers by completed challenges",
    "Badges awarded",
]


def write_learner(title: str | None = None) -> Documents:
    return write_learner_report(learner(), title)


def write_cohort(title: str | None = None) -> Documents:
    return write_cohort_report(everybody(), title)


def hostile_learner(text: str) -> LearnerFacts:
    """Names of topics, languages and badges that strangers chose."""
    badge = BADGES[0].model_copy(update={"id": "custom", "name": text or "-"})
    known = learner().progress
    return learner(
        progress=known.model_copy(update={"topics": (skill(text, 0.6, 3),), "languages": (skill(text, 0.6, 3),)}),
        badges=(*BADGES, badge),
        awards=(award("custom", datetime(2026, 3, 2, tzinfo=UTC), 1),),
        learning_path=learner().learning_path.model_copy(
            update={
                "topics": (path_topic(text, text, "ready", 0.6, datetime(2026, 3, 2, tzinfo=UTC)),),
                "next": text,
                "reviews_due": (text,),
            }
        ),
    )


# All reports


@pytest.mark.parametrize("write", [write_learner, write_cohort])
def test_every_page_loads_nothing_runs_nothing_and_leads_to_its_sections(write: Write) -> None:
    page = Page(write(None).html)
    assert not page.elements & {"script", "img", "iframe", "object", "form"}
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"src", "style"}]
    assert len(page.ids) == len(set(page.ids))
    anchors = {value[1:] for name, value in page.attributes if name == "href"}
    assert anchors <= set(page.ids)
    assert "method" in anchors


@pytest.mark.parametrize("write", [write_learner, write_cohort])
def test_every_chart_is_described_and_inside_of_its_frame(write: Write) -> None:
    for chart in charts(write(None).html):
        assert chart.findtext(f"{SVG}title")
        assert chart.findtext(f"{SVG}desc")
        _, _, width, height = (float(part) for part in chart.attrib["viewBox"].split())
        for bar in chart.iter(f"{SVG}rect"):
            assert 0 <= float(bar.attrib["x"]) <= float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width
            assert 0 <= float(bar.attrib["y"]) <= float(bar.attrib["y"]) + float(bar.attrib["height"]) <= height


@pytest.mark.parametrize("write", [write_learner, write_cohort])
@pytest.mark.parametrize("title", ["<script>alert(1)</script>", "a\0b", "*a* [x](y)", "\u202egnp"])
def test_a_title_stays_text(write: Write, title: str) -> None:
    documents = write(title)
    assert documents.title == visible(title)
    assert visible(title) in Page(documents.html).text
    assert "<script" not in documents.html
    heading = inline_tokens(documents.markdown)[1]
    assert "".join(token.content for token in heading.children or ()).replace("\u2060", "") == visible(title)


@pytest.mark.parametrize("write", [write_learner, write_cohort])
def test_the_same_facts_give_the_same_bytes_and_json_that_can_be_stored(write: Write) -> None:
    documents = write(None)
    assert write(None) == documents
    assert json.loads(to_json(documents.data, inf_nan_mode="constants"), parse_constant=pytest.fail) == documents.data
    assert (documents.data["version"], documents.data["headline"]) == (1, documents.headline)


@pytest.mark.parametrize("write", [write_learner, write_cohort])
def test_rows_of_markdown_tables_have_the_cells_of_their_head(write: Write) -> None:
    tables = markdown_tables(write(None).markdown)
    assert tables
    assert all(len(row) == len(table[0]) for table in tables for row in table)


# One learner


def test_a_full_learner_report_has_every_table_and_chart() -> None:
    html = write_learner().html
    assert list(Page(html).tables) == LEARNER_TABLES
    assert [chart.findtext(f"{SVG}title") for chart in charts(html)] == LEARNER_CHARTS


def test_figures_of_a_learner_are_those_of_the_facts() -> None:
    facts = learner()
    documents = write_learner_report(facts)
    tables = Page(documents.html).tables
    active = [day for day in facts.metrics.by_day if day.sessions]
    assert [row[:2] + row[3:4] for row in tables["Activity by day"][1:]] == [
        [day.date.isoformat(), str(day.sessions), str(day.challenges)] for day in active
    ]
    assert tables["Activity by day"][1][2:] == ["1 h 17 min", "1", "71"]
    assert [row[2] for row in tables["Parts of the engagement score"][1:]] == ["100%", "100%", "63%", "81%"]
    assert tables["Badges earned"][1] == ["First challenge", "2026-03-03", "by its rule"]  # 23:30 UTC, in Berlin
    assert tables["Badges that are nearest"][1] == ["Quality focus", "80%", "2 more"]
    assert tables["Topics to repeat"][1:] == [["Recursion", "2026-03-27"], ["Loops", "2026-03-29"]]
    assert "score of 62 is to be expected" in Page(documents.html).text
    assert documents.headline == (
        "ada, 2026-03-01 to 2026-03-31: 24 active days, 28 h 21 min in sessions; 48 challenges with a mean score of "
        "79.7; engagement 78 of 100, above 81% of the other learners."
    )
    assert documents.data["learner"]["metrics"]["from"] == "2026-03-01"


def test_a_learner_without_events_is_told_apart_from_a_bad_one() -> None:
    documents = write_learner_report(learner_without_events())
    page = Page(documents.html)
    assert documents.headline == "ada: no activity yet."
    assert "a score of 0 says no more than that" in page.text
    assert not charts(documents.html)
    assert not page.tables
    assert not markdown_tables(documents.markdown)
    assert documents.data["observations"] == []


def test_a_quiet_period_of_a_known_learner_says_so() -> None:
    quiet = learner().metrics.model_copy(
        update={"sessions": 0, "session_seconds": 0.0, "active_days": 0, "challenges_completed": 0, "by_day": ()}
    )
    documents = write_learner_report(learner(metrics=quiet, scored_days=()))
    assert "Nothing happened in this period (2026-03-01 to 2026-03-31)." in Page(documents.html).text
    assert "Nothing happened in this period" in documents.markdown
    assert "Activity by day" not in Page(documents.html).tables
    assert "Parts of the engagement score" in Page(documents.html).tables


def test_one_event_makes_a_report_without_charts_over_time() -> None:
    day = DayMetrics(date=TODAY, sessions=1, seconds=0.0, challenges=1)
    metrics = learner().metrics.model_copy(
        update={
            "from_": TODAY,
            "sessions": 1,
            "session_seconds": 0.0,
            "average_session_seconds": 0.0,
            "active_days": 1,
            "challenges_completed": 1,
            "percentile": None,
            "streak": StreakNow(current=1, longest=1, frozen_days=0, freezes_held=0),
            "by_day": (day,),
        }
    )
    scored = (ScoredDay(date=TODAY, challenges=1, score_total=80.0),)
    documents = write_learner_report(learner(metrics=metrics, scored_days=scored))
    assert documents.headline == (
        "ada, 2026-03-31: 1 active day, no time in sessions; 1 challenge with a mean score of 80; engagement 78 of 100."
    )
    assert Page(documents.html).tables["Activity by day"][1] == ["2026-03-31", "1", "no time", "1", "80"]
    assert not [one for one in charts(documents.html) if "by day" in (one.findtext(f"{SVG}title") or "")]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_of_topics_and_badges_stay_text(text: str) -> None:
    documents = write_learner_report(hostile_learner(text))
    page = Page(documents.html)
    assert page.elements <= Page(write_learner().html).elements
    assert not page.comments
    assert page.tables["Mastery by topic"][1][0] == visible(text)
    assert page.tables["Badges earned"][1][0] == visible(text or "-")
    tokens = inline_tokens(documents.markdown)
    assert not {token.type for token in tokens} & {"html_inline", "html_block", "link_open", "image", "em_open"}
    assert all(len(row) == len(table[0]) for table in markdown_tables(documents.markdown) for row in table)


def test_sessions_of_a_moment_are_counted_instead_of_timed() -> None:
    days = tuple(DayMetrics(date=day, sessions=1, seconds=0.0, challenges=0) for day in days_of(FIRST, 3))
    html = write_learner_report(learner(metrics=learner().metrics.model_copy(update={"by_day": days}))).html
    assert "Sessions by day" in [chart.findtext(f"{SVG}title") for chart in charts(html)]


def test_revoked_badges_are_not_earned() -> None:
    given = award("night-owl", datetime(2026, 3, 2, tzinfo=UTC), 1)
    by_hand = given.model_copy(update={"event_id": None})
    facts = learner(awards=(given.model_copy(update={"revoked": True}), by_hand))
    assert [(badge.name, badge.by_hand) for badge in derive(facts).earned] == [("Night owl", True)]


@pytest.mark.parametrize(
    ("fields", "rule", "kind"),
    [
        ({"streak": 7}, "presence", "strength"),
        ({"streak": 6, "recency": 1.0}, "presence", None),
        ({"streak": 0, "recency": 0.5}, "presence", "risk"),
        ({"streak": 0, "recency": 0.55}, "presence", None),
        ({"percentile": 0.75}, "peers", "strength"),
        ({"percentile": 0.74}, "peers", None),
        ({"percentile": None}, "peers", None),
        ({"mean": 80}, "scores", "strength"),
        ({"mean": 79}, "scores", None),
        ({"mean": 49}, "scores", "risk"),
        ({"mean": 90, "challenges": 4}, "scores", None),
    ],
)
def test_rules_on_learners_keep_their_thresholds(fields: dict[str, Any], rule: str, kind: str | None) -> None:
    facts = learner()
    completed = fields.get("challenges", 5)
    streak = StreakNow(current=fields.get("streak", 7), longest=17, frozen_days=0, freezes_held=0)
    metrics = {"streak": streak, "percentile": fields.get("percentile"), "challenges_completed": completed}
    parts = facts.engagement.parts.model_copy(update={"recency": fields.get("recency", 1.0)})
    total = float(completed * fields.get("mean", 60))
    facts = facts.model_copy(
        update={
            "metrics": facts.metrics.model_copy(update=metrics),
            "engagement": facts.engagement.model_copy(update={"parts": parts}),
            "scored_days": (ScoredDay(date=FIRST, challenges=completed, score_total=total),),
        }
    )
    assert {one.rule: one.kind for one in observe(facts, derive(facts))}.get(rule) == kind


def test_what_is_worth_a_look_comes_first() -> None:
    facts = learner()
    assert [one.rule for one in observe(facts, derive(facts))] == ["reviews", "presence", "mastery", "badges", "peers"]


# All learners


def test_a_full_cohort_report_has_every_table_and_chart() -> None:
    html = write_cohort().html
    assert list(Page(html).tables) == COHORT_TABLES
    assert [chart.findtext(f"{SVG}title") for chart in charts(html)] == [
        "Active learners by day",
        "Challenges by day",
        "Badges awarded",
    ]


def test_cells_to_come_are_empty_and_nobody_is_zero() -> None:
    cohorts = Cohorts(
        by="week",
        items=(
            Cohort(period=date(2026, 3, 16), learners=2, retention=(1.0, 0.0, 0.5)),
            Cohort(period=date(2026, 3, 23), learners=1, retention=(1.0, 1.0, None)),
        ),
    )
    documents = write_cohort_report(everybody(cohorts=cohorts))
    rows = [["2026-03-16", "2", "100%", "0%", "50%"], ["2026-03-23", "1", "100%", "100%", ""]]
    assert Page(documents.html).tables["Retention by week"][1:] == rows
    assert markdown_tables(documents.markdown)[0][1:] == rows
    assert Page(documents.html).tables["Retention by week"][0] == ["Began", "Learners", "1", "2", "3"]


def test_only_listed_performers_are_named_and_ranks_are_kept() -> None:
    documents = write_cohort_report(everybody(by_engagement=board(("ada", 90), ("ben", 80), ("cem", 80), rank_after=4)))
    assert Page(documents.html).tables["Top performers by engagement"][1:] == [
        ["1", "ada", "90"],
        ["2", "ben", "80"],
        ["4", "cem", "80"],
    ]


def test_a_platform_without_events_says_so() -> None:
    documents = write_cohort_report(nobody())
    page = Page(documents.html)
    assert documents.headline == "No learner has done anything yet."
    assert "Figures begin with the first event" in page.text
    assert not charts(documents.html)
    assert not page.tables
    assert documents.data["observations"] == []


@pytest.mark.parametrize("text", HOSTILE)
def test_names_of_badges_stay_text_in_a_cohort(text: str) -> None:
    badges = (BadgeCount(badge="a", name=text, awards=2), BadgeCount(badge="b", name="b", awards=1))
    page = Page(write_cohort_report(everybody(badges=badges)).html)
    assert page.elements <= Page(write_cohort().html).elements
    assert page.tables["Badges awarded"][1] == [visible(text), "2"]


def test_active_learners_of_a_week_are_a_mean_and_never_a_sum() -> None:
    days = tuple(
        GlobalDay(date=day, active_users=number % 7, sessions=1, seconds=60.0, challenges=1)
        for number, day in enumerate(days_of(date(2025, 9, 1), 140))  # from a Monday
    )
    metrics = everybody().metrics.model_copy(update={"by_day": days})
    table = Page(write_cohort_report(everybody(metrics=metrics)).html).tables["Activity by week"]
    assert table[1] == ["2025-09-01", "3", "6", "7", "7"]


@pytest.mark.parametrize(
    ("fields", "rule", "kind"),
    [
        ({"second": 0.4}, "return", "strength"),
        ({"second": 0.39}, "return", None),
        ({"second": 0.19}, "return", "risk"),
        ({"second": 0.19, "learners": 9}, "return", None),
        ({"second": 0.9, "period": date(2026, 3, 23)}, "return", None),  # the week after it is not over
        ({"after": 11.0}, "active", "strength"),
        ({"after": 9.0}, "active", "risk"),
        ({"after": 10.9}, "active", None),
        ({"before": 0.0, "after": 10.0}, "active", None),
    ],
)
def test_rules_on_all_learners_keep_their_thresholds(fields: dict[str, Any], rule: str, kind: str | None) -> None:
    cohort = Cohort(
        period=fields.get("period", date(2026, 3, 16)),
        learners=fields.get("learners", 10),
        retention=(1.0, fields.get("second", 0.3)),
    )
    active = [fields.get("before", 10.0)] * 28 + [fields.get("after", 10.0)] * 28 + [99.0]
    facts: CohortFacts = everybody(
        cohorts=Cohorts(by="week", items=(cohort,)), active_users=trend("active_users", active)
    )
    found = {one["rule"]: one["kind"] for one in write_cohort_report(facts).data["observations"]}
    assert found.get(rule) == kind


# Timelines and words


@pytest.mark.parametrize(
    ("count", "unit", "columns"),
    [(1, "day", 1), (93, "day", 93), (94, "week", 14), (732, "week", 105), (733, "month", 25), (3_660, "month", 121)],
)
def test_timelines_have_few_columns(count: int, unit: str, columns: int) -> None:
    days = [DayMetrics(date=day, sessions=1, seconds=1.0, challenges=0) for day in days_of(date(2026, 1, 1), count)]
    found = put_together(days)
    assert (found[0], len(found[1])) == (unit, columns)
    assert [day for group in found[1].values() for day in group] == days
    assert list(found[1]) == sorted(found[1])


def test_a_timeline_over_centuries_keeps_the_latest_months() -> None:
    far = [date(1, 1, 3), *(date(year, 5, 1) for year in range(1700, 2026))]
    days = [DayMetrics(date=day, sessions=1, seconds=1.0, challenges=0) for day in far]
    unit, found = put_together(days)
    assert (unit, len(found), list(found)[-1]) == ("month", MAX_COLUMNS, "2025-05")
    assert put_together([]) == ("day", {})


def test_months_without_a_day_stand_in_the_timeline() -> None:
    days = [
        DayMetrics(date=day, sessions=1, seconds=1.0, challenges=0) for day in (date(2010, 1, 5), date(2020, 12, 31))
    ]
    unit, found = put_together(days)
    assert (unit, len(found)) == ("month", 132)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "no time"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h 00 min"),
        (4_330_800, "1,203 h 00 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_shares_and_decimals() -> None:
    assert [share(value) for value in (0.0, 0.004, 0.005, 0.625, 1.0)] == ["0%", "<1%", "1%", "63%", "100%"]
    assert [decimal(value) for value in (0.0, 79.66, 80.04, 1_204.0)] == ["0", "79.7", "80", "1,204"]


def test_a_day_is_the_learners_own() -> None:
    at = datetime(2026, 3, 2, 2, tzinfo=UTC)
    facts = learner(timezone=None, utc_offset=-int(timedelta(hours=5).total_seconds()), awards=(award("a", at, 1),))
    assert derive(facts).earned[0].on == date(2026, 3, 1)
