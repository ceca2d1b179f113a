"""Secrets at rest: what opens them, and for whom."""

import asyncio
from dataclasses import replace

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from models.errors import ConflictError, InvalidInputError, NotFoundError
from models.persistence.tables import secrets as table
from models.persistence.tables import users
from models.secrets import MAX_SECRETS
from services.identity import secrets
from services.identity.sealing import Seal
from services.identity.secrets import SealedSecret, SecretSeal

SEAL = SecretSeal("s" * 40)
VALUE = SecretStr("ada:päss word")


@pytest.fixture
async def database(database: AsyncEngine) -> AsyncEngine:
    async with database.begin() as connection:
        for user in ("ada", "bob"):
            await connection.execute(insert(users).values(id=user, role="learner"))
    return database


async def put(database: AsyncEngine, owner: str, name: str, value: SecretStr = VALUE) -> None:
    async with database.begin() as connection:
        await secrets.put_secret(connection, SEAL.seal(owner, name, value))


async def find(database: AsyncEngine, owner: str, name: str) -> SealedSecret:
    async with database.connect() as connection:
        return await secrets.find_secret(connection, owner, name)


def test_a_secret_opens_again_and_is_sealed_anew_each_time() -> None:
    one, two = (SEAL.seal("ada", "github", VALUE) for _ in range(2))
    assert SEAL.open(one) == SEAL.open(two) == VALUE
    assert one.sealed != two.sealed
    assert one.sealed is not None
    assert b"ada" not in one.sealed


def test_what_was_sealed_for_another_owner_name_purpose_or_master_secret_opens_for_nobody() -> None:
    sealed = SEAL.seal("ada", "github", VALUE)
    assert sealed.sealed is not None
    other_purpose = Seal("s" * 40, b"tooloo idempotency answers")
    content = other_purpose.seal(b'["ada", "github", null, "value"]')
    for secret in (
        replace(sealed, owner_id="bob"),
        replace(sealed, name="gitlab"),
        replace(sealed, host="git.example.org"),
        replace(sealed, sealed=sealed.sealed[:-1]),
        replace(sealed, sealed=content),
        SecretSeal("t" * 40).seal("ada", "github", VALUE),
    ):
        with pytest.raises(ConflictError) as unreadable:
            SEAL.open(secret)
        assert unreadable.value.code == "secret-unreadable"
    assert other_purpose.open(sealed.sealed) is None


def test_a_master_secret_that_is_too_short_seals_nothing() -> None:
    with pytest.raises(ValueError, match="TOOLOO_SECRET must have at least 32 characters"):
        SecretSeal("s" * 31)


async def test_a_row_that_was_copied_to_another_owner_or_name_does_not_open(database: AsyncEngine) -> None:
    await put(database, "ada", "github")
    await put(database, "bob", "github", SecretStr("bob's"))
    theirs = await find(database, "ada", "github")
    async with database.begin() as connection:
        await connection.execute(update(table).where(table.c.owner_id == "bob").values(sealed=theirs.sealed))
        await connection.execute(insert(table).values(owner_id="ada", name="copy", sealed=theirs.sealed))
    for owner, name in (("bob", "github"), ("ada", "copy")):
        with pytest.raises(ConflictError):
            SEAL.open(await find(database, owner, name))
    assert SEAL.open(await find(database, "ada", "github")) == VALUE


async def test_a_secret_is_its_owner_s_alone(database: AsyncEngine) -> None:
    await put(database, "ada", "github")
    with pytest.raises(NotFoundError) as unknown:
        SEAL.open(await find(database, "bob", "github"))
    assert unknown.value.code == "unknown-secret"
    async with database.begin() as connection:
        assert await secrets.list_secrets(connection, "bob", 9) == []
        with pytest.raises(NotFoundError):
            await secrets.host_of(connection, "bob", "github")
        with pytest.raises(NotFoundError):
            await secrets.delete_secret(connection, "bob", "github")
        assert await secrets.host_of(connection, "ada", "github") is None


async def test_a_user_has_so_many_secrets_however_many_are_put_at_once(database: AsyncEngine) -> None:
    for number in range(MAX_SECRETS - 1):
        await put(database, "ada", f"s{number}")
    outcomes = await asyncio.gather(*(put(database, "ada", name) for name in ("a", "b")), return_exceptions=True)
    (refused,) = [outcome for outcome in outcomes if outcome is not None]
    assert isinstance(refused, ConflictError)
    assert refused.code == "secret-quota"
    await put(database, "ada", "s0")  # one that is there can be replaced
    await put(database, "bob", "a")


async def test_who_was_erased_puts_nothing(database: AsyncEngine) -> None:
    await put(database, "ada", "github")
    async with database.begin() as connection:
        await connection.execute(text("DELETE FROM users WHERE id = 'ada'"))
        assert await connection.scalar(text("SELECT count(*) FROM secrets")) == 0
    with pytest.raises(NotFoundError):
        await put(database, "ada", "github")


@pytest.mark.parametrize("name", ["", "A", "-a", "a b", "a/b", "ä", "a\n", "a" * 64, "٣"])
def test_what_cannot_name_a_secret_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError):
        secrets.check_name(name)


@pytest.mark.parametrize("name", ["a", "github", "0-x_y", "a" * 63])
def test_what_can_name_a_secret_is_taken(name: str) -> None:
    secrets.check_name(name)
