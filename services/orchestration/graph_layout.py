"""Where the boxes and lines of a DAG go: the second half of a layered drawing. Units are pixels; y grows downwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import sqrt

from services.orchestration.graph_order import Edge, Layers, arrange, components, neighbours

_BETWEEN_BOXES = 26.0
_BETWEEN_LINES = 14.0
_BETWEEN_PARTS = 56.0
_SHAPE = 2.0
"""Width by height that the rows of unconnected parts aim at."""
_GAP = 48.0
"""Least height between layers."""
_TALLEST_GAP = 190.0
_STRAIGHT_DOWN = 7.0
"""How far a line keeps straight before an arrow head and after a box."""
_SLOPE = 0.16
"""Height per width of the widest line in a gap: lines that go far sideways get room to do it."""
_SWEEP_WORK = 24_000
"""Links looked at while places settle: small graphs get many sweeps, large ones a few."""
_MOST_SWEEPS = 24
_FEWEST_SWEEPS = 4
_STRAIGHT = (1.0, 2.0, 8.0)
"""How much a link wants to be vertical, by the number of its ends that are bends (Gansner et al. 1993)."""


@dataclass(frozen=True)
class Box:
    """The size of something to place."""

    width: float
    height: float


@dataclass(frozen=True)
class Place:
    """Where a box is: the middle of its width, its upper and its lower edge."""

    x: float
    top: float
    bottom: float


@dataclass(frozen=True)
class Line:
    """From below a box, or from where lines end in a bend: down to `leave`, over to the other x by `enter`, down.

    A line that bends is several, each beginning where another ends.
    """

    kind: str
    arrow: bool
    """Whether it ends at a box."""
    x: float
    top: float
    leave: float
    enter: float
    to_x: float
    bottom: float


@dataclass(frozen=True)
class Layout:
    """Places of the boxes, the lines between them, the size of it all."""

    places: tuple[Place, ...]
    lines: tuple[Line, ...]
    width: float
    height: float


def lay_out(boxes: Sequence[Box], edges: Sequence[Edge]) -> Layout:
    """Every box below all it depends on, no two overlapping. Raises graphlib.CycleError.

    Parts that no edge joins are laid out each by itself and set side by side, in rows.
    """
    places: dict[int, Place] = {}
    lines: list[Line] = []
    parts: list[tuple[list[int], Layout]] = []
    for members, inner in components(len(boxes), edges):
        parts.append((members, _lay_out_part([boxes[box] for box in members], inner)))
    area = sum((part.width + _BETWEEN_PARTS) * (part.height + _BETWEEN_PARTS) for _, part in parts)
    widest = max([sqrt(area * _SHAPE), *(part.width for _, part in parts)])
    left = top = right = bottom = 0.0
    for members, part in parts:
        if left and left + part.width > widest:
            left, top = 0.0, bottom + _BETWEEN_PARTS
        for box, place in zip(members, part.places, strict=True):
            places[box] = Place(place.x + left, place.top + top, place.bottom + top)
        lines.extend(_moved(line, left, top) for line in part.lines)
        right, bottom = max(right, left + part.width), max(bottom, top + part.height)
        left += part.width + _BETWEEN_PARTS
    return Layout(tuple(places[box] for box in range(len(boxes))), tuple(lines), right, bottom)


def _moved(line: Line, x: float, y: float) -> Line:
    return Line(
        line.kind, line.arrow, line.x + x, line.top + y, line.leave + y, line.enter + y, line.to_x + x, line.bottom + y
    )


def _lay_out_part(boxes: Sequence[Box], edges: Sequence[Edge]) -> Layout:
    arranged = arrange(len(boxes), edges)
    widths = [box.width for box in boxes] + [0.0] * (len(arranged.layer_of) - len(boxes))
    x = _columns(arranged, widths)
    bands = _bands(arranged, boxes, x)
    places: list[Place] = []
    for item, layer in enumerate(arranged.layer_of):
        top, bottom = bands[layer]
        slack = (bottom - top - boxes[item].height) / 2 if item < len(boxes) else bottom - top
        places.append(Place(x[item], top + slack, bottom - slack if item < len(boxes) else bottom))
    lines = tuple(
        Line(
            kind,
            lower < len(boxes),
            x[upper],
            places[upper].bottom,
            bands[arranged.layer_of[upper]][1] + _STRAIGHT_DOWN,
            bands[arranged.layer_of[lower]][0] - _STRAIGHT_DOWN,
            x[lower],
            places[lower].top,
        )
        for upper, lower, kind in arranged.links
    )
    right = max(place + width / 2 for place, width in zip(x, widths, strict=True))
    return Layout(tuple(places[: len(boxes)]), lines, right, bands[-1][1])


def _bands(arranged: Layers, boxes: Sequence[Box], x: Sequence[float]) -> list[tuple[float, float]]:
    """Upper and lower edge of every layer."""
    reach = [0.0] * len(arranged.layers)
    for upper, lower, _ in arranged.links:
        below = arranged.layer_of[lower]
        reach[below] = max(reach[below], abs(x[upper] - x[lower]))
    bands: list[tuple[float, float]] = []
    top = 0.0
    for layer, far in zip(arranged.layers, reach, strict=True):
        if bands:
            top = bands[-1][1] + min(_TALLEST_GAP, max(_GAP, far * _SLOPE))
        height = max((boxes[item].height for item in layer if item < len(boxes)), default=0.0)
        bands.append((top, top + height))
    return bands


def _columns(arranged: Layers, widths: Sequence[float]) -> list[float]:
    """The middle of every item; each layer in turn goes as near to its neighbours' middles as its order allows."""
    above, below = neighbours(len(widths), arranged.links, arranged.layer_of)
    gaps = [_gaps(layer, widths, arranged.boxes) for layer in arranged.layers]
    x = [0.0] * len(widths)
    for layer, between in zip(arranged.layers, gaps, strict=True):
        offsets = [0.0, *accumulate(between)]
        for item, offset in zip(layer, offsets, strict=False):
            x[item] = offset - offsets[-1] / 2
    downwards = list(zip(arranged.layers, gaps, strict=True))
    sweeps = max(_FEWEST_SWEEPS, min(_MOST_SWEEPS, _SWEEP_WORK // (len(arranged.links) + 1)))
    for sweep in range(sweeps):
        last = sweep >= sweeps - 2
        for layer, between in downwards if sweep % 2 == 0 else downwards[::-1]:
            near = above if sweep % 2 == 0 else below
            _settle(layer, between, x, (above, below) if last else (near,), arranged.boxes)
    left = min((middle - width / 2 for middle, width in zip(x, widths, strict=True)), default=0.0)
    return [middle - left for middle in x]


def _gaps(layer: Sequence[int], widths: Sequence[float], boxes: int) -> list[float]:
    """Least distances between the middles of neighbours."""
    return [
        (widths[left] + widths[right]) / 2 + (_BETWEEN_BOXES if left < boxes and right < boxes else _BETWEEN_LINES)
        for left, right in pairwise(layer)
    ]


def _settle(
    layer: Sequence[int], gaps: Sequence[float], x: list[float], sides: Sequence[list[list[int]]], boxes: int
) -> None:
    """Move one layer, in place."""
    wanted: list[float] = []
    weights: list[float] = []
    for item in layer:
        weight = total = 0.0
        bend = item >= boxes
        for side in sides:
            for other in side[item]:
                pull = _STRAIGHT[bend + (other >= boxes)]
                weight += pull
                total += pull * x[other]
        wanted.append(total / weight if weight else x[item])
        weights.append(weight or 0.01)
    for item, middle in zip(layer, nearest(wanted, weights, gaps), strict=True):
        x[item] = middle


def nearest(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones (weighted least squares) that keep their order and distances.

    Without the distances this is isotonic regression, solved by pooling adjacent violators.
    """
    offsets = [0.0, *accumulate(gaps)]
    pools: list[tuple[float, float, int]] = []
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, mass, size = want - offset, weight, 1
        while pools and pools[-1][0] > mean:
            before, more, count = pools.pop()
            mean = (before * more + mean * mass) / (more + mass)
            mass, size = mass + more, size + count
        pools.append((mean, mass, size))
    settled = [mean for mean, _, size in pools for _ in range(size)]
    return [mean + offset for mean, offset in zip(settled, offsets, strict=True)]
