from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dag.strategies import graphs
from workflows.dag.graph import children_of, critical_path, cycles, parallel_groups, topological_order

Parents = list[list[int]]


def any_graph(max_nodes: int = 7) -> st.SearchStrategy[Parents]:
    """Graphs with or without cycles."""
    sizes = st.integers(0, max_nodes)
    return sizes.flatmap(
        lambda size: st.lists(
            st.lists(st.integers(0, max(0, size - 1)), unique=True, max_size=3), min_size=size, max_size=size
        )
    )


def reachable(children: Parents, start: int) -> frozenset[int]:
    """Nodes after `start`, itself only when there is a way back."""
    found: frozenset[int] = frozenset()
    ahead = frozenset(children[start])
    while not ahead <= found:
        found |= ahead
        ahead = frozenset(after for node in found for after in children[node])
    return found


@given(graphs())
def test_parents_come_first_and_written_order_decides_the_rest(parents: Parents) -> None:
    order = topological_order(parents)
    assert sorted(order) == list(range(len(parents)))
    for place, node in enumerate(order):
        before = order[:place]
        assert all(parent in before for parent in parents[node])
        free = [one for one in range(len(parents)) if one not in before and all(p in before for p in parents[one])]
        assert node == min(free)


@given(any_graph())
def test_order_is_short_exactly_when_there_is_a_cycle(parents: Parents) -> None:
    children = children_of(parents)
    in_a_cycle = any(node in reachable(children, node) for node in range(len(parents)))
    assert (len(topological_order(parents)) < len(parents)) == in_a_cycle == bool(cycles(parents))


@given(any_graph())
def test_each_knot_is_named_by_one_shortest_cycle_through_its_first_node(parents: Parents) -> None:
    children = children_of(parents)
    after = [reachable(children, node) for node in range(len(parents))]
    knots = {frozenset(b for b in after[a] if a in after[b]) for a in range(len(parents)) if a in after[a]}
    found = cycles(parents)
    assert len(found) == len(knots)
    for cycle in found:
        knot = next(one for one in knots if cycle[0] in one)
        assert cycle[0] == min(knot)
        assert all(b in children[a] for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        shorter = [
            way
            for length in range(len(cycle) - 1)
            for way in permutations(knot - {cycle[0]}, length)
            if all(b in children[a] for a, b in zip((cycle[0], *way), (*way, cycle[0]), strict=True))
        ]
        assert not shorter


@pytest.mark.parametrize(
    ("parents", "found"),
    [
        ([[0]], [[0]]),
        ([[1], [0]], [[0, 1]]),
        ([[2], [0], [1]], [[0, 1, 2]]),
        ([[1], [0], [0, 3], [2]], [[0, 1], [2, 3]]),  # the second knot waits for the first
        ([[1], [2], [0], [0], [3]], [[0, 2, 1]]),  # those behind a cycle are in none
        ([[], [0]], []),
        ([], []),
    ],
)
def test_cycles_follow_the_arrows(parents: Parents, found: Parents) -> None:
    assert cycles(parents) == found


def test_long_cycle_needs_no_recursion() -> None:
    size = 10_000
    assert cycles([[(node - 1) % size] for node in range(size)]) == [list(range(size))]


@given(graphs())
def test_groups_hold_what_can_run_at_once(parents: Parents) -> None:
    order = topological_order(parents)
    groups = parallel_groups(parents, order)
    assert sorted(node for group in groups for node in group) == sorted(order)
    level = {node: number for number, group in enumerate(groups) for node in group}
    for node, above in enumerate(parents):
        assert level[node] == 1 + max((level[parent] for parent in above), default=-1)
        assert all(level[parent] < level[node] for parent in above)


@given(graphs())
def test_critical_path_is_a_longest_chain(parents: Parents) -> None:
    order = topological_order(parents)
    path = critical_path(parents, order)
    assert all(a in parents[b] for a, b in pairwise(path))
    assert len(path) == len(parallel_groups(parents, order))


def test_critical_path_is_the_first_one_as_written() -> None:
    assert critical_path([[], [], [0], [1]], [0, 1, 2, 3]) == [0, 2]
    assert critical_path([], []) == []
