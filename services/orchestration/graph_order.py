"""Layers of a DAG and the order within them: the first half of a layered drawing (Sugiyama, Tagawa, Toda 1981).

An edge that spans several layers bends once in each layer between. Edges that leave one box, or enter one box, share
their bends as a trunk: far fewer lines, and every line still belongs to one box.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import pairwise

Edge = tuple[int, int, str]
"""Source and target by number, and a kind; edges of different kinds never share a line."""

_MOST_BENDS = 8_000
"""The longest edges of a monstrous graph go straight rather than cost minutes."""
_SWEEP_WORK = 16_000
"""Links looked at while crossings are reduced: small graphs get many sweeps, large ones a few."""
_MOST_SWEEPS = 24
_PATIENCE = 5
"""Sweeps without improvement after which the order is taken as good."""


@dataclass(frozen=True)
class Layers:
    """Every layer from left to right. Items are the boxes by number, then the bends."""

    layers: list[list[int]]
    layer_of: list[int]
    links: list[Edge]
    """Between neighbouring layers, downwards; the few that go further are longer than bends were given to."""
    boxes: int


def components(boxes: int, edges: Sequence[Edge]) -> list[tuple[list[int], list[Edge]]]:
    """The parts that no edge joins, by their first boxes: the boxes of each, and its edges.

    The edges are between places in that list of boxes.
    """
    root = list(range(boxes))

    def find(box: int) -> int:
        while root[box] != box:
            root[box] = box = root[root[box]]
        return box

    for source, target, _ in edges:
        first, second = sorted((find(source), find(target)))
        root[second] = first
    members: dict[int, list[int]] = {}
    place: list[int] = []
    for box in range(boxes):
        part = members.setdefault(find(box), [])
        place.append(len(part))
        part.append(box)
    inner: dict[int, list[Edge]] = {part: [] for part in members}
    for source, target, kind in edges:
        inner[find(source)].append((place[source], place[target], kind))
    return [(part, inner[first]) for first, part in members.items()]


def arrange(boxes: int, edges: Sequence[Edge]) -> Layers:
    """Layers by longest path, ordered so that few lines cross. Raises graphlib.CycleError."""
    layer_of = _ranks(boxes, edges)
    links = _bend(edges, layer_of)
    above, below = neighbours(len(layer_of), links, layer_of)
    layers = _discovered(layer_of, above, below)
    return Layers(_untangled(layers, above, below), layer_of, links, boxes)


def neighbours(items: int, links: Iterable[Edge], layer_of: Sequence[int]) -> tuple[list[list[int]], list[list[int]]]:
    """The items each item is linked to in the layer above, and in the layer below."""
    above: list[list[int]] = [[] for _ in range(items)]
    below: list[list[int]] = [[] for _ in range(items)]
    for upper, lower, _ in links:
        if layer_of[lower] == layer_of[upper] + 1:
            above[lower].append(upper)
            below[upper].append(lower)
    return above, below


def _ranks(boxes: int, edges: Sequence[Edge]) -> list[int]:
    """Longest path from above; then whatever has more children than parents moves down to its children."""
    parents: list[list[int]] = [[] for _ in range(boxes)]
    children: list[list[int]] = [[] for _ in range(boxes)]
    for source, target, _ in edges:
        parents[target].append(source)
        children[source].append(target)
    order = list(TopologicalSorter(dict(enumerate(parents))).static_order())
    rank = [0] * boxes
    for box in order:
        rank[box] = max((rank[parent] + 1 for parent in parents[box]), default=0)
    for box in reversed(order):
        if len(children[box]) > len(parents[box]):
            rank[box] = min(rank[child] for child in children[box]) - 1
    return rank


def _bend(edges: Sequence[Edge], layer_of: list[int]) -> list[Edge]:
    """Links between neighbouring layers; `layer_of` grows by the bends made for long edges, shortest first."""
    long = [(layer_of[target] - layer_of[source], source, target, kind) for source, target, kind in edges]
    leaving = Counter((source, kind) for span, source, _, kind in long if span > 1)
    entering = Counter((target, kind) for span, _, target, kind in long if span > 1)
    bends: dict[tuple[bool, int, str, int], int] = {}
    links: dict[Edge, None] = {}
    for span, source, target, kind in sorted(long):
        upper = source
        if len(bends) + span <= _MOST_BENDS:
            gathers = entering[target, kind] > leaving[source, kind]
            trunk = target if gathers else source
            for layer in range(layer_of[source] + 1, layer_of[target]):
                bend = bends.get((gathers, trunk, kind, layer))
                if bend is None:
                    bend = bends[gathers, trunk, kind, layer] = len(layer_of)
                    layer_of.append(layer)
                links[upper, bend, kind] = None
                upper = bend
        links[upper, target, kind] = None
    return list(links)


def _discovered(layer_of: Sequence[int], above: list[list[int]], below: list[list[int]]) -> list[list[int]]:
    """Items in the order a walk finds them, so that what hangs together starts side by side."""
    layers: list[list[int]] = [[] for _ in range(max(layer_of, default=-1) + 1)]
    seen = [False] * len(layer_of)
    for start in sorted(range(len(layer_of)), key=lambda item: (layer_of[item], item)):
        stack = [start]
        while stack:
            item = stack.pop()
            if seen[item]:
                continue
            seen[item] = True
            layers[layer_of[item]].append(item)
            stack.extend(reversed(above[item]))
            stack.extend(reversed(below[item]))
    return layers


def _untangled(layers: list[list[int]], above: list[list[int]], below: list[list[int]]) -> list[list[int]]:
    """The best order that sweeps by barycentre find, downwards and upwards in turn."""
    links = sum(map(len, above))
    best, fewest = layers, crossings(layers, below)
    layers, idle = [list(layer) for layer in layers], 0
    for sweep in range(max(2, min(_MOST_SWEEPS, _SWEEP_WORK // (links + 1)))):
        if fewest == 0 or idle == _PATIENCE:
            break
        _sweep(layers if sweep % 2 == 0 else layers[::-1], above if sweep % 2 == 0 else below)
        count = crossings(layers, below)
        idle += 1
        if count < fewest:
            best, fewest, idle = [list(layer) for layer in layers], count, 0
    return best


def _sweep(layers: Sequence[list[int]], fixed: list[list[int]]) -> None:
    """Sort every layer by the mean place of its neighbours in the layer before it; in place."""
    place: dict[int, float] = {}
    for layer in layers:
        own = {item: (index + 0.5) / len(layer) for index, item in enumerate(layer)}
        for item in layer:
            others = fixed[item]
            if others:
                own[item] = sum([place[other] for other in others]) / len(others)
        layer.sort(key=own.__getitem__)
        for index, item in enumerate(layer):
            place[item] = (index + 0.5) / len(layer)


def crossings(layers: Sequence[Sequence[int]], below: Sequence[Sequence[int]]) -> int:
    """How often links between neighbouring layers cross."""
    count = 0
    for upper, lower in pairwise(layers):
        place = {item: index for index, item in enumerate(lower)}
        ends: list[int] = []
        for item in upper:
            targets = sorted([place[target] for target in below[item]])
            for target in targets:
                count += len(ends) - bisect_left(ends, target + 1)
            for target in targets:
                insort(ends, target)
    return count
