"""Old months as files: every answer stays the same, whatever happens while they are made."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.badges import NewBadge
from models.errors import NotFoundError, UnavailableError
from models.persistence import archiving
from models.persistence.archive import list_files
from models.persistence.archive_files import FileWriter
from models.persistence.database import with_archive
from models.persistence.partitions import drop_partition, months_of
from services.analytics.badge_rules import Rules
from services.analytics.custom_badges import as_badge
from services.analytics.everybody import read_global_metrics, read_trend
from services.analytics.export import export_learner
from services.analytics.history import ARCHIVED, read_history, read_stored, snapshot
from services.analytics.ingest import Ingest
from services.analytics.learners import find_learner
from services.analytics.metrics import read_metrics
from services.analytics.rebuild import who_would_earn
from services.analytics.recompute import audit
from services.analytics.retention import HOLD, archive_events, list_archives, restore_events
from services.analytics.timeframes import period
from services.analytics.topics import read_learning_path
from tests.services.analytics.conftest import GRADER, NOW
from tests.services.analytics.test_ingest import count, everything

Make = Callable[..., dict[str, Any]]
GAP = 1_800.0
LATER = NOW + timedelta(days=1)
TEN = NewBadge.model_validate(
    {"id": "ten", "name": "Ten", "rule": {"kinds": ["challenge.completed"], "aggregate": "count", "threshold": 10}}
)


@pytest.fixture
async def archived(database: AsyncEngine, tmp_path: Path) -> AsyncEngine:
    """A database that knows where its archive is, and has no partitions from other tests."""
    async with database.begin() as connection:
        for month in await months_of(connection, "activity_events"):
            await connection.execute(text(f"DROP TABLE activity_events_{month.replace('-', '_')}"))
    return with_archive(database, tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def long_ago(completed: Make) -> list[dict[str, Any]]:
    """Events of two learners: in four old months, one of them before 2000, and in this one."""
    starts = [datetime(1999, 5, 1, tzinfo=UTC), *(datetime(2023, n, 3, tzinfo=UTC) for n in (1, 2, 4)), NOW]
    events: list[dict[str, Any]] = []
    for place, start in enumerate(starts):
        for n in range(12):
            user, at = ("ada", "bob")[n % 2], start - timedelta(minutes=7 * n)
            name = 100 * place + n
            if n % 3:
                events.append(completed(name, at, user, topics=["loops", "ünïcode"], score=90 + n / 3))
            else:
                data = {"note": "\u00e9\U0001f600", "n": 1e-7, "big": 12345678901234567890, "none": None}
                event = {"id": f"e{name}", "source": "Ä" if n else "z", "user_id": user, "kind": "x-note"}
                events.append({**event, "at": at.isoformat(), "data": data})
    return events


async def run(database: AsyncEngine, months: int = 24, now: datetime = NOW) -> dict[str, int]:
    return {month: rows async for month, rows in archive_events(database, months, now, "admin")}


async def answers(database: AsyncEngine) -> dict[str, Any]:
    """What is answered about both learners, from everything that reads events."""
    found: dict[str, Any] = {"tables": await everything(database)}
    async with database.connect() as connection:
        found["stored"] = [tuple(row) for row in await read_stored(connection, ["ada", "bob"])]
        found["history"] = await read_history(connection, ["bob", "ada"])
        for year in (1999, 2023):
            whole = period(None, datetime(year, 1, 1).date(), datetime(year, 12, 31).date(), NOW.date())  # noqa: DTZ001
            found[f"global {year}"] = await read_global_metrics(connection, whole, NOW)
        for user in ("ada", "bob"):
            learner = await find_learner(connection, user)
            found[f"export {user}"] = await export_learner(connection, user, NOW)
            found[f"path {user}"] = await read_learning_path(connection, learner, NOW)
            whole = period("all", None, None, NOW.date())
            found[f"metrics {user}"] = await read_metrics(connection, learner, whole, None, NOW)
            found[f"trend {user}"] = await read_trend(connection, "challenges", 30, NOW.date(), user)
    *_, seen = [one async for one in audit(database, GAP, NOW)]
    assert seen.differences == []
    found["audited"] = (seen.learners, seen.events)
    found["earners"] = [one async for one in who_would_earn(database, Rules([as_badge(TEN, version=1)]))]
    return found


async def months(database: AsyncEngine) -> list[str]:
    async with database.connect() as connection:
        return await months_of(connection, "activity_events")


async def files(database: AsyncEngine) -> list[str]:
    async with database.connect() as connection:
        return [file.name for file in await list_files(connection, ARCHIVED)]


def names_in(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


async def test_every_answer_is_the_same_when_months_are_files(
    archived: AsyncEngine, folder: Path, completed: Make
) -> None:
    await Ingest(archived).take(enumerate(long_ago(completed)), GRADER, NOW)
    before = await answers(archived)
    made = await run(archived)
    assert sum(made.values()) == 48
    assert {"old", "2023-01", "2023-02", "2023-04"} <= set(made)
    assert await months(archived) == ["2026-11"]
    assert names_in(folder) == sorted(await files(archived))
    assert await answers(archived) == before
    assert await run(archived) == {}


async def test_months_that_are_kept_and_empty_ones_make_no_file(archived: AsyncEngine, completed: Make) -> None:
    ingest = Ingest(archived)
    kept, gone = (datetime(2024, month, 15, tzinfo=UTC) for month in (11, 10))
    await ingest.take(enumerate([completed(1, kept), completed(2, gone)]), GRADER, NOW)
    assert await run(archived) == {"2024-10": 1}
    assert await months(archived) == ["2024-11"]
    async with archived.begin() as connection:
        await connection.execute(text("DELETE FROM activity_events"))
    assert await run(archived, months=1) == {}
    assert await months(archived) == []


async def test_late_event_for_an_archived_month_counts_and_the_month_stays_one_file(
    archived: AsyncEngine, folder: Path, completed: Make
) -> None:
    await Ingest(archived).take(enumerate(long_ago(completed)), GRADER, NOW)
    await run(archived)
    (first,) = (name for name in await files(archived) if "2023-02" in name)
    late = [completed(n, datetime(2023, 2, 2, n % 24, tzinfo=UTC), "ada") for n in range(900, 930)]
    assert (await Ingest(archived).take(enumerate(late), GRADER, NOW)).accepted == 30
    before = await answers(archived)
    assert before["audited"] == (2, 90)
    assert await months(archived) == ["2023-02", "2026-11"]
    assert list(await run(archived)) == ["2023-02"]
    (second,) = (name for name in await files(archived) if "2023-02" in name)
    assert first != second
    assert not (folder / first).exists()
    assert await answers(archived) == before


async def test_partitions_that_were_forgotten_are_made_again(archived: AsyncEngine, completed: Make) -> None:
    ingest = Ingest(archived)
    at = datetime(2023, 2, 2, tzinfo=UTC)
    await ingest.take([(0, completed(1, at))], GRADER, NOW)
    await run(archived)
    ingest._partitions.forget()
    assert (await ingest.take([(0, completed(2, at))], GRADER, NOW)).accepted == 1


@pytest.mark.parametrize("where", ["finish", "_keep", "record_change"])
async def test_crash_leaves_everything_as_it_was(
    archived: AsyncEngine, folder: Path, completed: Make, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    await Ingest(archived).take(enumerate(long_ago(completed)), GRADER, NOW)
    before = await answers(archived)

    def crash(*_: Any) -> None:
        raise RuntimeError("crash")

    with monkeypatch.context() as patch:
        owner = FileWriter if where == "finish" else archiving
        patch.setattr(owner, where, crash)
        patch.setattr(FileWriter, "discard", lambda _: None)
        with pytest.raises(RuntimeError, match="crash"):
            await run(archived)
    assert len(names_in(folder)) == 1
    assert await files(archived) == []
    assert await answers(archived) == before
    await run(archived)
    assert names_in(folder) == sorted(await files(archived))
    assert await answers(archived) == before


async def test_crash_after_the_commit_leaves_a_file_that_goes_the_next_time(
    archived: AsyncEngine, folder: Path, completed: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2023, 2, 2, tzinfo=UTC)
    await Ingest(archived).take([(0, completed(1, at))], GRADER, NOW)
    await run(archived)
    await Ingest(archived).take([(0, completed(2, at))], GRADER, NOW)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("crash")))
        with pytest.raises(RuntimeError, match="crash"):
            await run(archived)
    assert len(names_in(folder)) == 2
    assert (await answers_of("ada", archived)) == ["e1", "e2"]
    await run(archived)
    assert names_in(folder) == await files(archived)
    assert await months(archived) == []


async def answers_of(user: str, database: AsyncEngine) -> list[str]:
    async with database.connect() as connection:
        return sorted(event.id for event in (await read_history(connection, [user]))[user])


async def test_restored_month_is_the_same_and_stays_for_some_days(
    archived: AsyncEngine, folder: Path, completed: Make
) -> None:
    await Ingest(archived).take(enumerate(long_ago(completed)), GRADER, NOW)
    before = await answers(archived)
    rows = await table_rows(archived)
    await run(archived)
    assert len(await table_rows(archived)) == 12
    async with archived.connect() as connection:
        listed = await list_archives(connection)
    for one in listed:
        await restore_events(archived, one.month, NOW, "admin")
    assert await table_rows(archived) == rows
    assert await answers(archived) == before
    assert names_in(folder) == []
    assert await run(archived, now=NOW + HOLD - timedelta(seconds=1)) == {}
    assert len(await run(archived, now=NOW + HOLD)) >= 4
    assert await answers(archived) == before


async def table_rows(database: AsyncEngine) -> list[Any]:
    async with database.connect() as connection:
        query = "SELECT CAST(activity_events AS text) FROM activity_events ORDER BY 1"
        return [*await connection.scalars(text(query))]


async def test_restoring_what_is_no_file_is_refused_and_makes_nothing(archived: AsyncEngine) -> None:
    with pytest.raises(NotFoundError, match="2023-02 is not archived"):
        await restore_events(archived, "2023-02", NOW, "admin")
    assert await months(archived) == []


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
async def test_damaged_file_is_named_with_what_to_do(
    archived: AsyncEngine, folder: Path, completed: Make, damage: str
) -> None:
    ingest = Ingest(archived)
    await ingest.take([(0, completed(1, datetime(2023, 2, 2, tzinfo=UTC))), (1, completed(2, NOW))], GRADER, NOW)
    await run(archived)
    (file,) = (folder / name for name in names_in(folder))
    whole = file.read_bytes()
    assert await answers_of("ada", archived) == ["e1", "e2"]
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(whole[:-9] if damage == "cut" else whole[:60] + b"?" + whole[61:])
    late = completed(3, datetime(2023, 3, 2, tzinfo=UTC))
    told = (
        rf"activity_events\.\w+/{file.name} is (damaged|missing)\. Put it back from a backup .*TOOLOO_ARCHIVE_DIRECTORY"
    )
    with pytest.raises(UnavailableError, match=told):
        await ingest.take([(0, late)], GRADER, NOW)
    with pytest.raises(UnavailableError, match=told):
        await restore_events(archived, "2023-02", NOW, "admin")
    assert await count(archived, "archives") == 1
    file.write_bytes(whole)
    assert (await ingest.take([(0, late)], GRADER, NOW)).accepted == 1


async def test_damaged_file_does_not_keep_later_months_from_being_archived(
    archived: AsyncEngine, folder: Path, completed: Make
) -> None:
    ingest = Ingest(archived)
    await ingest.take([(0, completed(1, datetime(2023, 1, 2, tzinfo=UTC)))], GRADER, NOW)
    await run(archived)
    (file,) = (folder / name for name in names_in(folder))
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    news = [completed(month + 10, datetime(2023, month, 3, tzinfo=UTC), f"new-{month}") for month in (1, 2)]
    await ingest.take(enumerate(news), GRADER, NOW)
    with pytest.raises(UnavailableError, match="2023-01"):
        await run(archived)
    assert await count(archived, "archives WHERE month = '2023-02'") == 1
    file.write_bytes(whole)
    await run(archived)
    assert await count(archived, "archives WHERE month = '2023-01' AND rows = 2") == 1


async def test_files_of_months_that_are_not_asked_for_are_not_looked_at(
    archived: AsyncEngine, folder: Path, completed: Make
) -> None:
    days = [datetime(2023, month, 2, tzinfo=UTC) for month in (1, 2, 3)]
    events = [completed(n, at, user) for n, (user, at) in enumerate((u, d) for d in days for u in ("ada", "bob"))]
    await Ingest(archived).take(enumerate(events), GRADER, NOW)
    await run(archived)
    await Ingest(archived).take([(0, completed(9, NOW, "ada"))], GRADER, NOW)
    (folder / names_in(folder)[0]).unlink()
    async with archived.connect() as connection:
        found = await read_history(connection, ["ada", "bob"], {"ada": days[1], "bob": days[1] + timedelta(seconds=1)})
        assert {user: [event.id for event in events] for user, events in found.items()} == {
            "ada": ["e2", "e4", "e9"],
            "bob": ["e5"],
        }
        with pytest.raises(UnavailableError, match="2023-01"):
            await read_history(connection, ["ada", "bob"], {"ada": days[1]})


async def test_process_that_was_not_told_where_the_archive_is_answers_nothing_wrong(
    archived: AsyncEngine, database: AsyncEngine, completed: Make
) -> None:
    await Ingest(archived).take([(0, completed(1, datetime(2023, 2, 2, tzinfo=UTC)))], GRADER, NOW)
    await run(archived)
    async with database.connect() as connection:
        with pytest.raises(UnavailableError, match="was not told where"):
            await read_history(connection, ["ada"])


async def test_events_that_come_in_meanwhile_are_not_lost(
    archived: AsyncEngine, completed: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late ones for months that are just being archived, from several writers, while files are made again and again."""
    monkeypatch.setattr(archiving, "_PAUSE", 0.02)
    days = [datetime(2023, month, 2, 3, tzinfo=UTC) for month in (1, 2)]
    await Ingest(archived).take(enumerate(completed(n, at, "ada") for n, at in enumerate(days)), GRADER, NOW)
    going, made_files = True, asyncio.Condition()

    async def write(first: int) -> int:
        ingest, taken = Ingest(archived), 0
        for n in range(first, first + 20):
            async with made_files:  # by turns, so that neither keeps the other from getting anywhere
                await made_files.wait()
            event = completed(n, days[n % 2] + timedelta(minutes=n), ("ada", "bob", f"new-{n}")[n % 3])
            while True:
                ingest._partitions.forget()
                try:
                    taken += (await ingest.take([(0, event)], GRADER, NOW)).accepted
                    break
                except Exception as error:
                    if getattr(error, "sqlstate", "") != "23514":
                        raise
        return taken

    async def archive() -> int:
        made = 0
        while going:
            try:
                made += len(await run(archived))
            except UnavailableError:
                continue
            async with made_files:
                made_files.notify_all()
        return made

    archiver = asyncio.create_task(archive())
    taken = await asyncio.gather(*(write(first) for first in (1_000, 2_000, 3_000)))
    going = False
    assert await archiver > 2
    assert sum(taken) == 60
    *_, seen = [one async for one in audit(archived, GAP, NOW)]
    assert (seen.events, seen.differences) == (62, [])
    await run(archived)
    assert await months(archived) == []


