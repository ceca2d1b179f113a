"""A seeded part of the definitions nobody wrote; the whole is posted by `python -m tests.e2e.fuzzing --count 2000`."""

from httpx2 import AsyncClient

from tests.e2e.fuzz_cases import CHANGES, DAMAGES, cases
from tests.e2e.fuzzing import Fuzz

COUNT = 200


async def test_generated_definitions_are_judged_and_run_as_the_oracle_says(admin: AsyncClient) -> None:
    fuzz = Fuzz(admin)
    await fuzz.post_all(cases(4, COUNT))
    assert fuzz.wrong == []
    assert fuzz.seen.total() == COUNT
    assert {"right: 201", "cycle: 422", "strange_id: 422"} <= set(fuzz.seen)


def test_every_kind_of_damage_is_done() -> None:
    names = {case.name for case in cases(1, 2_000)}
    assert names == {"right", *(one.__name__ for one in (*DAMAGES, *CHANGES))}
