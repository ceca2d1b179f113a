"""What the controls of the language cost in history events."""

from typing import Any

from tests.e2e.conftest import step
from tests.workflows.conftest import Engine

CHAIN = [step("s0", input={"value": 0}), *(step(f"s{n}", input={"value": f"from:s{n - 1}.value"}) for n in range(1, 6))]


async def events_of(engine: Engine, steps: list[dict[str, Any]], **options: Any) -> int:
    handle = await engine.start({"id": "costs", "steps": steps, **options})
    await handle.result()
    return (await handle.describe()).history_length


async def test_condition_switch_and_reference_cost_nothing(engine: Engine) -> None:
    plain = await events_of(engine, CHAIN)
    conditional = [{**one, "when": f'steps["s{n - 1}"].value == 0'} if n else one for n, one in enumerate(CHAIN)]
    assert await events_of(engine, conditional) == plain
    switches: list[dict[str, Any]] = [
        {
            "id": f"c{n}",
            "switch": [{"when": f'steps["s{n}"].value > 5', "value": f"from:s{n}.value"}, {"value": "small"}],
        }
        for n in range(5)
    ]
    assert await events_of(engine, [*CHAIN, *switches]) == plain
    skipped = [step(f"k{n}", when='steps["s1"].value == 9') for n in range(20)]
    assert await events_of(engine, [*CHAIN, *skipped]) == plain
    references = {f"v{n}": f"from:s{n % 6}.value" for n in range(60)}
    assert await events_of(engine, CHAIN, output=references) == plain


async def test_map_costs_what_its_activities_cost(engine: Engine) -> None:
    side_by_side = [step(f"s{n}", input={"value": n}) for n in range(50)]
    mapped = [step("m", map={"items": list(range(50))}, input={"value": "from:item"})]
    for steps in (side_by_side, mapped):
        await events_of(engine, steps)
    activities = 3 * 50
    tasks = [await events_of(engine, steps) - activities for steps in (side_by_side, mapped)]
    assert all(count > 0 for count in tasks)
    assert tasks[1] <= tasks[0] + 3 * 10  # workflow tasks: how completions fall together is a matter of the moment
