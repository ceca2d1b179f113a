"""Symbols of awkward sources by tables, bounds by hostile ones, and universal-ctags as the oracle where it is there."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tree_sitter import Query

from models.settings import CHECKOUT
from services.context.languages import language_of
from services.context.symbols import LANGUAGES, MAX_BYTES, Kind, Symbol, symbols_of
from services.context.symbols import grammars as loaded

# What each source defines: line, column and last line of a definition, its kind, its container (· for none), its name.
TABLES: dict[str, tuple[str, str]] = {
    "Python": (
        r"""import os
LIMIT = 3
first, second = 1, 2
if os.name:
    chosen = 1
type Pair[T] = tuple[T, T]
double = lambda x: 2 * x

@decorate(1)
class Outer(Base):
    size: int = 0

    @property
    async def name(self):
        local = 1
        def helper(): ...

    class Inner[T]:
        def run(self): pass
""",
        """2:1-2 constant · LIMIT
3:1-3 variable · first
3:8-3 variable · second
5:5-5 variable · chosen
6:6-6 type · Pair
7:1-7 function · double
10:7-19 class · Outer
11:5-11 variable Outer size
14:15-16 method Outer name
16:13-16 function Outer.name helper
18:11-19 class Outer Inner
19:13-19 method Outer.Inner run
""",
    ),
    "JavaScript": (
        r"""export const LIMIT = 3, load = async (x) => x
export default class Store extends Base {
  #size = 0
  on = () => 1
  static get size() { return 1 }
  [Symbol.iterator]() {}
}
function* walk() { const local = 1; function inner() {} }
var Old = function () {}
Old.prototype.run = function () {}
Old.prototype.go = walk
exports.made = () => {}
const api = { get() {}, "put": function () {} }
on("x", function handler() {})
""",
        """1:14-1 constant · LIMIT
1:25-1 function · load
2:22-7 class · Store
3:3-3 field Store #size
4:3-4 method Store on
5:14-5 method Store size
6:3-6 method Store [Symbol.iterator]
8:11-8 function · walk
8:46-8 function walk inner
9:5-9 function · Old
10:15-10 method Old run
11:15-11 method Old go
12:9-12 function · made
13:7-13 constant · api
13:15-13 method api get
13:26-13 method api put
14:18-14 function · handler
""",
    ),
    "TypeScript": (
        r"""export interface Shape<T> { side: number; area(): T }
export abstract class Box<T> implements Shape<T> {
  private size = 1
  abstract open(): void
  area = (): T => null!
}
declare function load(x: string): void
enum Colour { Red, Green = 2 }
type Id = string | number
namespace Inner { export const f = <T,>(x: T): T => x }
""",
        """1:18-1 interface · Shape
1:29-1 field Shape side
1:43-1 method Shape area
2:23-6 class · Box
3:11-3 field Box size
4:12-4 method Box open
5:3-5 method Box area
7:18-7 function · load
8:6-8 enum · Colour
8:15-8 constant Colour Red
8:20-8 constant Colour Green
9:6-9 type · Id
10:11-10 module · Inner
10:32-10 function Inner f
""",
    ),
    "Go": (
        r"""package a

const Limit, other = 1, 2
var (
	err error
)

type Stack[T any] struct{ items []T }
type Reader interface{ Read(p []byte) int }
type Func func()
type Alias = int

func (s *Stack[T]) Push(x T) { var local int; const c = 1 }
func (Func) Call() {}
func Map[K comparable](k K) {}
""",
        """3:7-3 constant · Limit
