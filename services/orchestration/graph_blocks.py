"""Steps, or chains of steps, that hang between the same neighbours: drawn as one block, with one line each way."""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

from models.graphs import EdgeKind, EdgeState, Graph

FEWEST_TWINS = 8
"""Fewer are drawn side by side: their lines are easy to follow."""

Chain = tuple[int, ...]
_Neighbour = tuple[int, EdgeKind]
_Neighbours = list[list[_Neighbour]]
_BlockEdge = tuple[int, int, EdgeKind]


@dataclass(frozen=True)
class Blocks:
    """The graph with its large groups of twins as one box each. Steps are numbers in the order of the graph."""

    members: tuple[tuple[Chain, ...], ...]
    """One step, or a group of equally long chains."""
    edges: tuple[tuple[int, int, str], ...]
    """Between blocks, with their kinds and, where the edges that one stands for agree on it, their states."""
    kinds: dict[tuple[int, int], str]
    """The same of the edges within a chain."""


def group_twins(graph: Graph) -> Blocks:
    """Blocks in the order of their first steps.

    No line is lost: one at a group stands for one at each of its chains.
    """
    number = {node.id: index for index, node in enumerate(graph.nodes)}
    edges = [(number[edge.source], number[edge.target], edge.kind) for edge in graph.edges]
    above: _Neighbours = [[] for _ in graph.nodes]
    below: _Neighbours = [[] for _ in graph.nodes]
    for source, target, kind in edges:
        above[target].append((source, kind))
        below[source].append((target, kind))
    twins: dict[object, list[Chain]] = defaultdict(list)
    for chain in _chains(above, below):
        within = tuple(below[step][0][1] for step in chain[:-1])
        twins[frozenset(above[chain[0]]), frozenset(below[chain[-1]]), within].append(chain)
    members: list[tuple[Chain, ...]] = []
    for chains in twins.values():
        members.extend(
            [tuple(chains)] if len(chains) >= FEWEST_TWINS else [((step,),) for chain in chains for step in chain]
        )
    members.sort()
    block_of = {step: block for block, chains in enumerate(members) for chain in chains for step in chain}
    states: dict[_BlockEdge, EdgeState | None] = {}
    kinds: dict[tuple[int, int], str] = {}
    for (source, target, kind), edge in zip(edges, graph.edges, strict=True):
        upper, lower = block_of[source], block_of[target]
        if upper == lower:
            kinds[source, target] = _words(kind, edge.state)
        elif states.setdefault((upper, lower, kind), edge.state) is not edge.state:
            states[upper, lower, kind] = None
    joined = tuple([(upper, lower, _words(kind, state)) for (upper, lower, kind), state in states.items()])
    return Blocks(tuple(members), joined, kinds)


@lru_cache
def _words(kind: EdgeKind, state: EdgeState | None) -> str:
    """The kind with the state of an edge that has one: `data`, `order taken`."""
    return kind.value if state is None else f"{kind.value} {state.value}"


def _chains(above: _Neighbours, below: _Neighbours) -> list[Chain]:
    """All steps, in maximal chains: each the only one that waits for the one before, and waiting for no other."""
    follower = [
        children[0][0] if len(children) == 1 and len(above[children[0][0]]) == 1 else None for children in below
    ]
    followers = set(follower)
    chains: list[Chain] = []
    for head in range(len(below)):
        if head in followers:
            continue
        chain = [head]
        while (following := follower[chain[-1]]) is not None:
            chain.append(following)
        chains.append(tuple(chain))
    return chains
