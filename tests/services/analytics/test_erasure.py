from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.errors import ConflictError, NotFoundError, UnavailableError
from models.identity import Caller, NewKey, Role
from models.metrics import NewProfile
from models.persistence import archiving
from models.persistence.database import with_archive
from models.runs import RunStatus, StepStatus
from services.analytics.awards import award_by_hand, list_awards, revoke_award
from services.analytics.custom_badges import load_rules
from services.analytics.erasure import erase_user, finish_erasures
from services.analytics.history import ARCHIVED, read_history
from services.analytics.ingest import Ingest
from services.analytics.learners import save_profile
from services.analytics.recompute import audit
from services.analytics.retention import archive_events, restore_events
from services.identity.keys import create_key
from services.identity.secrets import SecretSeal, put_secret
from services.orchestration.runs import NewRun, StepRecord, close_run, open_run, open_runs, record_steps
from services.reports.documents import Documents
from services.reports.repository import save_report
from tests.services.analytics.conftest import GRADER, NOW
from tests.services.analytics.test_ingest import count

ADA = "ada-lovelace"


async def everything_with(connection: AsyncConnection, what: str) -> list[str]:
    """Tables in which a text is found, in any column."""
    tables = await connection.scalars(
        text("SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace")
    )
    found: list[str] = []
    for table in tables.all():
        query = text(f"SELECT count(*) FROM {table} AS row WHERE CAST(row AS text) LIKE :pattern")
        if await connection.scalar(query, {"pattern": f"%{what}%"}):
            found.append(table)
    return found


