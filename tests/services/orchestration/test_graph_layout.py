from collections import defaultdict
from graphlib import CycleError
from itertools import combinations, pairwise

import pytest
from graph_strategies import dags, fan, graph
from hypothesis import given
from hypothesis import strategies as st

from models.graphs import EdgeKind, Graph
from services.orchestration import graph_order
from services.orchestration.graph_blocks import FEWEST_TWINS, group_twins
from services.orchestration.graph_layout import Box, Layout, lay_out, nearest
from services.orchestration.graph_order import Edge, arrange, crossings, neighbours

TOUCH = 1e-6


def boxes_of(count: int) -> list[Box]:
    """Of several sizes: groups of twins are larger than steps."""
    return [Box(120.0 + 60 * (index % 3), 44.0 + 30 * (index % 4)) for index in range(count)]


def numbered(edges: list[tuple[int, int]]) -> list[Edge]:
    return [(source, target, "data") for source, target in edges]


def followed(layout: Layout, start: int) -> set[tuple[int, str]]:
    """The boxes one arrives at by following the lines that leave a box, and their kind."""
    onwards = defaultdict[tuple[str, float, float], list[tuple[bool, float, float]]](list)
    for line in layout.lines:
        onwards[line.kind, line.x, line.top].append((line.arrow, line.to_x, line.bottom))
    entrances = {(place.x, place.top): box for box, place in enumerate(layout.places)}
    found: set[tuple[int, str]] = set()
    for kind in ("data", "order"):
        stack = [(layout.places[start].x, layout.places[start].bottom)]
        while stack:
            x, y = stack.pop()
            for arrow, to_x, bottom in onwards[kind, x, y]:
                if arrow:
                    found.add((entrances[to_x, bottom], kind))
                else:
                    stack.append((to_x, bottom))
    return found


