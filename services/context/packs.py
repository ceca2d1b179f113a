"""Packs that come from outside: looked through before they are trusted, then indexed and kept.

dulwich inflates every object of a pack in memory to index it. So the declared sizes are checked first, in one pass of
bounded memory; a pack that lies about them is refused as damaged.
"""

import hashlib
import mmap
import os
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from dulwich.object_format import DEFAULT_OBJECT_FORMAT
from dulwich.objects import Blob, Commit, Tag, Tree
from dulwich.pack import PackData, PackIndexer, write_pack_index

from models.errors import InvalidInputError, TooLargeError, TooLooError
from services.context.supervision import StoppedError, Supervision

OFS_DELTA, REF_DELTA = 6, 7
PLAIN_KINDS = frozenset({Commit.type_num, Tree.type_num, Blob.type_num, Tag.type_num})
_HEADER, _TRAILER = 12, 20
_CHUNK = 2**16
_CHECK_EVERY = 1_000
"""Objects between two looks at the stop flag and the clock."""

Buffer = bytes | mmap.mmap


def damaged(detail: str) -> InvalidInputError:
    """The error for bytes that are not what Git would have written."""
    return InvalidInputError(f"the repository is damaged: {detail}", code="damaged-repository")


@contextmanager
def reading_untrusted(detail: str) -> Generator[None]:
    """Parsers meet hostile bytes with whatever they stumble over; outside, that is one error."""
    try:
        yield
    except (TooLooError, StoppedError, OSError):
        raise
    except Exception as error:
        raise damaged(detail) from error


def read_varint(data: Buffer, at: int) -> tuple[int, int]:
    """A little-endian base-128 number, as deltas write sizes: (value, offset behind it)."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
        if shift > 63:  # noqa: PLR2004 no object has more than 2**63 bytes
            raise damaged("an impossible size")


def entry_header(data: Buffer, at: int) -> tuple[int, int, int]:
    """The header of a pack entry: (kind, size of what is compressed, offset of the compressed bytes)."""
    first = data[at]
    kind, size = (first >> 4) & 7, first & 15
    at += 1
    if first & 0x80:
        rest, at = read_varint(data, at)
        size |= rest << 4
    if kind == OFS_DELTA:
        while data[at] & 0x80:
            at += 1
        at += 1
    elif kind == REF_DELTA:
        at += _TRAILER
    elif kind not in PLAIN_KINDS:
        raise damaged("an object of unknown kind")
    return kind, size, at


def delta_result_size(delta: bytes) -> int:
    """Size of what a delta makes, read from its first bytes."""
    _, at = read_varint(delta, 0)
    size, _ = read_varint(delta, at)
    return size


def object_size(data: Buffer, at: int) -> int:
    """Inflated size of the object whose entry starts at `at`, found without inflating it."""
    kind, size, start = entry_header(data, at)
    if kind in PLAIN_KINDS:
        return size
    # 1 kB holds the longest Huffman tables that zlib puts before the first byte it compresses.
    return delta_result_size(zlib.decompressobj().decompress(data[start : start + 1024], 32))


def _skip_compressed(data: Buffer, at: int, size: int) -> tuple[bytes, int]:
    """Inflate `size` bytes at `at`, keeping only the first 32: (those, offset behind the compressed bytes)."""
    inflater = zlib.decompressobj()
    head, seen = b"", 0
    while not inflater.eof:
        chunk = inflater.unconsumed_tail
        if not chunk:
            chunk = data[at : min(at + _CHUNK, len(data) - _TRAILER)]
            at += len(chunk)
        piece = inflater.decompress(chunk, _CHUNK)
        seen += len(piece)
        head = head or piece[:32]
        if seen > size or not (chunk or piece):
            break
    if not inflater.eof or seen != size:
        raise damaged("an object is not as long as it says")
    return head, at - len(inflater.unused_data)


def screen(data: Buffer, object_limit: int, supervision: Supervision) -> int:
    """Look through a pack: the number of its objects. Raises TooLargeError, or InvalidInputError when damaged."""
    if data[:4] != b"PACK" or int.from_bytes(data[4:8], "big") != 2 or len(data) < _HEADER + _TRAILER:  # noqa: PLR2004
        raise damaged("not a pack of version 2")
    count = int.from_bytes(data[8:_HEADER], "big")
    at = _HEADER
    for index in range(count):
        if index % _CHECK_EVERY == 0:
            supervision.progress("screen", done=index, total=count)
        if at >= len(data) - _TRAILER:
            raise damaged("a pack holds fewer objects than it says")
        kind, size, start = entry_header(data, at)
        if size > object_limit:
            raise TooLargeError(f"the repository holds an object of {size} bytes; {object_limit} are allowed")
        head, at = _skip_compressed(data, start, size)
        if kind not in PLAIN_KINDS and (made := delta_result_size(head)) > object_limit:
            raise TooLargeError(f"the repository holds an object of {made} bytes; {object_limit} are allowed")
    if at != len(data) - _TRAILER:
        raise damaged("bytes after the last object")
    return count


def _check_trailer(data: Buffer) -> bytes:
    digest = hashlib.sha1(usedforsecurity=False)
    with memoryview(data) as view:
        digest.update(view[:-_TRAILER])
    checksum = bytes(data[-_TRAILER:])
    if digest.digest() != checksum:
        raise damaged("a pack does not match its checksum")
    return checksum


def keep_pack(pack: Path, pack_directory: Path, object_limit: int, supervision: Supervision) -> None:
    """Screen, index and move a received, self-contained pack into the store. Its index comes last: that publishes it.

    `pack` lies on the store's file system, in a folder that is emptied after a crash.
    """
    with (
        reading_untrusted("a pack cannot be read"),
        pack.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents,
    ):
        count = screen(contents, object_limit, supervision)
        checksum = _check_trailer(contents)
    if count == 0:
        return
    index = pack.with_suffix(".idx")
    with reading_untrusted("a pack cannot be indexed"):
        _write_index(pack, index, checksum, supervision)
    name = pack_directory / f"pack-{checksum.hex()}"
    pack.chmod(0o444)
    pack.rename(name.with_suffix(".pack"))
    index.rename(name.with_suffix(".idx"))


def _write_index(pack: Path, index: Path, checksum: bytes, supervision: Supervision) -> None:
    with PackData(str(pack), object_format=DEFAULT_OBJECT_FORMAT) as data, index.open("wb") as file:
        entries: list[tuple[bytes, int, int | None]] = []
        for entry in PackIndexer.for_pack_data(data):
            if len(entries) % _CHECK_EVERY == 0:
                supervision.progress("index", done=len(entries), total=len(data))
            entries.append(entry)
        entries.sort()
        write_pack_index(file, entries, checksum)
        file.flush()
        os.fsync(file.fileno())
