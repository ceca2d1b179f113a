"""What may be posted as a schedule; everything else is told, all at once, with its place and remedy."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.schedules import Cron, Policy, Schedule, Timezone

SCHEDULE: TypeAdapter[Any] = TypeAdapter(dict[str, Schedule])
TIMEZONE: TypeAdapter[str] = TypeAdapter(Timezone)


def problems(schedule: Any) -> dict[str, str]:
    """Kinds of problem by pointer. Each says what to do instead."""
    with pytest.raises(ValidationError) as refused:
        SCHEDULE.validate_python({"schedule": schedule})
    found = refused.value.errors()
    assert not isinstance(schedule, dict) or all(one.get("ctx", {}).get("suggestion") for one in found)
    return {"/" + "/".join(map(str, one["loc"][1:])): one["type"] for one in found}


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"type": "daily", "at": "2:30"}, {"/at": "string_pattern_mismatch"}),
        ({"type": "daily", "at": "24:00"}, {"/at": "string_pattern_mismatch"}),
        ({"type": "daily", "at": "02:30\n"}, {"/at": "string_pattern_mismatch"}),
        ({"type": "daily"}, {"/at": "missing"}),
        ({"type": "daily", "at": "02:30", "on": ["MON"]}, {"/on": "extra_forbidden"}),
        ({"type": "weekly", "on": [], "at": "02:30"}, {"/on": "too_short"}),
        ({"type": "weekly", "on": ["Tuesday"], "at": "02:30"}, {"/on/0": "literal_error"}),
        ({"type": "weekly", "on": ["MON", "Tuesday"], "at": "02:30"}, {"/on/1": "literal_error"}),
        ({"type": "monthly", "day": 32, "at": "02:30"}, {"/day": "less_than_equal"}),
        ({"type": "monthly", "day": 0, "at": "02:30", "short_month": "x"},
         {"/day": "greater_than_equal", "/short_month": "literal_error"}),
        ({"type": "interval", "every_seconds": 0}, {"/every_seconds": "greater_than_equal"}),
        ({"type": "interval", "every_seconds": 0.001}, {"/every_seconds": "int_type"}),
        ({"type": "interval", "every_seconds": 60, "offset_seconds": 60}, {"/offset_seconds": "bad-offset"}),
        ({"type": "interval", "every_seconds": 10**12}, {"/every_seconds": "less_than_equal"}),
        ({"type": "cron", "cron": "0 9 * *"}, {"/cron": "bad-cron"}),
        ({"type": "cron", "cron": "0 0 9 * * *"}, {"/cron": "bad-cron"}),
        ({"type": "cron", "cron": "@daily"}, {"/cron": "bad-cron"}),
        ({"type": "cron", "cron": "0 0 31 2 *"}, {"/cron": "bad-cron"}),
        ({"type": "cron", "cron": "0 0 31 4,6 *"}, {"/cron": "bad-cron"}),
        ({"type": "cron", "cron": "* * */20 * 1L"}, {"/cron": "bad-cron"}),  # the last Monday is never the 1st or 21st
        ({"type": "cron", "cron": "60 * * * *"}, {"/cron": "bad-cron"}),
        ({"type": "cron", "cron": "0 9 * * MON#6"}, {"/cron": "bad-cron"}),
        ({"type": "cron", "cron": "9" * 5_000 + " * * * *"}, {"/cron": "string_too_long"}),
        ({"type": "once", "at": "2027-02-30T00:00"}, {"/at": "datetime_from_date_parsing"}),
        ({"type": "once", "at": 1_700_000_000}, {"/at": "bad-time"}),
        ({"type": "once", "at": "1700000000"}, {"/at": "bad-time"}),
        ({"type": "once", "at": "2127-01-01T00:00Z"}, {"/at": "bad-time"}),
        ({"type": "daily", "at": "02:30", "start": "2027-05-01", "end": "2027-04-30"}, {"/end": "end-before-start"}),
        ({"type": "daily", "at": "x", "start": "y", "end": "z", "max_runs": 0, "zone": "UTC"},
         {"/at": "string_pattern_mismatch", "/start": "datetime_from_date_parsing", "/zone": "extra_forbidden",
          "/end": "datetime_from_date_parsing", "/max_runs": "greater_than_equal"}),
        ({"type": "yearly"}, {"/type": "bad-type"}),
        ({"type": ["daily"]}, {"/type": "bad-type"}),
        ({}, {"/type": "bad-type"}),
        ("daily", {"/": "model_attributes_type"}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_at_its_place(schedule: Any, expected: dict[str, str]) -> None:
    assert problems(schedule) == expected


@pytest.mark.parametrize("kind", ["cron", "custom"])
def test_custom_is_cron(kind: str) -> None:
    posted = {"schedule": {"type": kind, "cron": " 0  9 * * mon#1 "}}
    assert SCHEDULE.validate_python(posted) == {"schedule": Cron(cron="0 9 * * MON#1")}


@pytest.mark.parametrize(
    ("name", "meant"),
    [("US/Pacific-New", "US/Pacific"), ("europe/berlin", "Europe/Berlin"), ("Factory", None), ("", None),
     ("../etc/passwd", None), ("localtime", None), ("Europe", "Europe/")],
)  # fmt: skip
def test_unknown_and_retired_zones_are_refused(name: str, meant: str | None) -> None:
    with pytest.raises(ValidationError) as refused:
        TIMEZONE.validate_python(name)
    [problem] = refused.value.errors()
    assert problem["type"] == "unknown-timezone"
    assert meant is None or meant in problem.get("ctx", {})["suggestion"]


@given(st.text() | st.text("0123456789*/,-#LWMONJA ", max_size=40))
def test_any_text_is_a_cron_expression_or_refused(text: str) -> None:
    try:
        cron = Cron(cron=text)
    except ValidationError:
        return
    assert Cron(cron=cron.cron) == cron


def test_schedules_come_back_as_they_were_posted() -> None:
    posted = {"schedule": {"type": "weekly", "on": ["MON"], "at": "02:30", "start": "2027-05-01T00:00:00.9+02:00"}}
    read = SCHEDULE.validate_python(posted)
    assert SCHEDULE.validate_json(SCHEDULE.dump_json(read)) == read
    assert read["schedule"].start.isoformat() == "2027-05-01T00:00:00+02:00"


def test_missed_runs_are_caught_up_for_an_hour_unless_asked_otherwise() -> None:
    assert Policy() == Policy(
        overlap="skip", catchup_window_seconds=3_600, pause_on_failure=False, dst="exact", jitter_seconds=0
    )