3:14-3 constant · other
5:2-5 variable · err
8:6-8 struct · Stack
8:27-8 field Stack items
9:6-9 interface · Reader
9:24-9 method Reader Read
10:6-10 type · Func
11:6-11 type · Alias
13:20-13 method Stack Push
14:13-14 method Func Call
15:6-15 function · Map
""",
    ),
    "Rust": (
        r"""mod inner {
    pub struct Point<T> { x: T }
    impl<T> Display for Point<T> { fn fmt(&self) { let a = 1; fn helper() {} } }
}
pub enum Shape { Round, Square(u8) }
trait Area { type Out; const ZERO: u8 = 0; fn area(&self) -> u8; }
static COUNT: u8 = 0;
type Id = u64;
union Raw { a: u8 }
macro_rules! twice { ($x:expr) => { $x } }
async unsafe fn run() {}
""",
        """1:5-4 module · inner
2:16-2 struct inner Point
2:27-2 field inner::Point x
3:39-3 method inner::Point fmt
3:66-3 function inner::Point::fmt helper
5:10-5 enum · Shape
5:18-5 constant Shape Round
5:25-5 constant Shape Square
6:7-6 trait · Area
6:19-6 type Area Out
6:30-6 constant Area ZERO
6:47-6 method Area area
7:8-7 constant · COUNT
8:6-8 type · Id
9:7-9 struct · Raw
9:13-9 field Raw a
10:14-10 macro · twice
11:17-11 function · run
""",
    ),
    "Java": (
        r"""package a;
@Marked public class Box<T> {
    static final int LIMIT = 3;
    private int a, b;
    Box() {}
    <U> U get() { int local; Runnable r = new Runnable() { public void run() {} }; return null; }
    enum Colour { RED { void paint() {} }, GREEN }
    interface Shape { int ZERO = 0; int area(); }
}
record Pair(int x) { Pair {} }
@interface Marked { String value(); }
""",
        """2:22-9 class · Box
3:22-3 constant Box LIMIT
4:17-4 field Box a
4:20-4 field Box b
5:5-5 method Box Box
6:11-6 method Box get
6:72-6 method Box.get run
7:10-7 enum Box Colour
7:19-7 constant Box.Colour RED
7:30-7 method Box.Colour.RED paint
7:44-7 constant Box.Colour GREEN
8:15-8 interface Box Shape
8:27-8 constant Box.Shape ZERO
8:41-8 method Box.Shape area
10:8-10 class · Pair
10:22-10 method Pair Pair
11:12-11 interface · Marked
11:28-11 method Marked value
""",
    ),
    "C": (
        r"""#define LIMIT 3
#define TWICE(x) \
    ((x) * 2)
typedef struct { int a; char *b[2]; } point_t;
typedef struct node { struct node *next; } node_t;
typedef int (*handler)(int);
enum colour { RED, GREEN = 2 };
union raw { int i; };
static const char *names[] = {"a"};
int declared(int a);
static int (*choose(int a))(int) { int local; return 0; }
API_EXPORT int *make(void) NOTHROW { return 0; }
struct API_EXPORT big { int (*call)(void); };
""",
        """1:9-1 macro · LIMIT
2:9-3 macro · TWICE
4:22-4 field point_t a
4:31-4 field point_t b
4:39-4 struct · point_t
5:16-5 struct · node
5:36-5 field node next
5:44-5 type · node_t
6:15-6 type · handler
7:6-7 enum · colour
7:15-7 constant colour RED
7:20-7 constant colour GREEN
8:7-8 struct · raw
8:17-8 field raw i
9:20-9 variable · names
11:14-11 function · choose
12:17-12 function · make
13:19-13 struct · big
13:31-13 field big call
""",
    ),
    "C++": (
        r"""namespace a::b {
template <typename T> class Box final : public Base<T> {
public:
  Box() = default;
  ~Box() {}
  T &get() const noexcept { return x; }
  bool operator==(const Box &o) const { return true; }
  operator bool() const { return true; }
  void later();
  struct Inner;
private:
  T x;
};
template <> struct Box<int> {};
template <typename T> void Box<T>::later() { int local; }
enum class Colour : int { Red };
using Id = unsigned;
}
class EXPORTED_API Api { int f() NOEXCEPT { return 1; } };
template <class T> concept Small = sizeof(T) < 4;
int Outer::Inner::run() { return 1; }
""",
        """1:11-18 module · a::b
