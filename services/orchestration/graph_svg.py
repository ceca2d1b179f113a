"""A DAG as SVG: one file that needs no other, readable in light and dark, by eye and by screen reader."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, sqrt

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from models.graphs import EdgeKind, Graph, GraphNode
from services.orchestration.graph_blocks import Blocks, Chain, group_twins
from services.orchestration.graph_layout import Box, Layout, Line, lay_out
from services.orchestration.graph_text import cut_middle, fit, plain, width
from services.orchestration.graph_wording import describe, headline, outcome, side_by_side, status_counts, tooltip

_LABEL_SIZE = 13.0
_SMALL_SIZE = 11.0
_TITLE_SIZE = 18.0
_LINE = 16
_PADDING = 13
_ICON_ROOM = 24
"""What a symbol takes from a box's lines."""
_NARROWEST = 124.0
_WIDEST = 236.0
_BETWEEN_TWINS = 14
_BETWEEN_CHAINS = 46
_IN_CHAIN = 30
"""Between the cards of a chain within a group."""
_GROUP_PADDING = 16
_GROUP_CAPTION = 20
_GROUP_SHAPE = 1.6
"""Width by height of a group of twins."""
_MARGIN = 28
_HEADER = 92
_LEGEND = 26
_BETWEEN_KEYS = 22
_SAMPLE = 30
"""Length of a line in the legend."""
_NEARLY_STRAIGHT = 4
"""Pixels sideways for which an S would look like a mistake."""
_TIP = "l-3.6-7h7.2z"
"""An arrow head from its point: every line ends straight down."""
_TIP_LENGTH = 5
_WORDS = {EdgeKind.DATA: "reads a result", EdgeKind.ORDER: "order only"}


@dataclass(frozen=True)
class Card:
    """A step as a box; places are of its upper left corner."""

    x: float
    y: float
    status: str
    tooltip: str
    label: str
    action: str
    outcome: str


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
    """Path data of the lines by kind, and of their arrow heads."""

    paths: dict[str, str]
    tips: str


@dataclass(frozen=True)
class Key:
    """An entry of the legend."""

    x: float
    name: str
    text: str


@dataclass(frozen=True)
class _Grid:
    """How the cards of one graph are sized and set into groups."""

    width: float
    height: float

    def columns(self, chains: Sequence[Chain]) -> int:
        """Chains in each row of a group."""
        shape = _GROUP_SHAPE * self.chain_height(chains) / self.width
        return min(len(chains), ceil(sqrt(len(chains) * shape)))

    def chain_height(self, chains: Sequence[Chain]) -> float:
        """Chains of a group are equally long."""
        return len(chains[0]) * (self.height + _IN_CHAIN) - _IN_CHAIN

    def between_rows(self, chains: Sequence[Chain]) -> int:
        """Rows of chains keep further apart than the steps of a chain, lest they seem to go on."""
        return _BETWEEN_TWINS if len(chains[0]) == 1 else _BETWEEN_CHAINS

    def box(self, chains: Sequence[Chain]) -> Box:
        """The size of a block."""
        if len(chains) == 1:
            return Box(self.width, self.height)
        columns = self.columns(chains)
        rows = ceil(len(chains) / columns)
        between = self.between_rows(chains)
        return Box(
            columns * (self.width + _BETWEEN_TWINS) - _BETWEEN_TWINS + 2 * _GROUP_PADDING,
            rows * (self.chain_height(chains) + between) - between + 2 * _GROUP_PADDING + _GROUP_CAPTION,
        )

    def corners(self, chains: Sequence[Chain], left: float, top: float) -> Iterable[tuple[int, float, float]]:
        """Every step of a block with the corner of its card; `left` and `top` are the block's."""
        if len(chains) > 1:
            left, top = left + _GROUP_PADDING, top + _GROUP_PADDING + _GROUP_CAPTION
        columns = self.columns(chains)
        for index, chain in enumerate(chains):
            x = left + index % columns * (self.width + _BETWEEN_TWINS)
            y = top + index // columns * (self.chain_height(chains) + self.between_rows(chains))
            for depth, step in enumerate(chain):
                yield step, x, y + depth * (self.height + _IN_CHAIN)


