"""Where names stand as identifiers: a table per language, hostile sources, and what holds of any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_symbols import TABLES

from services.context.symbols import LANGUAGES, symbols_of
from services.context.symbols.references import family_of, identifier_at, places_of, word_at, words_of

# Sources in which `«name»` marks what stands there as an identifier; what is called so elsewhere does not.
MARKED: dict[str, tuple[str, str]] = {
    "Python": (
        "name",
        '''# name
import «name».other as x
from x import «name»
def «name»(«name», *, other_name=1, namespace=2) -> "name":
    """name"""
    return f"name {«name»!r}" + other.«name»(«name»=«name»["name"]) + renamed
@«name»
class X(«name»): «name»: int = 1
''',
    ),
    "JavaScript": (
        "name",
        r"""// name
import { «name», x as other } from "name"
/* name */ const { «name», a: «name» } = this.«name», re = /name/
class A { «name»() { return `name ${«name»}` } #name = 1 }
const o = { «name»: 1, «name», "name": 2 }; nameless(<«name» «name»="name">name {«name»}</«name»>)
""",
    ),
    "TypeScript": (
        "Name",
        """// Name
import type { «Name» } from './Name'
interface «Name»<T> { Named: T; «Name»(a: «Name»<string>): «Name».Inner }
enum Colour { «Name» = "Name" }
namespace «Name» { export const x = <«Name»>y as «Name» }
""",
    ),
    "Go": (
        "name",
        """package «name»
// name
import «name» "x/name"
type «name» struct { «name» int `name` }
func (n *«name») «name»(«name» map[string]«name») { x.«name» = «name»{«name»: 1}; renamed("name") }
func g() { «name»: for { break «name» } }
""",
    ),
    "Rust": (
        "name",
        """// name
/// name
use x::«name»::{self, «name» as other};
struct A<'«name»> { «name»: B } impl «name» { fn «name»(&self) -> «name» { self.«name».«name»(A { «name» }) } }
fn f() { println!("name {}", «name»); let s = r"name"; rename() }
macro_rules! «name» { ($«name»:expr) => { «name» } }
""".replace("$«name»", "$other"),
    ),
    "Java": (
        "name",
        """package x.«name»; // name
import x.«name».Other;
@«name» class A<«name»> extends «name» { «name» «name» = this.«name»("name", Other::«name»); int names; /* name */ }
""",
    ),
    "C": (
        "name",
        """#include "name"
#define «name» 1
/* name */ struct «name» { int «name»; }; typedef int «name»;
static «name» *f(struct «name» *n) { n->«name» = «name»("name", 'n'); goto «name»; «name»: return sizeof(«name»); }
""",
    ),
    "C++": (
        "name",
        """// name
namespace «name» { template <typename «name»> class A : «name»::B { «name»() {} ~«name»() {} int «name»{}; }; }
int «name»::f() { return x.«name»<int>() + «name»::y("name", R"(name)"); } using «name» = int;
""",
    ),
    "Ruby": (
        "name",
        """# name
class A
  attr_accessor :«name»
  def «name»(«name», other: 1) = self.«name»("name #{«name»}", «name»: :«name»)
  def self.«name»; @name = names; alias other «name»; end
end
""",
    ),
    "Shell": (
        "name",
        """#!/bin/bash
# name
«name»() { local «name»=name; echo name "$«name» name" '$name' ${«name»:-x}; }
«name» --name | xargs «name»
x=$(«name» name) y=`«name»`
""".replace("xargs «name»", "xargs name"),
    ),
}
CAPITALS = ("API_EXPORT", "class «API_EXPORT» A { int f() «API_EXPORT»; }; // API_EXPORT\n")
"""Macros are taken out of what the grammar reads: they are names nevertheless."""


def marks(marked: str) -> tuple[bytes, list[int]]:
    """A source, and the bytes at which marked names begin."""
    source, places = b"", list[int]()
    for number, part in enumerate(marked.split("«")):
        if number:
            places.append(len(source))
        source += part.replace("»", "").encode()
    return source, places


@pytest.mark.parametrize(
    ("language", "name", "marked"),
    [*((language, *row) for language, row in MARKED.items()), ("C++", *CAPITALS)],
    ids=[*MARKED, "macros"],
)
def test_identifiers_and_nothing_else_are_occurrences(language: str, name: str, marked: str) -> None:
    source, places = marks(marked)
    found = places_of(language, source, "", name)
    assert found is not None
    lines = [(source.count(b"\n", 0, at) + 1, at - source.rfind(b"\n", 0, at)) for at in set(found) ^ set(places)]
    assert not lines, f"wrong or missing at {sorted(lines)}"
    assert {identifier_at(language, source, "", at) for at in places} == {name}
    assert name not in {identifier_at(language, source, "", at) for at in {*words_of(source, name)} - {*places}}


def test_every_language_has_a_table() -> None:
    assert MARKED.keys() == LANGUAGES


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_definitions_are_occurrences(language: str) -> None:
    """Of names that are one identifier: operators, texts and qualified names are none."""
    source = TABLES[language][0].encode()
    starts = [0, *(at + 1 for at, byte in enumerate(source) if byte == ord("\n"))]
    for symbol in symbols_of(language, source) or ():
        at = starts[symbol.line - 1] + symbol.column - 1
        is_one = identifier_at(language, source, "", at) == symbol.name
        assert not is_one or at in (places_of(language, source, "", symbol.name) or ()), symbol
        assert is_one or not symbol.name.isidentifier() or source[at - 1 : at] == b'"', symbol


@pytest.mark.parametrize(
    ("language", "path", "source"),
    [("TypeScript", "a.tsx", "const a = <name>{name}</name>"), ("C", "a.h", "class name { name(); };")],
)
def test_paths_tell_dialects_apart(language: str, path: str, source: str) -> None:
    assert places_of(language, source.encode(), path, "name") == words_of(source.encode(), "name")


def test_places_are_bytes_and_names_are_whole() -> None:
    source = "ü = 'ü'; üb = aü; b.ü\xff".encode() + b"\xff\x00 ; \xc3\xbc".replace(b"\x00", b"")
    assert (places_of("JavaScript", source, "", "ü") or [])[0] == 0
    assert identifier_at("JavaScript", "x = größe".encode(), "", 7) == "größe"
    assert word_at("x größe y".encode(), 5) == "größe"
    assert word_at(b"a b", 1) == word_at(b"a", 1) == ""


def test_languages_without_a_grammar_have_no_identifiers() -> None:
    assert places_of("Haskell", b"f x = x", "", "x") == []
    assert identifier_at("Haskell", b"f x = x", "", 0) == ""


@pytest.mark.parametrize("source", [b"a = " + b"(" * 2_000 + b"1" + b")" * 2_000, b"a\n" * 200_000, b"a," * 400_000])
@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_hostile_sources_end(language: str, source: bytes) -> None:
    """Their words are known all the same. The time limit of every test is what would tell."""
    found = places_of(language, source, "", "a")
    assert found is None or set(found) <= set(words_of(source, "a"))


def test_families_share_names() -> None:
    assert family_of("C") == family_of("C++") == {"C", "C++"}
    assert family_of("TypeScript") == family_of("JavaScript") == {"JavaScript", "TypeScript"}
    assert family_of("Ruby") == {"Ruby"}


@given(data=st.data(), language=st.sampled_from(sorted(LANGUAGES)))
def test_every_occurrence_is_where_the_name_stands(data: st.DataObject, language: str) -> None:
    name = data.draw(st.sampled_from(["name", "Name", "a", "x", "LIMIT", "#size", "ready?", "==", "ü"]))
    source = marks(MARKED[data.draw(st.sampled_from(sorted(LANGUAGES)))][1])[0]
    start, end = sorted((data.draw(st.integers(0, len(source))), data.draw(st.integers(0, len(source)))))
    torn = source[:start] + data.draw(st.binary(max_size=5) | st.just(name.encode())) + source[end:]
    found = places_of(language, torn, "", name)
    assert found is not None
    assert found == sorted(set(found))
    for at in found:
        assert torn[at:].startswith(name.encode())
        assert identifier_at(language, torn, "", at) == name


@given(source=st.binary(max_size=300), data=st.data(), language=st.sampled_from(sorted(LANGUAGES)))
def test_an_identifier_has_an_occurrence_around_its_place(source: bytes, data: st.DataObject, language: str) -> None:
    place = data.draw(st.integers(0, len(source)))
    name = identifier_at(language, source, "", place)
    assert name is not None
    if name and "\ufffd" not in name:
        found = places_of(language, source, "", name) or ()
        colon = {at: source[at - 1 : at] == b":" for at in found}  # before a Ruby symbol
        assert any(at - colon[at] <= place < at + len(name.encode()) for at in found)
