"""The index of one repository's contents: trigrams of each blob that any indexed commit has, by tantivy.

It says which blobs may match; whether they do, their text says, which is kept beside: out of a pack, it is put together
from many deltas. Trigrams are of the text without its case, so that one index serves searches with and without it.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import msgspec
import pyarrow as pa
import tantivy

from models.errors import UnavailableError
from services.context.search.patterns import GRAM, Grams
from services.context.store import DISK_FULL

_ANALYZER = "grams"
_MEMORY = 128 * 2**20
_EVERYTHING = 2**31 - 1
_TEXT, _NAMES, _EXACT, _KEY, _SYMBOLS, _CONTENT = "text", "names", "exact", "key", "symbols", "content"
_LENGTH_BYTES = 4
_ZSTD = pa.Codec("zstd", compression_level=6)
"""Twice the time of the usual level for a tenth less; reading takes the same."""


class IndexedSymbol(msgspec.Struct, array_like=True, gc=False):
    """A definition, as the index keeps it."""

    name: str
    kind: str
    line: int
    column: int
    end_line: int
    """The last line of the definition."""
    container: str
    """The names around it."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[IndexedSymbol])


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for name in (_TEXT, _NAMES):
        builder.add_text_field(name, stored=False, tokenizer_name=_ANALYZER, index_option="basic")
    builder.add_text_field(_EXACT, stored=False, tokenizer_name="raw", index_option="basic")
    builder.add_unsigned_field(_KEY, stored=False, indexed=False, fast=True)
    for name in (_SYMBOLS, _CONTENT):
        builder.add_bytes_field(name, stored=True, indexed=False, fast=False)
    return builder.build()


_SCHEMA = _schema()


def _open(path: Path) -> tantivy.Index:
    path.mkdir(parents=True, exist_ok=True)
    index = tantivy.Index(_SCHEMA, path=str(path))
    analyzer = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.ngram(GRAM, GRAM, False)).build()
    index.register_tokenizer(_ANALYZER, analyzer)
    return index


class BlobWriter:
    """Adds blobs. What was added is there after the `with` ends well, or not at all. One at a time for a folder."""

    def __init__(self, path: Path) -> None:
        with _reported():
            self._index = _open(path)
            self._writer = self._index.writer(heap_size=_MEMORY, num_threads=1)

    def __enter__(self) -> Self:
        try:
            with _reported():
                # What a failed try left behind would fill the disk, try after try.
                self._writer.garbage_collect_files()
        except BaseException:
            self._writer.wait_merging_threads()
            raise
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        with _reported():
            try:
                if failed is None:
                    self._writer.commit()
            finally:
                # Gives up tantivy's lock of the folder, whoever still holds the writer.
                self._writer.wait_merging_threads()

    def known(self) -> set[int]:
        """Keys of the blobs that are in the index."""
        searcher = self._index.searcher()
        return set(_keys(searcher, tantivy.Query.all_query()))

    def add(self, key: int, text: bytes, symbols: Sequence[IndexedSymbol]) -> None:
        """Add a blob."""
        document = tantivy.Document()
        document.add_unsigned(_KEY, key)
        document.add_text(_TEXT, text.decode("utf-8", "replace").casefold())
        document.add_bytes(_CONTENT, packed(text))
        if symbols:
            names = sorted({symbol.name.casefold() for symbol in symbols})
            document.add_text(_NAMES, "\n".join(names))
            for name in names:
                document.add_text(_EXACT, name)
            document.add_bytes(_SYMBOLS, packed(_ENCODER.encode(symbols)))
        with _reported():
            self._writer.add_document(document)


@contextmanager
def _reported() -> Generator[None]:
    """What tantivy meets while it writes, as those who wait are told it: it says no more than its text does."""
    try:
        yield
    except ValueError as error:
        if "os error" not in str(error) and "io::Error" not in str(error):
            raise
        raise UnavailableError("the index cannot be written: most likely, the disk is full", code=DISK_FULL) from error


