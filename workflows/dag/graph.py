"""Order in a directed graph. Nodes are numbers in the order they were written; every answer is in a fixed order."""

from collections import deque
from collections.abc import Sequence
from heapq import heapify, heappop, heappush

Parents = Sequence[Sequence[int]]


def children_of(parents: Parents) -> list[list[int]]:
    """The other direction of the arrows."""
    children: list[list[int]] = [[] for _ in parents]
    for node, above in enumerate(parents):
        for parent in above:
            children[parent].append(node)
    return children


def topological_order(parents: Parents) -> list[int]:
    """Parents first, as written where the graph leaves a choice. Shorter than the graph when it has a cycle."""
    children = children_of(parents)
    waiting = [len(above) for above in parents]
    ready = [node for node, count in enumerate(waiting) if count == 0]
    heapify(ready)
    order: list[int] = []
    while ready:
        node = heappop(ready)
        order.append(node)
        for child in children[node]:
            waiting[child] -= 1
            if waiting[child] == 0:
                heappush(ready, child)
    return order


def cycles(parents: Parents) -> list[list[int]]:
    """A shortest cycle through the first node of each knot (strongly connected component), along the arrows."""
    children = children_of(parents)
    knots = _knots(parents, children)
    found: list[list[int]] = []
    seen = [False] * (max(knots, default=-1) + 1)
    for node, knot in enumerate(knots):
        if not seen[knot]:
            seen[knot] = True
            cycle = _cycle_through(node, children, knots)
            if cycle:
                found.append(cycle)
    return found


def _knots(parents: Parents, children: Parents) -> list[int]:
    """A number for each node; nodes that wait for each other share it (Kosaraju's algorithm)."""
    left: list[int] = []
    visited = [False] * len(parents)
    for start in range(len(parents)):
        if not visited[start]:
            left.extend(_depth_first(start, children, visited))
    knots = [0] * len(parents)
    visited = [False] * len(parents)
    for start in reversed(left):
        if not visited[start]:
            for node in _depth_first(start, parents, visited):
                knots[node] = start
    return knots


def _depth_first(start: int, arrows: Parents, visited: list[bool]) -> list[int]:
    """Nodes reached from `start` that were not visited before, in the order they are left."""
    left: list[int] = []
    visited[start] = True
    trail = [(start, iter(arrows[start]))]
    while trail:
        node, ahead = trail[-1]
        for after in ahead:
            if not visited[after]:
                visited[after] = True
                trail.append((after, iter(arrows[after])))
                break
        else:
            trail.pop()
            left.append(node)
    return left


def _cycle_through(start: int, children: Parents, knots: Sequence[int]) -> list[int]:
    """A shortest way from a node back to itself, or nothing when there is none."""
    came_from: dict[int, int] = {}
    ahead = deque([start])
    while ahead:
        node = ahead.popleft()
        for child in children[node]:
            if child == start:
                cycle = [node]
                while cycle[-1] != start:
                    cycle.append(came_from[cycle[-1]])
                return cycle[::-1]
            if knots[child] == knots[start] and child not in came_from:
                came_from[child] = node
                ahead.append(child)
    return []


def parallel_groups(parents: Parents, order: Sequence[int]) -> list[list[int]]:
    """Nodes by the length of the longest way to them: what could run at once."""
    depth = [0] * len(parents)
    for node in order:
        depth[node] = 1 + max((depth[parent] for parent in parents[node]), default=-1)
    groups: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for node in order:
        groups[depth[node]].append(node)
    return groups


def critical_path(parents: Parents, order: Sequence[int]) -> list[int]:
    """The longest chain of nodes, the first one as written."""
    length = [1] * len(parents)
    via: list[int | None] = [None] * len(parents)
    for node in order:
        for parent in sorted(parents[node]):
            if length[parent] + 1 > length[node]:
                length[node], via[node] = length[parent] + 1, parent
    path: list[int] = []
    node: int | None = max(order, key=lambda candidate: (length[candidate], -candidate), default=None)
    while node is not None:
        path.append(node)
        node = via[node]
    return path[::-1]
