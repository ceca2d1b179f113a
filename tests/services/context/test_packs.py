import contextlib
import hashlib
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInputError, TooLargeError, TooLooError
from services.context.packs import keep_pack, screen
from services.context.supervision import Supervision


def supervision() -> Supervision:
    """Its time runs from now: one that is made at import has run out before its test begins."""
    return Supervision(seconds=60, report=lambda _: None)


def entry(kind: int, size: int, data: bytes) -> bytes:
    first, size = (kind << 4) | (size & 15), size >> 4
    header = bytearray()
    while size:
        header.append(first | 0x80)
        first, size = size & 0x7F, size >> 7
    header.append(first)
    return bytes(header) + zlib.compress(data)


def pack(*entries: bytes, count: int | None = None) -> bytes:
    body = b"PACK" + (2).to_bytes(4, "big") + (len(entries) if count is None else count).to_bytes(4, "big")
    body += b"".join(entries)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def kept(data: bytes, folder: Path, limit: int = 1000) -> list[str]:
    (folder / "kept").mkdir()
    (folder / "received.pack").write_bytes(data)
    keep_pack(folder / "received.pack", folder / "kept", limit, supervision())
    return sorted(path.suffix for path in (folder / "kept").iterdir())


def test_a_sound_pack_is_kept_with_its_index(tmp_path: Path) -> None:
    assert kept(pack(entry(3, 5, b"hello")), tmp_path) == [".idx", ".pack"]


def test_an_object_over_the_limit_is_refused_by_its_declared_size(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError):
        kept(pack(entry(3, 5_000, b"x" * 5_000)), tmp_path)


def test_a_bomb_that_declares_a_small_size_is_refused_without_inflating_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as refused:
        kept(pack(entry(3, 10, bytes(50_000_000))), tmp_path)
    assert refused.value.code == "damaged-repository"


def test_a_delta_that_would_make_a_huge_object_is_refused(tmp_path: Path) -> None:
    base = entry(3, 5, b"hello")
    delta = bytes([5]) + bytes([0x80 | 0, 0x80 | 0, 0x80 | 0, 0x80 | 0, 1]) + b"\x90\x05"
    header = bytes([(6 << 4) | len(delta), len(base)])
    with pytest.raises(TooLargeError):
        kept(pack(base, header + zlib.compress(delta)), tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PACK",
        b"JUNK" + bytes(40),
        pack(entry(3, 5, b"hello"), count=9),
        pack(entry(3, 5, b"hello"), entry(3, 5, b"world"), count=1),
        pack(entry(5, 5, b"hello")),
        pack(entry(3, 5, b"hello"))[:-1] + b"\0",
        pack(entry(3, 5, b"hello"))[:-30],
        pack(bytes([(7 << 4) | 3]) + bytes(20) + zlib.compress(b"\x05\x05\x90")),
        pack(b"\xb5" + b"\xff" * 40),
    ],
)
def test_a_damaged_pack_is_refused_and_nothing_kept(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InvalidInputError) as refused:
        kept(data, tmp_path)
    assert refused.value.code == "damaged-repository"
    assert list((tmp_path / "kept").iterdir()) == []


@given(st.binary(max_size=200), st.integers(0, 5))
def test_screening_ends_with_a_count_or_a_known_error(noise: bytes, count: int) -> None:
    # keep_pack turns the parsers' own two errors into damage.
    with contextlib.suppress(TooLooError, IndexError, zlib.error):
        assert screen(pack(noise, count=count), 1000, supervision()) == count