@given(dags())
def test_boxes_do_not_overlap_and_lie_within_the_drawing(dag: tuple[int, list[Edge]]) -> None:
    count, edges = dag
    boxes = boxes_of(count)
    layout = lay_out(boxes, edges)
    corners = [
        (place.x - box.width / 2, place.top, place.x + box.width / 2, place.bottom)
        for box, place in zip(boxes, layout.places, strict=True)
    ]
    for left, top, right, bottom in corners:
        assert left >= -TOUCH
        assert right <= layout.width + TOUCH
        assert top >= 0
        assert bottom <= layout.height + TOUCH
    for one, other in combinations(corners, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (one, other)


@given(dags())
def test_every_edge_goes_downwards(dag: tuple[int, list[Edge]]) -> None:
    layout = lay_out(boxes_of(dag[0]), dag[1])
    for source, target, _ in dag[1]:
        assert layout.places[source].bottom < layout.places[target].top
    for line in layout.lines:
        assert line.top <= line.leave < line.enter <= line.bottom


@given(dags())
def test_following_the_lines_from_a_box_leads_to_its_targets_and_nowhere_else(dag: tuple[int, list[Edge]]) -> None:
    layout = lay_out(boxes_of(dag[0]), dag[1])
    for box in range(dag[0]):
        assert followed(layout, box) == {(target, kind) for source, target, kind in dag[1] if source == box}


@given(dags())
def test_no_line_goes_through_a_box(dag: tuple[int, list[Edge]]) -> None:
    boxes = boxes_of(dag[0])
    layout = lay_out(boxes, dag[1])
    for line in layout.lines:
        for box, place in zip(boxes, layout.places, strict=True):
            left, right = place.x - box.width / 2, place.x + box.width / 2
            for x, top, bottom in ((line.x, line.top, line.leave), (line.to_x, line.enter, line.bottom)):
                if left < x < right:
                    assert bottom <= place.top or top >= place.bottom
            low, high = sorted((line.x, line.to_x))
            if low < right and high > left:
                assert line.enter <= place.top or line.leave >= place.bottom


@given(dags())
def test_layers_are_as_many_as_the_longest_path_has_boxes(dag: tuple[int, list[Edge]]) -> None:
    count, edges = dag
    longest = [1] * count
    for _ in range(count):
        for source, target, _ in edges:
            longest[target] = max(longest[target], longest[source] + 1)
    assert len(arrange(count, edges).layers) == max(longest)


@given(dags())
def test_crossings_are_counted_as_by_looking_at_every_pair(dag: tuple[int, list[Edge]]) -> None:
    arranged = arrange(*dag)
    place = {item: index for layer in arranged.layers for index, item in enumerate(layer)}
    pairs = sum(
        arranged.layer_of[one[0]] == arranged.layer_of[other[0]]
        and (place[one[0]] - place[other[0]]) * (place[one[1]] - place[other[1]]) < 0
        for one, other in combinations([(upper, lower) for upper, lower, _ in arranged.links], 2)
    )
    _, below = neighbours(len(arranged.layer_of), arranged.links, arranged.layer_of)
    assert crossings(arranged.layers, below) == pairs


def test_a_tree_is_drawn_without_crossings() -> None:
    edges = [((child - 1) // 3, child, "data") for child in sorted(range(1, 121), key=lambda child: child * 37 % 121)]
    arranged = arrange(121, edges)
    assert crossings(arranged.layers, neighbours(121, arranged.links, arranged.layer_of)[1]) == 0


def test_lines_written_crosswise_are_untangled() -> None:
    arranged = arrange(8, numbered([(0, 7), (1, 6), (2, 5), (3, 4), (0, 6), (1, 5), (2, 4)]))
    assert crossings(arranged.layers, neighbours(8, arranged.links, arranged.layer_of)[1]) == 0


def test_a_chain_is_a_straight_line() -> None:
    layout = lay_out(boxes_of(5), numbered([(0, 1), (1, 2), (2, 3), (3, 4)]))
    assert {place.x for place in layout.places} == {layout.places[0].x}


def test_a_diamond_is_symmetrical() -> None:
    top, left, right, bottom = lay_out([Box(100, 40)] * 4, numbered([(0, 1), (0, 2), (1, 3), (2, 3)])).places
    assert top.x == pytest.approx(bottom.x)
    assert top.x - left.x == pytest.approx(right.x - top.x)
    assert left.top == right.top


def test_a_source_stands_right_above_what_waits_for_it() -> None:
    places = lay_out([Box(100, 40)] * 4, numbered([(0, 1), (1, 2), (3, 2)])).places
    assert places[3].top == places[1].top


def test_parts_that_no_edge_joins_stand_side_by_side_in_rows() -> None:
    places = lay_out([Box(100, 40)] * 40, numbered([(2 * pair, 2 * pair + 1) for pair in range(20)])).places
    assert len({place.top for place in places}) > 2
    assert places[2].x > places[0].x
    assert places[2].top == places[0].top


def test_the_longest_edges_go_straight_when_bends_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_order, "_MOST_BENDS", 10)
    chain = [(box, box + 1) for box in range(40)]
    arranged = arrange(41, numbered([*chain, (0, 5), (2, 40)]))
    assert (2, 40, "data") in arranged.links
    assert len(arranged.layer_of) == 41 + 4


def test_a_cycle_is_refused() -> None:
    with pytest.raises(CycleError):
        lay_out(boxes_of(2), numbered([(0, 1), (1, 0)]))


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 9)), min_size=1, max_size=7), st.integers(1, 9))
def test_nearest_places_keep_their_distances_and_cannot_be_bettered(wanted: list[tuple[int, int]], gap: int) -> None:
    wants, weights = [float(want) for want, _ in wanted], [float(weight) for _, weight in wanted]
    gaps = [float(gap)] * (len(wants) - 1)
    places = nearest(wants, weights, gaps)
    assert all(right - left >= gap - TOUCH for left, right in pairwise(places))

    def cost(candidate: list[float]) -> float:
        return sum(weight * (at - want) ** 2 for at, want, weight in zip(candidate, wants, weights, strict=True))

    for start, end in combinations(range(len(places) + 1), 2):
        for step in (-0.01, 0.01):
            moved = [at + step * (start <= index < end) for index, at in enumerate(places)]
            if all(right - left >= gap for left, right in pairwise(moved)):
                assert cost(moved) >= cost(places) - TOUCH


def blocks_with(shape: Graph) -> list[int]:
    """How many chains each block has."""
    return [len(chains) for chains in group_twins(shape).members]


def test_many_twins_are_one_block_with_one_line_each_way() -> None:
    blocks = group_twins(fan(100))
    assert sorted(len(chains) for chains in blocks.members) == [1, 1, 100]
    assert len(blocks.edges) == 2


def test_few_twins_stay_single_steps() -> None:
    assert blocks_with(fan(FEWEST_TWINS - 1)) == [1] * (FEWEST_TWINS + 1)
    assert max(blocks_with(fan(FEWEST_TWINS))) == FEWEST_TWINS


def test_chains_between_the_same_neighbours_are_twins() -> None:
    links = [(f"{stage}-{part}", f"{following}-{part}") for part in range(9) for stage, following in ("ab", "bc")]
    blocks = group_twins(graph(links))
    assert [len(chain) for chain in blocks.members[0]] == [3] * 9
    assert blocks.edges == ()
    assert len(blocks.kinds) == 18


def test_steps_that_wait_for_different_reasons_are_no_twins() -> None:
    shape = fan(10)
    odd = shape.edges[0].model_copy(update={"kind": EdgeKind.ORDER})
    blocks = group_twins(shape.model_copy(update={"edges": (odd, *shape.edges[1:])}))
    assert sorted(len(chains) for chains in blocks.members) == [1, 1, 1, 9]


@given(dags(20))
def test_every_step_is_in_one_block(dag: tuple[int, list[Edge]]) -> None:
    count, edges = dag
    shape = graph([(str(source), str(target)) for source, target, _ in edges], *map(str, range(count)))
    blocks = group_twins(shape)
    assert sorted(step for chains in blocks.members for chain in chains for step in chain) == list(range(count))
