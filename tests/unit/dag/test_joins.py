"""The page that says when a step runs, held against the scheduler: every join, every way parents end, in any order."""

from itertools import permutations, product
from pathlib import Path

import pytest

from tests.unit.dag.definitions import plan_of
from workflows.dag.plan import Join
from workflows.dag.scheduler import CANCELLED, FAILED, NOT_REACHED, NOT_WANTED, SUCCEEDED, Ended, Scheduler

PAGE = Path(__file__).parents[3] / "docs" / "truth-table.md"
ALONE, NOT_ENDED, PASSED_OVER, UPSTREAM = "alone", "not ended", "passed over", "upstream"
ENDS: dict[str, Ended] = {
    "succeeded": SUCCEEDED,
    PASSED_OVER: FAILED,
    "failed": FAILED,
    "condition": NOT_WANTED,
    UPSTREAM: NOT_REACHED,
    "cancelled": CANCELLED,
}
"""Ways a parent ends, by their names on the page."""


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def table(join: Join) -> dict[tuple[str, str], str]:
    """What the page says, by the ends of the first and the second parent."""
    _, found, rest = PAGE.read_text().partition(f"## `join: {join}`\n")
    assert found, f"the page says nothing of {join}"
    header, _, *rows = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("|")]
    said: dict[tuple[str, str], str] = {}
    for first, *cells in map(cells_of, rows):
        for second, verdict in zip(cells_of(header)[1:], cells, strict=True):
            assert (first, second) not in said, "said twice"
            said[first, second] = verdict
    return said


def decided(join: Join, ends: list[str], order: tuple[int, ...]) -> str:
    """What becomes of a step whose parents end so, in this order. Each parent has one parent of its own."""
    count = len(ends)
    parents = [*([] for _ in ends), *([above] for above in range(count)), list(range(count, 2 * count))]
    options = [
        *({} for _ in ends),
        *({"on_error": "continue"} if end == PASSED_OVER else {} for end in ends),
        {"join": join.value},
    ]
    scheduler = Scheduler(dict(enumerate(plan_of(parents, options=options).nodes)))
    scheduler.start()
    for place in order:
        if ends[place] == NOT_ENDED:
            continue
        scheduler.end(place, FAILED if ends[place] == UPSTREAM else SUCCEEDED)
        scheduler.start()
        if ends[place] != UPSTREAM:
            scheduler.end(count + place, ENDS[ends[place]])
            scheduler.start()
        assert scheduler.ended[count + place] == ENDS[ends[place]]
    step = 2 * count
    if step in scheduler.running:
        return "runs"
    return "waits" if step not in scheduler.ended else {NOT_REACHED: "skipped"}[scheduler.ended[step]]


@pytest.mark.parametrize("join", Join)
def test_page_has_a_cell_for_every_combination_and_no_other(join: Join) -> None:
    assert set(table(join)) == set(product(ENDS, [ALONE, NOT_ENDED, *ENDS]))


@pytest.mark.parametrize("join", Join)
@pytest.mark.parametrize("first", ENDS)
def test_engine_does_what_the_page_says(join: Join, first: str) -> None:
    for second in (ALONE, NOT_ENDED, *ENDS):
        ends = [first] if second == ALONE else [first, second]
        found = {decided(join, ends, order) for order in permutations(range(len(ends)))}
        assert found == {table(join)[first, second]}, (join, first, second)


def test_page_knows_every_join_and_every_end_by_the_same_name() -> None:
    text = PAGE.read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == [f"## `join: {join}`" for join in Join]
    legend = text.partition("| in the tables |")[2].partition("\n\n")[0]
    assert [cells_of(line)[0] for line in legend.splitlines()[2:]] == list(ENDS)


def test_step_without_parents_runs_whatever_its_join() -> None:
    for join in Join:
        assert Scheduler(dict(enumerate(plan_of([[]], options=[{"join": join.value}]).nodes))).start() == [0]