async def test_reader_of_one_moment_keeps_its_files(
    archived: AsyncEngine, completed: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "_TRIES", 2)
    await Ingest(archived).take(enumerate(long_ago(completed)), GRADER, NOW)
    async with snapshot(archived) as connection:
        before = await read_history(connection, ["ada"])
        with pytest.raises(UnavailableError, match="reads the archive"):
            await run(archived)
        assert await read_history(connection, ["ada"]) == before
    assert len(await run(archived)) >= 4


async def test_busy_table_keeps_its_empty_partition_until_the_next_time(archived: AsyncEngine, completed: Make) -> None:
    await Ingest(archived).take([(0, completed(1, datetime(2023, 2, 2, tzinfo=UTC)))], GRADER, NOW)
    async with archived.connect() as reader:
        await reader.execute(text("SELECT 1 FROM activity_events"))
        async with archived.begin() as connection:
            await connection.execute(text("DELETE FROM activity_events"))
        assert not await drop_partition(archived, "activity_events", "2023-02")
    assert await run(archived) == {}
    assert await months(archived) == []


async def test_new_partition_waits_for_no_reader(archived: AsyncEngine, completed: Make) -> None:
    async def reading(connection: AsyncConnection) -> None:
        await connection.execute(text("SELECT 1 FROM activity_events"))

    async with archived.connect() as reader:
        await reading(reader)
        async with asyncio.timeout(10):
            taken = await Ingest(archived).take([(0, completed(1, datetime(2023, 2, 2, tzinfo=UTC)))], GRADER, NOW)
        await reading(reader)
    assert taken.accepted == 1


async def test_files_of_another_database_in_the_same_place_are_left_alone(
    archived: AsyncEngine, folder: Path, completed: Make
) -> None:
    await Ingest(archived).take([(0, completed(1, datetime(2023, 2, 2, tzinfo=UTC)))], GRADER, NOW)
    await run(archived)
    others = names_in(folder)
    async with archived.begin() as connection:  # a new database would have neither
        await connection.execute(text("TRUNCATE archives, archive_folder"))
    await Ingest(archived).take([(0, completed(2, datetime(2023, 2, 3, tzinfo=UTC), "bob"))], GRADER, NOW)
    assert len(await run(archived)) == 1
    assert set(others) < set(names_in(folder))


async def test_months_that_are_files_are_listed(archived: AsyncEngine, folder: Path, completed: Make) -> None:
    await Ingest(archived).take(enumerate(long_ago(completed)), GRADER, NOW)
    await run(archived)
    async with archived.connect() as connection:
        listed = await list_archives(connection)
    assert {one.month: one.rows for one in listed}["2023-04"] == 12
    assert all((folder / one.file).stat().st_size == one.bytes for one in listed)
    assert all((folder / one.file).stat().st_mode & 0o777 == 0o600 for one in listed)
