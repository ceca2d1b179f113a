import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from httpx2 import AsyncClient
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.idempotency import KEPT, Answer, AnswerSeal, Idempotency
from models.errors import ConflictError
from models.persistence.tables import api_keys, idempotency_keys
from tests.api.clients import problem, raw

KEYS = "/api/v1/keys"
NEW = {"user_id": "ada", "role": "learner", "name": "laptop"}
SEAL = AnswerSeal("s" * 40)


def request_of(
    owner: str = "ada", route: str = "POST /things", key: str | None = "k", body: bytes = b"{}"
) -> Idempotency:
    return Idempotency(SEAL, owner, route, key, body)


class Counter:
    """Answers with the number of times it was asked."""

    def __init__(self) -> None:
        self.made = 0

    async def create(self) -> Answer:
        self.made += 1
        return Answer(201, str(self.made).encode(), {"Location": f"/things/{self.made}"})


async def answered(database: AsyncEngine, request: Idempotency, counter: Counter) -> Answer:
    async with database.begin() as connection:
        return await request.answer_once(connection, counter.create)


async def test_the_first_answer_is_given_again(database: AsyncEngine) -> None:
    counter = Counter()
    first = await answered(database, request_of(), counter)
    second = await answered(database, request_of(), counter)
    assert (second.status, second.body, second.headers) == (first.status, first.body, first.headers)
    assert (first.repeated, second.repeated, counter.made) == (False, True, 1)
    assert second.response().headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(
    "other", [request_of(owner="bob"), request_of(route="POST /others"), request_of(key="K"), request_of(key=None)]
)
async def test_another_owner_route_or_key_is_another_request(database: AsyncEngine, other: Idempotency) -> None:
    counter = Counter()
    await answered(database, request_of(), counter)
    assert not (await answered(database, other, counter)).repeated
    assert counter.made == 2


async def test_without_a_key_nothing_is_kept(database: AsyncEngine) -> None:
    await answered(database, request_of(key=None), Counter())
    async with database.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(idempotency_keys)) == 0


async def test_a_key_is_in_flight_while_its_transaction_is_open(database: AsyncEngine) -> None:
    counter = Counter()
    async with database.begin() as connection:
        await request_of().answer_once(connection, counter.create)
        with pytest.raises(ConflictError) as refused:
            await answered(database, request_of(), counter)
    assert refused.value.code == "idempotency-key-in-flight"
    assert (await answered(database, request_of(), counter)).repeated


async def test_what_failed_leaves_its_key_free(database: AsyncEngine) -> None:
    async def fail() -> Answer:
        raise ConflictError("not now")

    with pytest.raises(ConflictError):
        async with database.begin() as connection:
            await request_of().answer_once(connection, fail)
    assert not (await answered(database, request_of(), Counter())).repeated


async def test_an_answer_is_forgotten_after_a_day(database: AsyncEngine) -> None:
    counter = Counter()
    await answered(database, request_of(), counter)
    for age, made in ((KEPT - timedelta(minutes=1), 1), (KEPT + timedelta(seconds=1), 2)):
        async with database.begin() as connection:
            await connection.execute(update(idempotency_keys).values(created_at=datetime.now(UTC) - age))
        await answered(database, request_of(body=b"{}"), counter)
        assert counter.made == made
    assert (await answered(database, request_of(), counter)).body == b"2"


async def test_a_new_answer_sweeps_expired_ones(database: AsyncEngine) -> None:
    counter = Counter()
    for number in range(3):
        await answered(database, request_of(key=f"old-{number}"), counter)
    async with database.begin() as connection:
        await connection.execute(update(idempotency_keys).values(created_at=datetime.now(UTC) - KEPT))
    await answered(database, request_of(key="old-1"), counter)
    async with database.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(idempotency_keys)) == 1
    assert (await answered(database, request_of(key="old-1"), counter)).repeated


async def test_answers_are_sealed(database: AsyncEngine, admin: AsyncClient) -> None:
    made = (await admin.post(KEYS, json=NEW, headers={"Idempotency-Key": "one"})).json()
    async with database.connect() as connection:
        sealed = await connection.scalar(select(idempotency_keys.c.answer))
    assert sealed is not None
    assert made["key"].encode() not in sealed
    with pytest.raises(ConflictError) as refused:
        AnswerSeal("t" * 40).open(sealed)
    assert refused.value.code == "idempotency-answer-unreadable"


async def test_one_key_is_made_however_often_it_is_asked_for(admin: AsyncClient, database: AsyncEngine) -> None:
    headers = {"Idempotency-Key": "once"}
    answers = await asyncio.gather(*(admin.post(KEYS, json=NEW, headers=headers) for _ in range(20)))
    made = {answer.json()["key"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    for answer in answers:
        if answer.status_code != 201:
            problem(answer, 409, "idempotency-key-in-flight")
    last = await admin.post(KEYS, json=NEW, headers=headers)
    assert (last.status_code, last.json()["key"]) == (201, made.pop())
    async with database.connect() as connection:
        count = select(func.count()).select_from(api_keys).where(api_keys.c.owner_id == "ada")
        assert await connection.scalar(count) == 1


async def test_another_body_with_the_same_key_is_refused(admin: AsyncClient) -> None:
    headers = {"Idempotency-Key": "once"}
    assert (await admin.post(KEYS, json=NEW, headers=headers)).status_code == 201
    refused = await admin.post(KEYS, json={**NEW, "name": "desktop"}, headers=headers)
    assert problem(refused, 422, "idempotency-key-reused")["errors"][0]["pointer"] == "/header/Idempotency-Key"


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "a\tb", "é"])
async def test_a_key_that_is_none_is_refused(admin: AsyncClient, key: str) -> None:
    refused = await admin.post(KEYS, json=NEW, headers=raw(Idempotency_Key=key))
    problem(refused, 422, "invalid-input")
    assert (await admin.post(KEYS, json=NEW, headers={"Idempotency-Key": "x" * 255})).status_code == 201
