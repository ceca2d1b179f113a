"""Steps as boxes with lines of text: how large they are, how they stand in a group, and what is written where."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from models.graphs import GraphNode, StepKind
from services.orchestration.graph_blocks import Chain
from services.orchestration.graph_layout import Box
from services.orchestration.graph_text import cut_middle, fit, width
from services.orchestration.graph_wording import Words, tooltip

LABEL_SIZE = 13.0
_SMALL_SIZE = 11.0
_BADGE_SIZE = 10.0
_LINE = 16
_PADDING = 13
_ICON_ROOM = 24
"""What a symbol takes from a box's lines."""
_KIND_ROOM = 17
_BOLD = 1.08
"""How much wider bold text is."""
_BADGE_PADDING = 7
_BESIDE_BADGE = 9
"""Between a badge and the corner of its box, and the line that enters in the middle."""
_NARROWEST = 124.0
_WIDEST = 236.0
_BETWEEN_TWINS = 14
_BETWEEN_CHAINS = 46
BETWEEN_IN_CHAIN = 30
"""Between the cards of a chain within a group."""
_GROUP_PADDING = 16
_GROUP_CAPTION = 20
_GROUP_SHAPE = 1.6
"""Width by height of a group of twins."""


@dataclass(frozen=True)
class Card:
    """A step as a box; places are of its upper left corner."""

    x: float
    y: float
    classes: str
    status: str
    kind: str
    """Empty for an action."""
    tooltip: str
    label: str
    doing: str
    outcome: str
    particulars: str
    badge: str
    badge_x: float
    badge_width: float
    is_map: bool


@dataclass(frozen=True)
class Grid:
    """How the cards of one graph are sized and set into groups."""

    width: float
    height: float

    def columns(self, chains: Sequence[Chain]) -> int:
        """Chains in each row of a group."""
        shape = _GROUP_SHAPE * self.chain_height(chains) / self.width
        return min(len(chains), ceil(sqrt(len(chains) * shape)))

    def chain_height(self, chains: Sequence[Chain]) -> float:
        """Chains of a group are equally long."""
        return len(chains[0]) * (self.height + BETWEEN_IN_CHAIN) - BETWEEN_IN_CHAIN

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
                yield step, x, y + depth * (self.height + BETWEEN_IN_CHAIN)


def grid_of(nodes: Sequence[GraphNode], words: Mapping[str, Words]) -> Grid:
    """All cards of a graph have one size: as wide as the longest line needs, within reason. `words`: by step."""
    run = any(node.status for node in nodes)
    across, most_rows = _NARROWEST - 2 * _PADDING, 1
    for node in nodes:
        own = words[node.id]
        across = max(
            across,
            width(own.label, LABEL_SIZE) + _ICON_ROOM * run,
            width(own.doing, _SMALL_SIZE, monospaced=_is_action(node)) + _kind_room(node),
            width(own.outcome, _SMALL_SIZE),
            width(own.particulars, _SMALL_SIZE),
            2 * (_badge_width(own.entry) + 2 * _BESIDE_BADGE - _PADDING) if own.entry else 0,
        )
        most_rows = max(most_rows, 1 + bool(own.doing) + bool(own.outcome) + bool(own.particulars))
    return Grid(float(ceil(min(_WIDEST, across + 2 * _PADDING))), float(most_rows * _LINE + 2 * _PADDING - 5))


def card_of(node: GraphNode, words: Words, x: float, y: float, grid: Grid) -> Card:
    """The card of a step at a place."""
    room = grid.width - 2 * _PADDING
    room_beside = room - _ICON_ROOM * (node.status is not None)
    badge_width = _badge_width(words.entry) if words.entry else 0.0
    return Card(
        x=x,
        y=y,
        classes=_classes(node),
        status=node.status.value if node.status else "",
        kind="" if node.kind is StepKind.ACTION else node.kind.value,
        tooltip=tooltip(node, words),
        label=(cut_middle if node.label == node.id else fit)(words.label, room_beside, LABEL_SIZE),
        doing=fit(words.doing, room - _kind_room(node), _SMALL_SIZE, monospaced=_is_action(node)),
        outcome=fit(words.outcome, room, _SMALL_SIZE),
        particulars=fit(words.particulars, room, _SMALL_SIZE),
        badge=words.entry,
        badge_x=round(grid.width - badge_width - _BESIDE_BADGE, 1),
        badge_width=round(badge_width, 1),
        is_map=node.is_map,
    )


def _classes(node: GraphNode) -> str:
    classes = ["step"]
    if node.status:
        classes += ["ran", node.status.value]
    if node.reason == "upstream":
        classes.append("unreached")
    if node.undone is not None:
        classes.append("undone")
    return " ".join(classes)


def _is_action(node: GraphNode) -> bool:
    return node.kind is StepKind.ACTION


def _kind_room(node: GraphNode) -> int:
    return 0 if _is_action(node) else _KIND_ROOM


def _badge_width(text: str) -> float:
    return width(text, _BADGE_SIZE) * _BOLD + 2 * _BADGE_PADDING
