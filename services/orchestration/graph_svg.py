"""A DAG as SVG: one file that needs no other, readable in light and dark, by eye and by screen reader."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from models.graphs import EdgeKind, EdgeState, Graph, GraphNode, StepKind
from services.orchestration.graph_blocks import Blocks, group_twins
from services.orchestration.graph_cards import (
    BETWEEN_IN_CHAIN,
    LABEL_SIZE,
    Card,
    Grid,
    card_of,
    grid_of,
)
from services.orchestration.graph_layout import Layout, Line, lay_out
from services.orchestration.graph_text import width
from services.orchestration.graph_wording import (
    ON_FAILURE,
    Words,
    describe,
    headline,
    side_by_side,
    status_counts,
    words_of,
)

_TITLE_SIZE = 18.0
_MARGIN = 28
_HEADER = 92
_LEGEND = 26
_ICON_ROOM = 24
_BETWEEN_KEYS = 22
_SAMPLE = 30
"""Length of a line in the legend."""
_NEARLY_STRAIGHT = 4
"""Pixels sideways for which an S would look like a mistake."""
_TIP = "l-3.6-7h7.2z"
"""An arrow head from its point: every line ends straight down."""
_TIP_LENGTH = 5
_WORDS = {EdgeKind.DATA: "reads a result", EdgeKind.ORDER: "order only"}
_STATE_WORDS = {EdgeState.NOT_TAKEN: "not taken", EdgeState.UNREACHED: "not reached"}
_FRAME_PADDING = 18
_BEFORE_FRAME = 64
"""Height between the steps and the frame of those that run on failure."""
_UNDER_STEPS = 22
"""How far below the steps the line begins that leads to that frame."""


@dataclass(frozen=True)
class Group:
    """The frame around twins."""

    x: float
    y: float
    width: float
    height: float
    caption: str


@dataclass(frozen=True)
class Strokes:
    """Path data of the lines by class, and of their arrow heads by state."""

    paths: dict[str, str]
    tips: dict[str, str]


@dataclass(frozen=True)
class Part:
    """One of the two graphs of a definition: its steps, or those that run on failure."""

    left: float
    top: float
    outer: Strokes
    groups: tuple[Group, ...]
    inner: Strokes
    cards: list[Card]


@dataclass(frozen=True)
class Frame:
    """The frame around the steps that run on failure, and the line that leads there."""

    group: Group
    line: str
    tip: str
    caption_x: float
    caption_y: float


@dataclass(frozen=True)
class Key:
    """An entry of the legend."""

    x: float
    name: str
    text: str
    line: str = ""
    """Classes of a line; empty for a status."""
    tip: str = ""


@dataclass(frozen=True)
class _Drawn:
    """One of the graphs, laid out."""

    nodes: Sequence[GraphNode]
    blocks: Blocks
    layout: Layout

    def part(self, grid: Grid, words: Mapping[str, Words], left: float, top: float) -> Part:
        """At a place. `words`: of each step."""
        cards, inner = _cards(self, grid, words)
        groups = tuple(_groups(self.blocks, self.layout, grid))
        return Part(_px(left), _px(top), _strokes(self.layout.lines), groups, _strokes(inner), cards)


def svg(graph: Graph) -> str:
    """The drawing. Raises graphlib.CycleError when the graph is no DAG."""
    words = {node.id: words_of(node) for node in graph.nodes}
    grid = grid_of(graph.nodes, words)
    steps, handlers = (_lay_out(graph, grid, on_failure=which) for which in (False, True))
    title, subtitle = headline(graph)
    legend, legend_width = _legend(graph)
    framed = handlers.layout.width + 2 * _FRAME_PADDING if handlers.nodes else 0.0
    drawn = max(steps.layout.width, framed)
    wide = max(drawn, width(title, _TITLE_SIZE), width(subtitle, LABEL_SIZE), legend_width)
    middle = wide / 2 + _MARGIN
    top = _HEADER + (_LEGEND if legend else 0)
    parts = [steps.part(grid, words, middle - steps.layout.width / 2, top)]
    bottom = top + steps.layout.height
    frame = None
    if handlers.nodes:
        frame = _frame(handlers.layout, middle, bottom, steps.layout.width)
        below = frame.group.y + _FRAME_PADDING
        parts.append(handlers.part(grid, words, middle - handlers.layout.width / 2, below))
        bottom = frame.group.y + frame.group.height
    return _template().render(
        width=ceil(wide + 2 * _MARGIN),
        height=ceil(bottom + _MARGIN),
        margin=_MARGIN,
        title=title,
        subtitle=subtitle,
        description=describe(graph),
        legend=legend,
        kinds=sorted({node.kind.value for node in graph.nodes if node.kind is not StepKind.ACTION}),
        parts=parts,
        frame=frame,
        grid=grid,
    )


def _lay_out(graph: Graph, grid: Grid, *, on_failure: bool) -> _Drawn:
    nodes = tuple(node for node in graph.nodes if node.on_failure is on_failure)
    if len(nodes) < len(graph.nodes):
        ids = {node.id for node in nodes}
        edges = tuple(edge for edge in graph.edges if edge.source in ids and edge.target in ids)
        graph = graph.model_copy(update={"nodes": nodes, "edges": edges})
    blocks = group_twins(graph)
    return _Drawn(nodes, blocks, lay_out([grid.box(chains) for chains in blocks.members], blocks.edges))


def _frame(layout: Layout, middle: float, bottom: float, steps_width: float) -> Frame:
    across = layout.width + 2 * _FRAME_PADDING
    top = bottom + _BEFORE_FRAME
    high = layout.height + 2 * _FRAME_PADDING
    group = Group(_px(middle - across / 2), _px(top), _px(across), _px(high), ON_FAILURE)
    start, half = bottom + _UNDER_STEPS, steps_width / 2
    bracket = f"M{middle - half:.1f} {start - 8:.1f}v8H{middle + half:.1f}v-8"
    line = f"{bracket}M{middle:.1f} {start:.1f}V{top - _TIP_LENGTH:.1f}"
    tip = f"M{middle:.1f} {top:.1f}{_TIP}"
    return Frame(group, line, tip, _px(middle + 10), _px((start + top) / 2 + 4))


def _groups(blocks: Blocks, layout: Layout, grid: Grid) -> Iterable[Group]:
    for chains, place in zip(blocks.members, layout.places, strict=True):
        if len(chains) > 1:
            box = grid.box(chains)
            yield Group(
                _px(place.x - box.width / 2),
                _px(place.top),
                box.width,
                box.height,
                side_by_side(chains),
            )


def _cards(drawn: _Drawn, grid: Grid, words: Mapping[str, Words]) -> tuple[list[Card], list[Line]]:
    """All cards, and the lines between those of one chain."""
    cards: list[Card] = []
    lines: list[Line] = []
    for chains, place in zip(drawn.blocks.members, drawn.layout.places, strict=True):
        before = -1
        left = place.x - grid.box(chains).width / 2
        for step, x, y in grid.corners(chains, left, place.top):
            node = drawn.nodes[step]
            cards.append(card_of(node, words[node.id], _px(x), _px(y), grid))
            if kind := drawn.blocks.kinds.get((before, step)):
                middle = x + grid.width / 2
                lines.append(Line(kind, True, middle, y - BETWEEN_IN_CHAIN, y, y, middle, y))
            before = step
    return cards, lines


def _strokes(lines: Iterable[Line]) -> Strokes:
    """Few elements, however many lines: browsers draw one long path faster than thousands of short ones.

    What a run has gone along is drawn last, over what it has not.
    """
    paths: dict[str, list[str]] = {}
    tips: dict[str, list[str]] = {}
    for line in lines:
        paths.setdefault(line.kind, []).append(_path(line))
        if line.arrow:
            state = line.kind.partition(" ")[2]
            tips.setdefault(state, []).append(f"M{line.to_x:.1f} {line.bottom:.1f}{_TIP}")
    return Strokes(
        {kind: "".join(paths[kind]) for kind in sorted(paths, key=lambda kind: (kind.endswith(" taken"), kind))},
        {state: "".join(tips[state]) for state in sorted(tips, key=lambda state: (state == "taken", state))},
    )


def _path(line: Line) -> str:
    """Down, over in an S, down."""
    bottom = line.bottom - (_TIP_LENGTH if line.arrow else 0)
    start = f"M{line.x:.1f} {line.top:.1f}"
    if abs(line.x - line.to_x) < _NEARLY_STRAIGHT:
        return f"{start}L{line.to_x:.1f} {bottom:.1f}"
    middle = (line.leave + line.enter) / 2
    over = f"C{line.x:.1f} {middle:.1f} {line.to_x:.1f} {middle:.1f} {line.to_x:.1f} {line.enter:.1f}"
    return f"{start}V{line.leave:.1f}{over}V{bottom:.1f}"


def _legend(graph: Graph) -> tuple[list[Key], float]:
    """The statuses that occur, with their numbers; the kinds of lines where there are two; how wide all that is."""
    keys: list[Key] = []
    x = 0.0
    for status, count in status_counts(graph).items():
        text = f"{count:,} {status.value}"
        keys.append(Key(_px(x), status.value, text))
        x += _ICON_ROOM + width(text, LABEL_SIZE) + _BETWEEN_KEYS
    for classes, text in _line_keys(graph):
        kind, _, state = classes.partition(" ")
        keys.append(Key(_px(x), kind, text, f"line {classes}", f"tip {state}".rstrip()))
        x += _SAMPLE + 8 + width(text, LABEL_SIZE) + _BETWEEN_KEYS
    return keys, max(0.0, x - _BETWEEN_KEYS)


def _line_keys(graph: Graph) -> Iterator[tuple[str, str]]:
    if any(edge.kind is EdgeKind.ORDER for edge in graph.edges):
        yield from ((kind.value, _WORDS[kind]) for kind in EdgeKind)
    states = {edge.state for edge in graph.edges}
    yield from ((f"data {state.value}", words) for state, words in _STATE_WORDS.items() if state in states)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("services.orchestration"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("graph.svg.j2")


def _px(value: float) -> float:
    return round(value, 1)