2:29-13 class a::b Box
4:3-4 method a::b::Box Box
5:3-5 method a::b::Box ~Box
6:6-6 method a::b::Box get
7:8-7 method a::b::Box operator==
8:3-8 method a::b::Box operator bool
9:8-9 method a::b::Box later
12:5-12 field a::b::Box x
14:20-14 struct a::b Box
15:36-15 method a::b::Box later
16:12-16 enum a::b Colour
16:27-16 constant a::b::Colour Red
17:7-17 type a::b Id
19:20-19 class · Api
19:30-19 method Api f
20:28-20 type · Small
21:19-21 method Outer::Inner run
""",
    ),
    "Ruby": (
        r"""module A::B
  LIMIT = 3
  class Box < Base
    attr_accessor :size, :name
    def initialize(a); local = 1; end
    def self.make; end
    def ready?; end
    def ==(other); end
    class << self
      def hidden; end
    end
    define_method(:made) { 1 }
    alias old ready?
  end
end
Point = Struct.new(:x) do
  def dist; end
end
def top; end
""",
        """1:11-15 module A B
2:3-2 constant A::B LIMIT
3:9-14 class A::B Box
4:20-4 field A::B::Box size
4:27-4 field A::B::Box name
5:9-5 method A::B::Box initialize
6:14-6 method A::B::Box make
7:9-7 method A::B::Box ready?
8:9-8 method A::B::Box ==
10:11-10 method A::B::Box hidden
12:20-12 method A::B::Box made
13:11-13 method A::B::Box old
16:1-18 constant · Point
17:7-17 method Point dist
19:5-19 method · top
""",
    ),
    "Shell": (
        r"""#!/bin/bash
LIMIT=3
export PLACE=here
plain() { local x=1; y=2; }
function keyword { :; }
function both() ( inner() { :; } )
text="`which "$1"`"
name-with.dots() { cat <<EOF
not_one() { :; }
EOF
}
""",
        """2:1-2 constant · LIMIT