def svg(graph: Graph) -> str:
    """The drawing. Raises graphlib.CycleError when the graph is no DAG."""
    blocks = group_twins(graph)
    grid = _grid(graph.nodes)
    layout = lay_out([grid.box(chains) for chains in blocks.members], blocks.edges)
    title, subtitle = headline(graph)
    legend, legend_width = _legend(graph)
    wide = max(layout.width, width(title, _TITLE_SIZE), width(subtitle, _LABEL_SIZE), legend_width)
    header = _HEADER + (_LEGEND if legend else 0)
    cards, inner = _cards(graph.nodes, blocks, layout, grid)
    return _template().render(
        width=ceil(wide + 2 * _MARGIN),
        height=ceil(layout.height + header + _MARGIN),
        margin=_MARGIN,
        left=_px((wide - layout.width) / 2 + _MARGIN),
        top=header,
        title=title,
        subtitle=subtitle,
        description=describe(graph),
        legend=legend,
        outer=_strokes(layout.lines),
        groups=tuple(_groups(blocks, layout, grid)),
        inner=_strokes(inner),
        cards=cards,
        card_width=grid.width,
        card_height=grid.height,
    )


def _grid(nodes: Sequence[GraphNode]) -> _Grid:
    """All cards of a graph have one size: as wide as the longest line needs, within reason."""
    run = any(node.status for node in nodes)
    labels = max((width(plain(node.label), _LABEL_SIZE) + _ICON_ROOM * run for node in nodes), default=0.0)
    actions = max((width(plain(node.action or ""), _SMALL_SIZE, monospaced=True) for node in nodes), default=0.0)
    outcomes = max((width(outcome(node), _SMALL_SIZE) for node in nodes), default=0.0)
    across = min(_WIDEST, max(_NARROWEST, max(labels, actions, outcomes) + 2 * _PADDING))
    lines = 1 + any(node.action for node in nodes) + run
    return _Grid(float(ceil(across)), float(lines * _LINE + 2 * _PADDING - 5))


def _groups(blocks: Blocks, layout: Layout, grid: _Grid) -> Iterable[Group]:
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


def _cards(nodes: Sequence[GraphNode], blocks: Blocks, layout: Layout, grid: _Grid) -> tuple[list[Card], list[Line]]:
    """All cards, and the lines between those of one chain."""
    cards: list[Card] = []
    lines: list[Line] = []
    for chains, place in zip(blocks.members, layout.places, strict=True):
        before = -1
        left = place.x - grid.box(chains).width / 2
        for step, x, y in grid.corners(chains, left, place.top):
            cards.append(_card(nodes[step], _px(x), _px(y), grid.width - 2 * _PADDING))
            if kind := blocks.kinds.get((before, step)):
                middle = x + grid.width / 2
                lines.append(Line(kind, True, middle, y - _IN_CHAIN, y, y, middle, y))
            before = step
    return cards, lines


def _card(node: GraphNode, x: float, y: float, room: float) -> Card:
    room_beside = room - _ICON_ROOM * (node.status is not None)
    label = plain(node.label)
    return Card(
        x=x,
        y=y,
        status=node.status.value if node.status else "",
        tooltip=tooltip(node),
        label=cut_middle(label, room_beside, _LABEL_SIZE)
        if node.label == node.id
        else fit(label, room_beside, _LABEL_SIZE),
        action=fit(plain(node.action or ""), room, _SMALL_SIZE, monospaced=True),
        outcome=fit(outcome(node), room, _SMALL_SIZE),
    )


def _strokes(lines: Iterable[Line]) -> Strokes:
    """Few elements, however many lines: browsers draw one long path faster than thousands of short ones."""
    paths: dict[str, list[str]] = {}
    tips: list[str] = []
    for line in lines:
        paths.setdefault(line.kind, []).append(_path(line))
        if line.arrow:
            tips.append(f"M{line.to_x:.1f} {line.bottom:.1f}{_TIP}")
    return Strokes({kind: "".join(parts) for kind, parts in sorted(paths.items())}, "".join(tips))


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
        x += _ICON_ROOM + width(text, _LABEL_SIZE) + _BETWEEN_KEYS
    if any(edge.kind is EdgeKind.ORDER for edge in graph.edges):
        for kind in EdgeKind:
            keys.append(Key(_px(x), kind.value, _WORDS[kind]))
            x += _SAMPLE + 8 + width(_WORDS[kind], _LABEL_SIZE) + _BETWEEN_KEYS
    return keys, max(0.0, x - _BETWEEN_KEYS)


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
