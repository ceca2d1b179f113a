import json
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from models.identity import Caller, Role
from services.analytics.activities import day_number, instant, moment
from services.analytics.reading import Reported, data_of, read_events
from tests.unit.analytics.events import GRADER, NOW, Posted, at, completed, posted

ADA = Caller(user_id="ada", role=Role.LEARNER)
BEN = Caller(user_id="ben", role=Role.AUTHOR)
ADMIN = Caller(user_id="root", role=Role.ADMIN)
PAST = at("2029-11-25T10:00:00+01:00")
BEAT = posted("session.heartbeat", PAST, activity="coding") | {"id": "e"}
DONE = completed(PAST) | {"id": "e"}


def without(post: Posted, *names: str) -> Posted:
    return {name: value for name, value in post.items() if name not in names}


def with_data(post: Posted, **data: Any) -> Posted:
    return {**post, "data": {**post["data"], **data}}


def at_time(when: str) -> Posted:
    return {**BEAT, "at": when}


def after(seconds: float) -> Posted:
    return at_time((NOW + timedelta(seconds=seconds)).isoformat())


def free(text: str) -> Posted:
    return posted("x-note", PAST, text=text) | {"id": "e"}


def read(post: Any, caller: Caller = GRADER) -> Reported:
    reported, refused = read_events([(0, post)], caller, NOW)
    assert refused == []
    return reported[0]


def refusal(post: Any, caller: Caller = GRADER) -> tuple[str, str]:
    reported, refused = read_events([(7, post)], caller, NOW)
    assert reported == []
    assert [one.index for one in refused] == [7]
    return refused[0].code, refused[0].message


@pytest.mark.parametrize(
    ("post", "caller", "code", "says"),
    [
        (after(301), GRADER, "future", "at: 301 s"),
        (after(300.000001), GRADER, "future", "at: 300 s"),
        (at_time("9999-12-31T23:59:59-23:59"), GRADER, "future", "at:"),
        (at_time("0001-01-01T00:00:00+00:00"), GRADER, "bad-time", "at:"),
        (at_time("2029-11-25T10:00:00"), GRADER, "invalid-input", "at: Input should have timezone"),
        (at_time("yesterday"), GRADER, "invalid-input", "at:"),
        (at_time("2029-02-29T10:00:00Z"), GRADER, "invalid-input", "at:"),
        ({**BEAT, "user_id": "ben"}, ADA, "forbidden", "user_id:"),
        (BEAT, BEN, "forbidden", "user_id:"),
        (DONE, ADA, "forbidden", "kind:"),
        (without(DONE, "user_id"), BEN, "forbidden", "kind:"),
        (without(BEAT, "user_id"), GRADER, "missing-field", "user_id:"),
        (without(BEAT, "id"), GRADER, "missing-field", "id:"),
        (without(BEAT, "at", "kind"), GRADER, "missing-field", "kind: Field required (and 1 more)"),
        ({**BEAT, "extra": 1}, GRADER, "unknown-field", "extra:"),
        (with_data(BEAT, extra=1), GRADER, "unknown-field", "data.extra:"),
        (with_data(DONE, topics=[1]), GRADER, "invalid-input", "data.topics.0:"),
        ({**BEAT, "data": {}}, GRADER, "missing-field", "data.activity:"),
        ({**BEAT, "data": None}, GRADER, "invalid-input", "data:"),
        ({**BEAT, "kind": "challenge.solved"}, GRADER, "invalid-input", "kind:"),
        ({**BEAT, "kind": "x-"}, GRADER, "invalid-input", "kind:"),
        ({**BEAT, "kind": "x-Upper"}, GRADER, "invalid-input", "kind:"),
        ({**BEAT, "kind": "x-line\n"}, GRADER, "invalid-input", "kind:"),
        ({**BEAT, "kind": "x-" + 63 * "a"}, GRADER, "invalid-input", "kind:"),
        ({**BEAT, "id": ""}, GRADER, "invalid-input", "id:"),
        ({**BEAT, "id": "a\x00"}, GRADER, "invalid-input", "id:"),
        ({**BEAT, "id": 201 * "a"}, GRADER, "invalid-input", "id:"),
        ({**BEAT, "id": 1}, GRADER, "invalid-input", "id:"),
        ({**BEAT, "user_id": "no spaces"}, GRADER, "invalid-input", "user_id:"),
        (with_data(BEAT, duration_seconds=-1), GRADER, "invalid-input", "data.duration_seconds:"),
        (with_data(BEAT, duration_seconds=86_401), GRADER, "invalid-input", "data.duration_seconds:"),
        (with_data(BEAT, duration_seconds=float("inf")), GRADER, "invalid-input", "data.duration_seconds:"),
        (with_data(DONE, score=101), GRADER, "invalid-input", "data.score:"),
        (with_data(DONE, score=100.001), GRADER, "invalid-input", "data.score:"),
        (with_data(DONE, score=-0.5), GRADER, "invalid-input", "data.score:"),
        (with_data(DONE, score=float("nan")), GRADER, "invalid-input", "data.score:"),
        (with_data(DONE, difficulty="brutal"), GRADER, "invalid-input", "data.difficulty:"),
        (with_data(DONE, language="  "), GRADER, "invalid-input", "data.language:"),
        (with_data(DONE, topics=21 * ["a"]), GRADER, "invalid-input", "data.topics:"),
        (with_data(DONE, started_at="2029-11-25T10:00:00"), GRADER, "invalid-input", "data.started_at:"),
        (with_data(DONE, started_at="2029-11-25T10:00:00.000001+01:00"), GRADER, "bad-time", "data.started_at:"),
        (with_data(DONE, started_at="2029-11-25T10:00:01+01:00"), GRADER, "bad-time", "data.started_at:"),
        (free(16_384 * "a"), GRADER, "too-large", "data: more than 16,384 bytes"),
        (free(9_000 * "ä"), GRADER, "too-large", "data: more than 16,384 bytes"),
        ("text", GRADER, "invalid-input", "Input should be"),
        (None, GRADER, "invalid-input", "Input should be"),
        ([BEAT], GRADER, "invalid-input", "Input should be"),
    ],
)
def test_event_is_refused_with_a_reason(post: Any, caller: Caller, code: str, says: str) -> None:
    found, message = refusal(post, caller)
    assert found == code
    assert message.startswith(says)


