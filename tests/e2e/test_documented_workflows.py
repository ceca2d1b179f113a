"""Every example of docs/workflows.md does what the page says, on real servers."""

import asyncio
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from httpx2 import AsyncClient
from pydantic import BaseModel
from pydantic_core import from_json, to_json

from models.definition import NOT_YET_IN_DEFINITION, NOT_YET_IN_STEP, Definition, DefinitionHead, StepDefinition
from models.documents import read_yaml
from models.identity import Role
from tests.docs.workflow_examples import RIGHT, Example, examples_of, name_of
from tests.e2e.conftest import Platform
from tests.e2e.test_language import counter, ended, steps_of, until

COMPILED_ONLY = {"measure": "it loads a repository, which tests/e2e/test_code_review.py does"}


class Playing:
    """One example being played: who plays it, and the runs there are."""

    def __init__(self, requester: AsyncClient, other: AsyncClient, block: str, example: Example) -> None:
        self._requester = requester
        self._other = other
        self._workflow = name_of(block)
        self._example = example
        self._more_runs: list[str] = []

    async def found(self) -> list[tuple[str, str]]:
        """What there is to be found, in the words of the example."""
        answer = await self._start()
        if answer["status"] == HTTPStatus.UNPROCESSABLE_ENTITY:
            return [("refused", ", ".join(error["code"] for error in answer["errors"]))]
        run_id = answer["run_id"]
        for word, rest in self._example.acts:
            await self._act(run_id, word, rest)
        run = await until(self._requester, run_id, ended)
        for other in self._more_runs:
            await self._requester.post(f"/workflow/{self._workflow}/executions/{other}/cancel")
            await until(self._requester, other, ended)
        return [(word, await self._finding(run, word, rest)) for word, rest in self._example.finds]

    async def _start(self) -> dict[str, Any]:
        body = {"input": self._example.input, "dry_run": self._example.dry_run}
        return (await self._requester.post(f"/workflow/{self._workflow}/execute", json=body)).json()

    async def _act(self, run_id: str, word: str, rest: str) -> None:
        base = f"/workflow/{self._workflow}/executions/{run_id}"
        match word:
            case "again":
                await until(self._requester, run_id, lambda run: run["steps"][0]["status"] == "waiting")
                await self._start_again(rest)
            case "signal":
                name, _, payload = rest.partition(" ")
                body = {"payload": from_json(payload) if payload else None}
                answer = await self._requester.post(f"{base}/signals/{name}", json=body)
                assert answer.status_code == 202, answer.text
            case _:
                await self._answer(base, *rest.split(" ", 2))

    async def _start_again(self, expected: str) -> None:
        answer = await self._start()
        if "run_id" not in answer:
            assert expected == f"refused {answer['code']}", answer
            return
        self._more_runs.append(answer["run_id"])
        await until(self._requester, answer["run_id"], lambda run: run["status"] == expected)

    async def _answer(self, base: str, step: str, decision: str, more: str = "") -> None:
        as_requester = more == "as requester"
        client = self._requester if as_requester else self._other
        body = {"data": from_json(more)} if more and not as_requester else {}
        async with asyncio.timeout(60):
            while True:
                answer = await client.post(f"{base}/steps/{step}/{decision}", json=body)
                if answer.status_code != HTTPStatus.NOT_FOUND:
                    break
                await asyncio.sleep(0.05)  # the question has not been put yet
        assert answer.status_code == 200, answer.text

    async def _finding(self, run: dict[str, Any], word: str, expected: str) -> str:
        match word:
            case "gives" if run["status"] == "completed":
                same = run["output"] == from_json(expected)
                return expected if same else to_json(run["output"]).decode()
            case "gives" | "ends" | "refused":
                return " ".join([run["status"], *([run["error"]["code"]] if run["error"] else [])])
            case "step":
                name = expected.partition(" ")[0]
                step = steps_of(run)[name]
                return " ".join([name, step["status"], *([step["reason"]] if step["reason"] else [])])
            case "undone":
                return ", ".join(one["id"].removesuffix(":undo") for one in run["compensations"])
            case _:
                key = expected.partition(" ")[0]
                return f"{key} {await counter(self._requester, key)}"


async def play(requester: AsyncClient, other: AsyncClient, block: str) -> list[list[tuple[str, str]]]:
    """What is found of each run of a block, one after the other."""
    return [await Playing(requester, other, block, example).found() for example in examples_of(block)]


async def test_every_example_does_what_it_says(admin: AsyncClient, platform: Platform) -> None:
    headers = {"Content-Type": "application/yaml"}
    for block in RIGHT:
        answer = await admin.post("/workflow", content=block, headers=headers)
        assert answer.status_code == 201, answer.text
    blocks = {name_of(block): block for block in RIGHT if examples_of(block)}
    async with await platform.client("other", Role.ADMIN) as other, asyncio.TaskGroup() as group:
        playing = {name: group.create_task(play(admin, other, block)) for name, block in blocks.items()}
    said = {name: [one.finds for one in examples_of(block)] for name, block in blocks.items()}
    found = {name: task.result() for name, task in playing.items()}
    assert {name: one for name, one in found.items() if one != said[name]} == {}


def test_every_block_is_run_and_every_run_finds_something() -> None:
    assert {name_of(block) for block in RIGHT if not examples_of(block)} == set(COMPILED_ONLY)
    assert len({name_of(block) for block in RIGHT}) == len(RIGHT)
    for block in RIGHT:
        assert all(example.finds for example in examples_of(block)), name_of(block)


def models_in(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and those of its fields."""
    yield model
    for field in model.model_fields.values():
        kinds = [field.annotation]
        for kind in kinds:
            kinds.extend(getattr(kind, "__args__", ()))
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from models_in(kind)


def fields_set(value: BaseModel) -> Iterator[tuple[str, str]]:
    """Model and name of every field that is written somewhere in a definition."""
    for name in value.model_fields_set:
        yield type(value).__name__, name
        given = getattr(value, name)
        for one in given if isinstance(given, tuple) else (given,):
            if isinstance(one, BaseModel):
                yield from fields_set(one)


def test_every_field_of_the_language_is_in_an_example_that_runs() -> None:
    not_yet = {*NOT_YET_IN_STEP, *NOT_YET_IN_DEFINITION}
    wanted = {
        (model.__name__.replace("DefinitionHead", "Definition"), name)
        for top in (DefinitionHead, StepDefinition)
        for model in models_in(top)
        for name in model.model_fields
        if name not in not_yet
    }
    definitions = [Definition.model_validate(read_yaml(block.encode())) for block in RIGHT if examples_of(block)]
    assert ("MapOptions", "as_") in wanted
    assert wanted - {found for definition in definitions for found in fields_set(definition)} == set()
