"""Months of a table as Parquet files: sorted rows in small groups, so that those of one key are found by reading few.

Blocking: callers on an event loop use threads.
"""

import os
from bisect import bisect_left
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from hashlib import file_digest
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import BigInteger, Boolean, DateTime, Integer, String, Table, TextClause
from sqlalchemy.dialects.postgresql import JSONB, UUID

from models.errors import UnavailableError

WHOLE, PART = ".parquet", ".part"
DAMAGED = "archive-damaged"
"""The code of the error about a file that is missing or was changed."""
_GROUP_ROWS = 4_000
_GROUP_CHARACTERS = 8_000_000
_COMPUTE: Any = pc  # its functions are made when it is imported: no type checker sees them
_TYPES: Mapping[Any, Any] = MappingProxyType(
    {
        String: pa.string(),
        UUID: pa.string(),
        JSONB: pa.string(),  # as PostgreSQL writes it: nothing is lost to another's idea of numbers
        DateTime: pa.timestamp("us", tz="UTC"),
        Integer: pa.int32(),
        BigInteger: pa.int64(),
        Boolean: pa.bool_(),
    }
)

StoredRow = tuple[Any, ...]
"""Values in the order of the table's columns; JSON is text."""


@dataclass(frozen=True)
class ArchivedTable:
    """A table that is partitioned by month, and how its old months become files."""

    table: Table
    key: str
    """Rows of one key are read and erased together."""
    time: str
    """What it is partitioned by."""
    order: tuple[str, ...]
    """What rows of a file are sorted by; the key comes first. Text is compared by its bytes."""
    erased: TextClause
    """Gives keys whose rows may still be in files and count as gone."""

    @property
    def name(self) -> str:
        """The table's name."""
        return self.table.name

    @cached_property
    def schema(self) -> Any:
        """The columns as Arrow knows them."""
        fields = [pa.field(one.name, _TYPES[type(one.type)], nullable=bool(one.nullable)) for one in self.table.columns]
        return pa.schema(fields)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names in the order of the values of a row."""
        return tuple(column.name for column in self.table.columns)

    def places(self, names: Iterable[str]) -> tuple[int, ...]:
        """Where the values of some columns stand in a row."""
        return tuple(self.columns.index(name) for name in names)


@dataclass(frozen=True)
class ArchiveFile:
    """A file as the database names it."""

    month: str
    name: str
    """From the archive's folder: `<folder of the database>/<month>.<hash>.parquet`."""
    rows: int
    bytes: int
    sha256: str