@pytest.mark.parametrize(
    ("post", "caller", "owner"),
    [
        (after(300), GRADER, "ada"),
        (at_time("0001-01-03T00:00:00+00:00"), GRADER, "ada"),
        (BEAT, ADA, "ada"),
        (without(BEAT, "user_id"), ADA, "ada"),
        (without(BEAT, "user_id"), BEN, "ben"),
        (without(BEAT, "user_id"), ADMIN, "root"),
        (DONE, ADMIN, "ada"),
        (with_data(DONE, score=0), GRADER, "ada"),
        (with_data(DONE, score=100), GRADER, "ada"),
        (with_data(DONE, started_at=PAST.isoformat()), GRADER, "ada"),
        (with_data(DONE, started_at="0001-01-01T00:00:00+14:00"), GRADER, "ada"),
        (with_data(DONE, started_at="2029-11-25T09:00:00Z"), GRADER, "ada"),
        ({**BEAT, "kind": "x-" + 62 * "a"}, GRADER, "ada"),
        (free(16_000 * "a"), GRADER, "ada"),
        (free(8_000 * "ä"), GRADER, "ada"),
    ],
)
def test_event_is_taken(post: Posted, caller: Caller, owner: str) -> None:
    assert read(post, caller).owner_id == owner


def test_one_bad_event_does_not_keep_the_others_out() -> None:
    reported, refused = read_events(list(enumerate([BEAT, {}, DONE, 1])), GRADER, NOW)
    assert [event.index for event in reported] == [0, 2]
    assert [one.index for one in refused] == [1, 3]


def test_source_is_api_unless_it_is_said() -> None:
    assert read(without(BEAT, "source")).source == "api"


@pytest.mark.parametrize(("caller", "is_self_reported"), [(ADA, True), (GRADER, False), (ADMIN, False)])
def test_learners_report_themselves(caller: Caller, is_self_reported: bool) -> None:
    assert read(BEAT, caller).self_reported is is_self_reported


def test_names_have_one_spelling() -> None:
    data = read(with_data(DONE, language=" Python ", topics=["Größe", "GRÖSSE"], provider="ACME")).data
    assert (data["language"], data["topics"], data["provider"]) == ("python", ("grösse", "grösse"), "acme")


def test_data_read_again_from_where_it_is_stored_is_the_same() -> None:
    posts = [DONE, with_data(DONE, provider="p"), BEAT, with_data(BEAT, duration_seconds=2.5), free("ä")]
    for event in map(read, posts):
        again = data_of(event.kind, json.loads(event.json))
        assert {**again, "topics": list(again.get("topics", ()))} == {
            **event.data,
            "topics": [*event.data.get("topics", ())],
        }


def test_what_was_left_out_is_not_stored() -> None:
    assert json.loads(read(BEAT).json) == {"activity": "coding"}


@pytest.mark.parametrize(
    ("when", "zone", "day", "second"),
    [
        ("2029-11-25T23:30:00-12:00", None, "2029-11-25", 84_600),
        ("2029-11-25T23:30:00-12:00", "UTC", "2029-11-26", 41_400),
        ("2029-11-25T23:30:00-12:00", "Pacific/Kiritimati", "2029-11-27", 5_400),
        ("2029-11-25T00:00:00+05:45", None, "2029-11-25", 0),
        ("2029-11-25T00:00:00+05:45", "Asia/Kathmandu", "2029-11-25", 0),
        ("2029-07-01T22:00:00Z", "Europe/Berlin", "2029-07-02", 0),
        ("2029-12-01T22:00:00Z", "Europe/Berlin", "2029-12-01", 82_800),
        ("1969-12-31T23:59:59.999999Z", None, "1969-12-31", 86_399),
        ("1850-01-01T00:00:00Z", "Europe/Berlin", "1850-01-01", 3_208),  # local mean time: 53 min 28 s
    ],
)
def test_event_has_its_place_in_the_learners_zone(when: str, zone: str | None, day: str, second: int) -> None:
    placed = read(at_time(when)).placed(None if zone is None else ZoneInfo(zone))
    assert placed.day == day_number(at(day).date())
    assert placed.local_second == second
    assert moment(placed.at) == at(when)


def test_earliest_events_have_a_day_in_every_zone() -> None:
    event = read(at_time("0001-01-03T00:00:00+00:00"))
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        placed = event.placed(ZoneInfo(zone))
        assert abs(placed.day - placed.utc_day) <= 1
    assert instant(event.at) < 0