3:8-3 constant · PLACE
4:1-4 function · plain
5:10-5 function · keyword
6:10-6 function · both
6:19-6 function both inner
7:1-7 variable · text
8:1-11 function · name-with.dots
""",
    ),
}


def table(symbols: list[Symbol] | None) -> list[str]:
    return [f"{s.line}:{s.column}-{s.end_line} {s.kind} {s.container or '·'} {s.name}" for s in symbols or ()]


@pytest.mark.parametrize("language", TABLES)
def test_awkward_sources_define_exactly_this(language: str) -> None:
    source, expected = TABLES[language]
    assert table(symbols_of(language, source.encode())) == expected.splitlines()


def test_every_language_has_a_table_and_a_display_name() -> None:
    names = ["a.py", "a.js", "a.ts", "a.go", "a.rs", "a.java", "a.c", "a.cc", "a.rb", "a.sh"]
    assert TABLES.keys() == LANGUAGES == {language_of(name, b"").name for name in names}


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_queries_capture_kinds_and_names_only(language: str) -> None:
    grammar = loaded.grammar_of(language, b"", "")
    assert grammar
    query: Query = loaded.definitions_query(grammar)
    captures = {query.capture_name(index) for index in range(query.capture_count)}
    known = {*map(str, Kind), "name", "declarator", "container", "scope"}
    assert {name for name in captures if not name.startswith("_")} <= known


@pytest.mark.parametrize(
    ("language", "path", "source", "names"),
    [
        ("Haskell", "a.hs", "f x = x", []),
        ("Shell", "a.fish", "function a; end", []),
        ("C", "a.h", "namespace a { class B { void f(); }; }", ["a", "B", "f"]),
        ("C", "a.h", "struct b { int namespace; };", ["b", "namespace"]),
        ("TypeScript", "a.tsx", "const f = () => <A<string> b={1}>text</A>; class C {}", ["f", "C"]),
        ("TypeScript", "a.ts", "const f = <string>x; class C {}", ["f", "C"]),
        ("JavaScript", "a.jsx", "const f = () => <a>{1}</a>; class C {}", ["f", "C"]),
    ],
)
def test_paths_tell_dialects_apart(language: str, path: str, source: str, names: list[str]) -> None:
    assert [symbol.name for symbol in symbols_of(language, source.encode(), path) or ()] == names


def test_columns_count_characters_and_invalid_bytes_do_no_harm() -> None:
    source = "/* ☃é */ function ü() {}; function b() {}\r\n".encode() + b"\xff\x00\xfe function c() {}"
    found = symbols_of("JavaScript", source) or []
    assert [(each.name, each.line, each.column) for each in found] == [("ü", 1, 19), ("b", 1, 36), ("c", 2, 14)]


def test_a_source_over_the_limit_is_skipped() -> None:
    source = b"def f(): pass\n" * (MAX_BYTES // 14 + 1)
    assert symbols_of("Python", source) is None
    assert len(symbols_of("Python", source[: MAX_BYTES // 14]) or ()) > 1_000


@pytest.mark.parametrize(
    "source", [b"a = " + b"(" * 2_000 + b"1" + b")" * 2_000, b"int " + b"*" * 2_000 + b"a"], ids=["deep", "torn"]
)
def test_a_source_whose_query_would_take_long_is_skipped(source: bytes) -> None:
    assert symbols_of("Python", source) is None


@pytest.mark.parametrize(
    "source",
    [
        b"(" * 100_000 + b")" * 100_000,
        b"class A{" * 20_000,
        b"\0" * 100_000,
        b"\xff" * 100_000,
        b"<<A\n" * 20_000,
        b'"#{' * 20_000,
        b"%w[" * 200_000,
        b"int a,b,*c;" * 100_000,
        b") AAA " * 50_000,
        b"class " + b"a" * 500_000,
        b"int " + b"*" * 500_000 + b"a;",
    ],
    ids=[
        "parentheses",
        "classes",
        "nul",
        "invalid",
        "heredocs",
        "texts",
        "words",
        "declarations",
        "macros",
        "name",
        "pointers",
    ],
)
@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_hostile_sources_end(language: str, source: bytes) -> None:
    """The time limit of every test is what would tell: on a busy machine, seconds are no measure."""
    found = symbols_of(language, source)
    assert found is None or all(len(each.name) <= 1_000 for each in found)


@given(language=st.sampled_from(sorted(LANGUAGES)), source=st.binary(max_size=300))
def test_any_bytes_have_symbols_within_their_lines(language: str, source: bytes) -> None:
    _assert_inside(language, source)


@given(data=st.data(), language=st.sampled_from(sorted(LANGUAGES)))
def test_torn_sources_have_symbols_within_their_lines(data: st.DataObject, language: str) -> None:
    source = TABLES[data.draw(st.sampled_from(sorted(LANGUAGES)))][0].encode()
    start, end = sorted((data.draw(st.integers(0, len(source))), data.draw(st.integers(0, len(source)))))
    _assert_inside(language, source[:start] + data.draw(st.binary(max_size=5)) + source[end:])


def _assert_inside(language: str, source: bytes) -> None:
    lines = source.split(b"\n")
    found = symbols_of(language, source)
    assert found is not None
    for each in found:
        assert 1 <= each.line <= each.end_line <= len(lines)
        assert 1 <= each.column <= len(lines[each.line - 1]) + 1


@pytest.mark.skipif(shutil.which("ctags") is None, reason="needs universal-ctags, which nothing here installs")
def test_what_ctags_finds_in_this_checkout_is_found() -> None:
    command = [sys.executable, "-m", "benchmarks.symbols_oracle", "services", "models", "tests/unit", ".ci"]
    done = subprocess.run(command, cwd=Path(CHECKOUT), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Python" in done.stdout