class Temporal:
    """Remembers what it was told to forget; while it is away, it cannot."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.forgotten: list[str] = []

    async def forget(self, runs: Sequence[str]) -> None:
        if self.away:
            raise ConnectionError("nobody there")
        self.forgotten += runs


async def a_full_life(database: AsyncEngine, ingest: Ingest, completed: Callable[..., dict[str, Any]]) -> None:
    async with database.begin() as connection:
        await create_key(connection, NewKey(user_id=ADA, role=Role.LEARNER, name="laptop"), actor_id="admin")
        await save_profile(connection, ADA, NewProfile(timezone="Europe/London"), ADA)
    events = [completed(n, NOW - timedelta(hours=9 * n), user=ADA, score=100) for n in range(30)]
    await ingest.take(enumerate(events), GRADER, NOW)
    caller = Caller(user_id=ADA, role=Role.LEARNER)
    async with database.begin() as connection:
        await put_secret(connection, SecretSeal("s" * 40).seal(ADA, "github", SecretStr("a token")))
        run = NewRun("run-1", "greet", 1, caller, "api", {"name": ADA}, {"for": ADA})
        await open_run(connection, run)
        step = StepRecord("run-1", "a", ADA, StepStatus.SUCCEEDED, 1, NOW, NOW, output={"hello": ADA}, output_bytes=9)
        await record_steps(connection, [step])
        rules = await load_rules(connection)
        award = await award_by_hand(connection, rules, ADA, "code-master", "admin", NOW, f"for {ADA}")
        await revoke_award(connection, award.award_id, "admin", f"{ADA} copied")


async def test_erased_person_is_found_in_no_table(
    database: AsyncEngine, ingest: Ingest, completed: Callable[..., dict[str, Any]]
) -> None:
    await a_full_life(database, ingest, completed)
    async with database.begin() as connection:
        assert len(found := await everything_with(connection, ADA)) > 10
        assert "secrets" in found
        before = await connection.scalar(text("SELECT sum(challenges) FROM analytics_days"))
        awards = len(await list_awards(connection, ADA))
        await erase_user(connection, ADA, "erased-1", "admin")
    async with database.connect() as connection:
        assert await everything_with(connection, ADA) == ["erasures"]
    temporal = Temporal()
    assert await finish_erasures(database, temporal.forget) == (1, [])
    assert temporal.forgotten == ["run-1"]
    async with database.connect() as connection:
        assert await everything_with(connection, ADA) == []
        assert await connection.scalar(text("SELECT sum(challenges) FROM analytics_days")) == before == 30
        assert len(await list_awards(connection, "erased-1")) == awards > 3
        assert await connection.scalar(text("SELECT sum(n) FROM score_counts, unnest(learners) AS n")) == 0
    assert await count(database, "audit WHERE actor_id = 'erased-1' OR target = 'user/erased-1'") > 0


async def test_events_of_an_erased_person_do_not_come_back(
    database: AsyncEngine, ingest: Ingest, completed: Callable[..., dict[str, Any]]
) -> None:
    event = completed(1, NOW, user=ADA)
    await ingest.take([(0, event)], GRADER, NOW)
    async with database.begin() as connection:
        await erase_user(connection, ADA, "erased-2", "admin")
    assert (await ingest.take([(0, event)], GRADER, NOW)).duplicate == 1
    assert await count(database, "activity_events") == 0
    assert await count(database, "users WHERE id = 'ada-lovelace'") == 0


async def test_awards_and_audit_still_cannot_be_changed_otherwise(
    database: AsyncEngine, ingest: Ingest, completed: Callable[..., dict[str, Any]]
) -> None:
    await ingest.take([(0, completed(1, NOW, user=ADA))], GRADER, NOW)
    for statement in ("UPDATE awards SET badge_id = 'x'", "DELETE FROM awards", "UPDATE audit SET actor_id = 'x'"):
        with pytest.raises(Exception, match="is refused: its rows are written once"):
            async with database.begin() as connection:
                await connection.execute(text(statement))


async def test_what_others_had_written_about_the_person_goes(database: AsyncEngine) -> None:
    boss = Caller(user_id="boss", role=Role.ADMIN)
    subjects = (
        {"learner": {"user_id": ADA}},
        {"cohort": {"by_engagement": {"items": [{"user_id": "bob"}, {"user_id": ADA}]}}},
        {"cohort": {"by_engagement": {"items": [{"user_id": "bob"}]}}},
        {"analysis": {"path": "user_id"}},
    )
    async with database.begin() as connection:
        for user in (ADA, "boss"):
            await create_key(connection, NewKey(user_id=user, role=Role.LEARNER, name="x"), actor_id="boss")
        for number, data in enumerate(subjects):
            documents = Documents("A report", "of somebody", str(data), str(data), data)
            await save_report(connection, owner_id="boss", run_id=f"r{number}", step_id="a", documents=documents)
        await open_run(connection, NewRun("run-1", "greet", 1, boss, "api", {"who": [{"user_id": ADA}]}, {}))
        await open_run(connection, NewRun("run-2", "greet", 1, boss, "api", {"user_id": "bob"}, {}))
        step = StepRecord(
            "run-1", "a", "boss", StepStatus.SUCCEEDED, 1, NOW, NOW, output={"user_id": ADA}, output_bytes=9
        )
        await record_steps(connection, [step])
        await erase_user(connection, ADA, "erased-1", "boss")
    await finish_erasures(database, Temporal().forget)
    async with database.connect() as connection:
        assert await everything_with(connection, ADA) == []
    assert await count(database, "reports") == 2
    assert await count(database, 'runs WHERE input = \'{"user_id": "bob"}\'') == 1
    assert await count(database, "run_steps WHERE status = 'succeeded' AND output IS NULL") == 1


async def test_admins_and_strangers_are_not_erased(database: AsyncEngine) -> None:
    async with database.begin() as connection:
        await create_key(connection, NewKey(user_id="boss", role=Role.ADMIN, name="x"), actor_id="boss")
        with pytest.raises(ConflictError):
            await erase_user(connection, "boss", "erased-3", "boss")
        with pytest.raises(NotFoundError):
            await erase_user(connection, "nobody", "erased-4", "boss")


async def test_erasure_is_finished_when_temporal_is_back(
    database: AsyncEngine, ingest: Ingest, completed: Callable[..., dict[str, Any]]
) -> None:
    await a_full_life(database, ingest, completed)
    temporal = Temporal(away=True)
    async with database.begin() as connection:
        await erase_user(connection, ADA, "erased-1", "admin")
    for _ in range(2):
        assert await finish_erasures(database, temporal.forget) == (0, ["temporal"])
    assert await count(database, "erasures WHERE NOT in_archives AND run_ids = '{run-1}'") == 1
    temporal.away = False
    assert await finish_erasures(database, temporal.forget) == (1, [])
    assert await finish_erasures(database, temporal.forget) == (0, [])
    async with database.connect() as connection:
        assert await everything_with(connection, ADA) == []
    assert await count(database, "audit WHERE action = 'user.erase-finish' AND target = 'user/erased-1'") == 1


async def test_run_that_was_under_way_is_not_started_again_and_leaves_nothing(database: AsyncEngine) -> None:
    caller = Caller(user_id=ADA, role=Role.LEARNER)
    async with database.begin() as connection:
        await create_key(connection, NewKey(user_id=ADA, role=Role.LEARNER, name="laptop"), actor_id="admin")
        await open_run(connection, NewRun("run-1", "greet", 1, caller, "api", {"name": ADA}, {}))
        await erase_user(connection, ADA, "erased-1", "admin")
    async with database.begin() as connection:
        later = datetime.now(UTC) + timedelta(minutes=1)
        assert not await open_runs(connection, older_than=later, after="", limit=9)
        assert not await close_run(connection, "run-1", RunStatus.COMPLETED, at=NOW, output={"hello": ADA})
        step = StepRecord("run-1", "a", ADA, StepStatus.SUCCEEDED, 1, NOW, NOW, output={"hello": ADA}, output_bytes=9)
        await record_steps(connection, [step])  # its activity was under way
    assert await finish_erasures(database, Temporal().forget) == (1, [])
    async with database.connect() as connection:
        assert await everything_with(connection, ADA) == []


def everything_under(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def bytes_of(folder: Path) -> bytes:
    """What is in files, uncompressed where it matters: statistics and dictionaries are in their footers."""
    return b"".join(file.read_bytes() for file in everything_under(folder) if file.is_file())


@pytest.fixture
async def archived(database: AsyncEngine, tmp_path: Path, completed: Callable[..., dict[str, Any]]) -> AsyncEngine:
    """Events of Ada and Bob in two archived months; Ada alone has a third."""
    archived = with_archive(database, tmp_path)
    days = [datetime(2023, month, 2, tzinfo=UTC) for month in (5, 6, 7)]
    events = [completed(n, day, ADA) for n, day in enumerate(days)]
    events += [completed(n + 10, day, "bob") for n, day in enumerate(days[:2])]
    await Ingest(archived).take(enumerate(events), GRADER, NOW)
    assert len([month async for month in archive_events(archived, 24, NOW, "admin")]) == 3
    return archived


async def files_with_ada(database: AsyncEngine, folder: Path) -> int:
    async with database.connect() as connection:
        files = await archiving.list_files(connection, ARCHIVED)
    return sum(bool(archiving.read_keys(ARCHIVED, folder, file, [ADA])) for file in files)


async def test_archived_events_of_an_erased_person_are_gone_from_the_files(
    archived: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ADA.encode() in bytes_of(tmp_path)
    async with archived.begin() as connection:
        await erase_user(connection, ADA, "erased-1", "admin")

    async with archived.connect() as connection:  # not finished, and nobody reads them any more
        assert (await read_history(connection, [ADA, "bob"]))[ADA] == []
    with monkeypatch.context() as patch:
        patch.setattr(archiving, "remove_strays", lambda *_: 1 / 0)  # a crash before the old files are gone
        assert await finish_erasures(archived, Temporal().forget) == (0, ["archive"])
    assert ADA.encode() in bytes_of(tmp_path)
    assert await finish_erasures(archived, Temporal().forget) == (1, [])

    assert ADA.encode() not in bytes_of(tmp_path)
    assert await files_with_ada(archived, tmp_path) == 0
    assert sum(file.is_file() for file in everything_under(tmp_path)) == await count(archived, "archives") == 2
    async with archived.connect() as connection:
        assert await everything_with(connection, ADA) == []
        assert len((await read_history(connection, ["bob"]))["bob"]) == 2
    *_, found = [one async for one in audit(archived, 1_800.0, NOW)]
    assert found.learners == 1
    assert not [difference for difference in found.differences if difference.startswith("bob")]


async def test_month_that_comes_back_brings_no_erased_person(archived: AsyncEngine, tmp_path: Path) -> None:
    async with archived.begin() as connection:
        await erase_user(connection, ADA, "erased-1", "admin")
    assert (await restore_events(archived, "2023-05", NOW, "admin"))[0] == 1
    assert await count(archived, "activity_events") == 1
    assert await finish_erasures(archived, Temporal().forget) == (1, [])
    assert ADA.encode() not in bytes_of(tmp_path)


async def test_damaged_file_keeps_the_erasure_open(archived: AsyncEngine, tmp_path: Path) -> None:
    file = next(file for file in everything_under(tmp_path) if file.name.startswith("2023-05"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    async with archived.begin() as connection:
        await erase_user(connection, ADA, "erased-1", "admin")
    temporal = Temporal()
    assert await finish_erasures(archived, temporal.forget) == (0, ["archive"])
    file.write_bytes(whole)
    assert await finish_erasures(archived, temporal.forget) == (1, [])
    assert ADA.encode() not in bytes_of(tmp_path)


async def test_process_without_archive_finishes_no_erasure_of_archived_people(
    archived: AsyncEngine, database: AsyncEngine
) -> None:
    async with database.begin() as connection:
        await erase_user(connection, ADA, "erased-1", "admin")
        with pytest.raises(UnavailableError):
            await read_history(connection, ["bob"])
    assert await finish_erasures(database, Temporal().forget) == (0, ["archive"])
