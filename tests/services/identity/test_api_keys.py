import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from models.errors import ConflictError, InvalidInputError, NotFoundError
from models.identity import Caller, NewKey, Role
from models.persistence.tables import api_keys, users
from services.identity.audit import list_changes
from services.identity.keys import (
    check_new_key,
    create_key,
    ensure_admin,
    find_caller,
    hash_key,
    list_keys,
    new_secret,
    revoke_key,
)
from services.identity.users import ensure_user, list_users, user_exists

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def new_key(user_id: str = "ada", role: Role = Role.LEARNER, expires_at: datetime | None = None) -> NewKey:
    return NewKey(user_id=user_id, role=role, name="laptop", expires_at=expires_at)


async def made(database: AsyncEngine, user_id: str, role: Role, expires_at: datetime | None = None) -> tuple[str, str]:
    """Id and text of a new key."""
    async with database.begin() as connection:
        created = await create_key(connection, new_key(user_id, role, expires_at), actor_id="root")
    return created.id, created.key


async def caller_of(database: AsyncEngine, key: str) -> Caller | None:
    async with database.connect() as connection:
        return await find_caller(connection, hash_key(key.encode()))


def test_a_secret_has_256_bits_and_shows_only_its_beginning() -> None:
    secret = new_secret()
    assert secret.key.startswith("tlo_")
    assert len(secret.key) == len("tlo_") + 43
    assert secret.key.startswith(secret.prefix)
    assert len(secret.prefix) == 10
    assert new_secret().key != secret.key


def test_an_author_key_is_refused_while_there_are_no_authors() -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_new_key(new_key(role=Role.AUTHOR), NOW, authors=False)
    assert [(p.pointer, p.code) for p in refused.value.problems] == [("/role", "role-not-available")]
    check_new_key(new_key(role=Role.AUTHOR), NOW, authors=True)


@pytest.mark.parametrize("expires_at", [NOW, NOW - timedelta(days=1), datetime.max.replace(tzinfo=UTC)])
def test_a_key_must_expire_in_the_foreseeable_future(expires_at: datetime) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_new_key(new_key(expires_at=expires_at), NOW, authors=True)
    assert refused.value.problems[0].pointer == "/expires_at"


def test_all_that_is_wrong_with_a_key_is_listed() -> None:
    wrong = NewKey(user_id="ada", role=Role.AUTHOR, name="a\x00b", expires_at=NOW)
    with pytest.raises(InvalidInputError) as refused:
        check_new_key(wrong, NOW, authors=False)
    assert [p.pointer for p in refused.value.problems] == ["/role", "/expires_at", "/name"]


async def test_a_key_acts_for_its_user_and_is_stored_as_a_hash(database: AsyncEngine) -> None:
    _, key = await made(database, "ada", Role.LEARNER)
    assert await caller_of(database, key) == Caller(user_id="ada", role=Role.LEARNER)
    assert await caller_of(database, key + "x") is None
    async with database.connect() as connection:
        stored = (await connection.execute(select(api_keys))).mappings().one()
    assert key not in str(dict(stored))


async def test_a_key_is_useless_once_it_has_expired(database: AsyncEngine) -> None:
    key_id, key = await made(database, "ada", Role.LEARNER, datetime.now(UTC) + timedelta(hours=1))
    assert await caller_of(database, key) is not None
    async with database.begin() as connection:
        passed = datetime.now(UTC) - timedelta(seconds=1)
        await connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(expires_at=passed))
    assert await caller_of(database, key) is None


async def test_a_revoked_key_is_useless_at_once_and_not_listed(database: AsyncEngine) -> None:
    key_id, key = await made(database, "ada", Role.LEARNER)
    async with database.begin() as connection:
        await revoke_key(connection, key_id, actor_id="root")
    assert await caller_of(database, key) is None
    async with database.connect() as connection:
        assert await list_keys(connection, 10) == []
        [change, *_] = await list_changes(connection, 10, action="key.revoke")
    assert (change.actor_id, change.target) == ("root", f"key/{key_id}")