class BlobIndex:
    """Reads an index as it is now. Shared between threads."""

    def __init__(self, path: Path) -> None:
        self._searcher = _open(path).searcher()

    @cached_property
    def _addresses(self) -> Mapping[int, Any]:
        addresses = _addresses(self._searcher, tantivy.Query.all_query())
        keys: list[Any] = self._searcher.fast_field_values(_KEY, addresses)
        return dict(zip(keys, addresses, strict=True))

    def text(self, key: int) -> bytes:
        """The text of a blob; nothing when it is not there."""
        address = self._addresses.get(key)
        raw = None if address is None else self._searcher.doc(address).get_first(_CONTENT)
        return b"" if raw is None else unpacked(bytes(raw))

    def candidates(self, grams: Grams) -> set[int] | None:
        """Keys of the blobs whose text has the trigrams; None when that excludes nothing."""
        query = _of_grams(_TEXT, grams)
        return None if query is None else set(_keys(self._searcher, query))

    def defining(self, name: str) -> set[int]:
        """Keys of the blobs that define a symbol of that name, in any case."""
        return set(_keys(self._searcher, tantivy.Query.term_query(_SCHEMA, _EXACT, name.casefold(), "basic")))

    def symbols_in(self, key: int) -> list[IndexedSymbol]:
        """All definitions in a blob, by their place."""
        address = self._addresses.get(key)
        raw = None if address is None else self._searcher.doc(address).get_first(_SYMBOLS)
        return [] if raw is None else _DECODER.decode(unpacked(bytes(raw)))

    def naming(self, grams: Grams) -> set[int] | None:
        """Keys of the blobs that define a symbol with the trigrams; None when that excludes nothing."""
        query = _of_grams(_NAMES, grams)
        return None if query is None else set(_keys(self._searcher, query))

    def symbols(self, grams: Grams) -> dict[int, list[IndexedSymbol]]:
        """All definitions in the blobs that define a symbol with the trigrams, by key."""
        addresses = _addresses(self._searcher, _of_grams(_NAMES, grams) or tantivy.Query.all_query())
        keys: list[Any] = self._searcher.fast_field_values(_KEY, addresses)
        found: dict[int, list[IndexedSymbol]] = {}
        for key, address in zip(keys, addresses, strict=True):
            raw = self._searcher.doc(address).get_first(_SYMBOLS)
            if raw is not None:
                found[key] = _DECODER.decode(unpacked(bytes(raw)))
        return found


def packed(data: bytes) -> bytes:
    """Compressed, after its length."""
    compressed: bytes = _ZSTD.compress(data, asbytes=True)
    return len(data).to_bytes(_LENGTH_BYTES, "little") + compressed


def unpacked(raw: bytes) -> bytes:
    """What was packed."""
    length = int.from_bytes(raw[:_LENGTH_BYTES], "little")
    data: bytes = _ZSTD.decompress(raw[_LENGTH_BYTES:], decompressed_size=length, asbytes=True)
    return data


def _of_grams(field: str, alternatives: Grams) -> tantivy.Query | None:
    if not all(alternatives):
        return None
    parts = [
        _joined([tantivy.Query.term_query(_SCHEMA, field, gram, "basic") for gram in sorted(grams)], tantivy.Occur.Must)
        for grams in alternatives
    ]
    return _joined(parts, tantivy.Occur.Should)


def _joined(queries: Sequence[Any], occur: Any) -> tantivy.Query | None:
    if len(queries) <= 1:
        return queries[0] if queries else None
    return tantivy.Query.boolean_query([(occur, query) for query in queries])


def _addresses(searcher: tantivy.Searcher, query: tantivy.Query) -> list[Any]:
    limit = min(max(searcher.num_docs, 1), _EVERYTHING)
    unscored = tantivy.Query.const_score_query(query, 1.0)
    return [address for _, address in searcher.search(unscored, limit=limit, count=False).hits]


def _keys(searcher: tantivy.Searcher, query: tantivy.Query) -> list[Any]:
    return searcher.fast_field_values(_KEY, _addresses(searcher, query))