class FileWriter:
    """Writes sorted rows to a file that has its name only when it is whole and was read back."""

    def __init__(self, archived: ArchivedTable, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._archived, self._folder = archived, folder
        self._path = folder / f"{uuid4().hex}{PART}"
        self._path.touch(mode=0o600)
        self._writer: Any = pq.ParquetWriter(
            self._path, archived.schema, compression="zstd", write_page_checksum=True, version="2.6"
        )
        self._held, self._characters = list[StoredRow](), 0
        self._written = 0

    @property
    def taken(self) -> int:
        """How many rows it has got."""
        return self._written + len(self._held)

    def add(self, rows: Iterable[StoredRow]) -> None:
        """Take rows that come next."""
        for row in rows:
            self._held.append(row)
            self._characters += sum(len(value) for value in row if isinstance(value, str))
            if len(self._held) >= _GROUP_ROWS or self._characters >= _GROUP_CHARACTERS:
                self._flush()

    def finish(self, month: str) -> ArchiveFile:
        """Make it a file of the month, on disk for good."""
        self._flush()
        self._writer.close()
        with self._path.open("rb+") as file:
            os.fsync(file.fileno())
            sha256 = file_digest(file, "sha256").hexdigest()
        with _opened(self._path) as parquet:
            found = sum(parquet.read_row_group(group).num_rows for group in range(parquet.num_row_groups))
        if found != self._written:
            raise OSError(f"{self._path}: {self._written} rows were written and {found} are there")
        made = ArchiveFile(
            month, f"{self._folder.name}/{month}.{sha256[:16]}{WHOLE}", found, self._path.stat().st_size, sha256
        )
        self._path.replace(self._folder.parent / made.name)
        _sync_folder(self._folder)
        return made

    def discard(self) -> None:
        """Leave nothing of what was not finished."""
        self._writer.close()
        self._path.unlink(missing_ok=True)

    def _flush(self) -> None:
        if self._held:
            values = [pa.array(column, field.type) for column, field in self._columns()]
            self._writer.write_table(pa.Table.from_arrays(values, schema=self._archived.schema))
            self._written += len(self._held)
            self._held, self._characters = [], 0

    def _columns(self) -> Iterator[tuple[Any, Any]]:
        return zip(zip(*self._held, strict=True), self._archived.schema, strict=True)


def read_groups(archived: ArchivedTable, archive: Path, file: ArchiveFile) -> Iterator[list[StoredRow]]:
    """All rows of a file, in their order, group by group. Raises UnavailableError when it is not what was written."""
    with _telling_damage(file):
        _check(archived, archive, file)
        with _opened(archive / file.name) as parquet:
            for group in range(parquet.num_row_groups):
                yield _rows_of(parquet.read_row_group(group))


def read_keys(archived: ArchivedTable, archive: Path, file: ArchiveFile, keys: Sequence[str]) -> list[StoredRow]:
    """Rows of some keys, in their order. Raises UnavailableError when the file is not what was written."""
    wanted, rows = sorted(keys), list[StoredRow]()
    with _telling_damage(file):
        ranges = _check(archived, archive, file)
        groups = [place for place, (first, last) in enumerate(ranges) if _any_between(wanted, first, last)]
        if groups:
            with _opened(archive / file.name) as parquet:
                for group in groups:
                    found = parquet.read_row_group(group)
                    rows += _rows_of(found.filter(_COMPUTE.is_in(found[archived.key], value_set=pa.array(wanted))))
    return rows


def keys_between(
    archived: ArchivedTable, archive: Path, file: ArchiveFile, first: datetime | None, after: datetime | None
) -> set[str]:
    """Keys that have a row from `first` on and before `after`. Raises UnavailableError as the others."""
    found = set[str]()
    with _telling_damage(file):
        _check(archived, archive, file)
        with _opened(archive / file.name) as parquet:
            for group in range(parquet.num_row_groups):
                rows = parquet.read_row_group(group, columns=[archived.key, archived.time])
                for compare, limit in ((_COMPUTE.greater_equal, first), (_COMPUTE.less, after)):
                    if limit is not None:
                        rows = rows.filter(compare(rows[archived.time], pa.scalar(limit, rows[archived.time].type)))
                found.update(rows[archived.key].unique().to_pylist())
    return found


def remove_strays(folder: Path, named: Iterable[str]) -> int:
    """Remove files of ours that nobody names; how many there were. Nobody may be writing here meanwhile."""
    kept = {folder.parent / name for name in named}
    strays = [file for file in folder.glob("*") if file.suffix in {WHOLE, PART} and file not in kept]
    for file in strays:
        file.unlink(missing_ok=True)
    return len(strays)


def _check(archived: ArchivedTable, archive: Path, file: ArchiveFile) -> tuple[tuple[str, str], ...]:
    """Compare the whole file with its hash; the first and last key of each group of its rows."""
    path = archive / file.name
    now = path.stat()
    return _checked_ranges(str(path), file.sha256, archived.key, now.st_size, now.st_mtime_ns, now.st_ino)


@lru_cache(maxsize=4_096)
def _checked_ranges(path: str, sha256: str, key: str, *_state: int) -> tuple[tuple[str, str], ...]:
    """Once for each state of the file; what is read later has the checksums of its pages."""
    with Path(path).open("rb") as file:
        if file_digest(file, "sha256").hexdigest() != sha256:
            raise OSError("it is not what was written")
    with _opened(Path(path)) as parquet:
        place = parquet.schema_arrow.names.index(key)
        groups = [parquet.metadata.row_group(group).column(place) for group in range(parquet.num_row_groups)]
        return tuple((group.statistics.min, group.statistics.max) for group in groups)


def _rows_of(table: Any) -> list[StoredRow]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _any_between(wanted: Sequence[str], first: str, last: str) -> bool:
    place = bisect_left(wanted, first)
    return place < len(wanted) and wanted[place] <= last


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    with pq.ParquetFile(path, page_checksum_verification=True) as parquet:
        yield parquet


@contextmanager
def _telling_damage(file: ArchiveFile) -> Generator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        state = "missing" if isinstance(error, FileNotFoundError) else "damaged"
        raise UnavailableError(
            f"The archive file {file.name} is {state}. Put it back from a backup into the folder that "
            f"TOOLOO_ARCHIVE_DIRECTORY names; it has {file.bytes} bytes and the SHA-256 {file.sha256}.",
            code=DAMAGED,
        ) from error


def _sync_folder(folder: Path) -> None:
    """Names are on disk only when their folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
