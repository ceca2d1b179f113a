"""Cron expressions of every kind, and zones whose clocks do all that clocks do."""

from contextlib import suppress

from hypothesis import strategies as st
from pydantic import ValidationError

from models.schedules import Cron

ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata")
ODD_ZONES = (
    "America/Havana",  # at midnight
    "America/Nuuk",
    "Africa/Cairo",
    "Atlantic/Azores",
    "Antarctica/Troll",  # by two hours
    "Pacific/Chatham",  # at a quarter to
    "Africa/Casablanca",  # by the moon
)


def numbers(first: int, last: int) -> st.SearchStrategy[str]:
    number = st.integers(first, last)
    ranges = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    return st.one_of(
        number.map(str),
        ranges,
        st.tuples(ranges, st.integers(1, 7)).map(lambda one: f"{one[0]}/{one[1]}"),
        st.lists(number, min_size=1, max_size=3).map(lambda some: ",".join(map(str, some))),
    )


def possible(expression: str) -> list[Cron]:
    with suppress(ValidationError):
        return [Cron(cron=expression)]
    return []


stars = st.one_of(st.just("*"), st.integers(1, 15).map(lambda step: f"*/{step}"))
weekdays = st.one_of(
    numbers(0, 7),
    st.tuples(st.integers(0, 7), st.integers(1, 5)).map(lambda one: f"{one[0]}#{one[1]}"),
    st.integers(0, 7).map(lambda day: f"{day}L"),
    st.sampled_from(["MON-FRI", "1,WED#2,5L"]),
)
crons = (
    st.tuples(
        st.one_of(numbers(0, 59), stars),
        st.one_of(numbers(0, 3), numbers(0, 23), stars),
        st.one_of(st.just("*"), stars, numbers(1, 28), st.sampled_from(["L", "LW", "L,15", "29-31"])),
        st.one_of(st.just("*"), numbers(1, 12)),
        st.one_of(st.just("*"), stars, weekdays),
    )
    .map(" ".join)
    .map(possible)
    .filter(bool)
    .map(lambda found: found[0])
)
