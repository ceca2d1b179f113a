"""Steps, or chains of steps, that hang between the same neighbours: drawn as one block, with one line each way."""

from collections import defaultdict
from dataclasses import dataclass

from models.graphs import EdgeKind, Graph

FEWEST_TWINS = 8
"""Fewer are drawn side by side: their lines are easy to follow."""

Chain = tuple[int, ...]
_Neighbour = tuple[int, EdgeKind]
_Neighbours = list[list[_Neighbour]]


@dataclass(frozen=True)
class Blocks:
    """The graph with its large groups of twins as one box each. Steps are numbers in the order of the graph."""

    members: tuple[tuple[Chain, ...], ...]
    """One step, or a group of equally long chains."""
    edges: tuple[tuple[int, int, EdgeKind], ...]
    """Between blocks."""
    kinds: dict[tuple[int, int], EdgeKind]
    """Why a step within a chain waits for the one before it."""


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
    joined = [(block_of[source], block_of[target], kind) for source, target, kind in edges]
    return Blocks(
        tuple(members),
        tuple(dict.fromkeys(edge for edge in joined if edge[0] != edge[1])),
        {(source, target): kind for source, target, kind in edges if block_of[source] == block_of[target]},
    )


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