async def test_revoking_twice_or_nothing_is_not_found(database: AsyncEngine) -> None:
    key_id, _ = await made(database, "ada", Role.LEARNER)
    async with database.begin() as connection:
        await revoke_key(connection, key_id, actor_id="root")
        for missing in (key_id, "00000000-0000-7000-8000-000000000000"):
            with pytest.raises(NotFoundError):
                await revoke_key(connection, missing, actor_id="root")


async def test_the_last_admin_key_stays(database: AsyncEngine) -> None:
    first, _ = await made(database, "ada", Role.ADMIN)
    second, _ = await made(database, "bob", Role.ADMIN)
    async with database.begin() as connection:
        await revoke_key(connection, first, actor_id="bob")
        with pytest.raises(ConflictError) as refused:
            await revoke_key(connection, second, actor_id="bob")
    assert refused.value.code == "last-admin-key"


async def test_two_admins_cannot_revoke_each_other_at_the_same_time(database: AsyncEngine) -> None:
    ids = [(await made(database, name, Role.ADMIN))[0] for name in ("ada", "bob")]

    async def revoke(key_id: str) -> None:
        async with database.begin() as connection:
            await revoke_key(connection, key_id, actor_id="root")

    outcomes = await asyncio.gather(*map(revoke, ids), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ConflictError", "NoneType"]


async def test_making_a_key_is_audited_without_its_secret(database: AsyncEngine) -> None:
    key_id, key = await made(database, "ada", Role.LEARNER)
    async with database.connect() as connection:
        changes = await list_changes(connection, 10)
    assert [(c.actor_id, c.action, c.target) for c in changes] == [
        ("root", "key.create", f"key/{key_id}"),
        ("root", "user.create", "user/ada"),
    ]
    assert key not in str(changes)


async def test_a_user_has_at_least_the_role_of_each_key(database: AsyncEngine) -> None:
    for role, expected in ((Role.LEARNER, "learner"), (Role.ADMIN, "admin"), (Role.LEARNER, "admin")):
        await made(database, "ada", role)
        async with database.connect() as connection:
            assert await connection.scalar(select(users.c.role)) == expected


async def test_the_first_admin_key_is_made_once(database: AsyncEngine) -> None:
    async def ensure() -> str | None:
        async with database.begin() as connection:
            return await ensure_admin(connection)

    keys = [key for key in await asyncio.gather(*(ensure() for _ in range(5))) if key]
    assert len(keys) == 1
    assert await caller_of(database, keys[0]) == Caller(user_id="admin", role=Role.ADMIN)


async def test_an_admin_key_is_made_when_the_others_are_useless(database: AsyncEngine) -> None:
    await made(database, "ada", Role.ADMIN)
    async with database.begin() as connection:
        assert await ensure_admin(connection) is None
        await connection.execute(update(api_keys).values(revoked_at=datetime.now(UTC)))
        assert await ensure_admin(connection) is not None


async def test_a_user_is_made_once(database: AsyncEngine) -> None:
    async with database.begin() as connection:
        assert not await user_exists(connection, "ada")
        assert await ensure_user(connection, "ada", Role.LEARNER, actor_id="ada")
        assert not await ensure_user(connection, "ada", Role.ADMIN, actor_id="ada")
        assert await user_exists(connection, "ada")
        [user] = await list_users(connection, 10)
    assert (user.id, user.role) == ("ada", Role.LEARNER)


async def test_lists_continue_behind_a_place(database: AsyncEngine) -> None:
    for name in ("ada", "bob", "cy"):
        await made(database, name, Role.LEARNER)
    async with database.begin() as connection:
        await connection.execute(insert(users).values(id="Zed", role="learner"))
        people = [user.id for user in await list_users(connection, 10)]
        newest = await list_keys(connection, 10)
        assert [key.user_id for key in newest] == ["cy", "bob", "ada"]
        assert await list_keys(connection, 10, before=newest[1].id) == newest[2:]
        assert [user.id for user in await list_users(connection, 10, after=people[1])] == people[2:]
        assert [entry.target for entry in await list_changes(connection, 1, actor_id="root", action="user.create")] == [
            "user/cy"
        ]
        assert await list_changes(connection, 1, target="user/nobody") == []
