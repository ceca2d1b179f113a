"""Every control of the language over HTTP, on real servers."""

import asyncio
import re
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select
from temporalio.client import Client

from models.identity import Role
from models.persistence.tables import approvals, runs
from tests.e2e.conftest import Platform, step
from tests.e2e.test_runs import apply, execute

ANY = {"type": "object"}


async def until(client: AsyncClient, run_id: str, holds: Any) -> dict[str, Any]:
    """The run as soon as it is as it should be."""
    async with asyncio.timeout(60):
        while True:
            run = (await client.get(f"/runs/{run_id}")).json()
            if holds(run):
                return run
            await asyncio.sleep(0.05)


def ended(run: dict[str, Any]) -> bool:
    return run["ended_at"] is not None


def steps_of(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in run["steps"]}


async def counter(client: AsyncClient, key: str) -> int:
    return (await client.get(f"/flow/counters/{key}")).json()["value"]


async def begin(client: AsyncClient, workflow: str, run_input: Any = None, **body: Any) -> str:
    answer = await client.post(f"/workflow/{workflow}/execute", json={"input": run_input or {}, **body})
    assert answer.status_code == 202, answer.text
    return answer.json()["run_id"]


@pytest.fixture
async def other(platform: Platform) -> AsyncClient:
    """Another admin than the one who starts runs."""
    return await platform.client("other", Role.ADMIN)


async def test_branches_skip_and_join(admin: AsyncClient) -> None:
    await apply(
        admin,
        {
            "id": "branches",
            "input": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
            "steps": [
                {"id": "size", "switch": [{"when": "input.n > 10", "value": "big"}, {"value": "small"}]},
                step("big", when='steps["size"] == "big"', input={"value": "from:size"}),
                step("small", when='steps["size"] == "small"', input={"value": "from:size"}),
                step("after", join="any", input={"value": ["from:big.value ?? 0", "from:small.value ?? 0"]}),
                step("strict", depends_on=["big", "small"]),
            ],
            "output": "from:after.value",
        },
    )
    run = await execute(admin, "branches", {"n": 50})
    assert (run["status"], run["output"]) == ("completed", ["big", 0])
    assert {name: (one["status"], one["reason"]) for name, one in steps_of(run).items()} == {
        "size": ("succeeded", None),
        "big": ("succeeded", None),
        "small": ("skipped", "condition"),
        "after": ("succeeded", None),
        "strict": ("skipped", "upstream"),
    }
    assert steps_of(run)["size"]["output"] == "big"


async def test_map_runs_each_item_once_and_lists_its_parts(admin: AsyncClient) -> None:
    key = f"map-{uuid4()}"
    await apply(
        admin,
        {
            "id": "mapped",
            "input": {"type": "object", "properties": {"list": {"type": "array"}}, "required": ["list"]},
            "steps": [
                step("m", "count", map={"items": "from:input.list", "max_parallel": 7}, input={"key": key}),
                step("large", map={"items": "from:input.list"}, input={"value": ["from:item", "x" * 500]}),
            ],
            "output": {"count": "from:m", "last": "from:large[-1].value[0]"},
        },
    )
    run = await execute(admin, "mapped", {"list": list(range(30))})
    assert run["status"] == "completed", run
    assert await counter(admin, key) == 30
    assert sorted(one["value"] for one in run["output"]["count"]) == list(range(1, 31))
    assert run["output"]["last"] == 29
    assert steps_of(run)["m"]["detail"]["items"] == {"total": 30, "ended": 30, "failed": 0, "skipped": 0}
    base = f"/workflow/mapped/executions/{run['run_id']}/steps/m"
    first = (await admin.get(f"{base}/parts?limit=20")).json()
    rest = (await admin.get(f"{base}/parts?limit=20&cursor={first['next_cursor']}")).json()
    assert [one["id"] for one in (*first["items"], *rest["items"])] == [f"m[{n}]" for n in range(30)]
    whole = (await admin.get(f"/workflow/mapped/executions/{run['run_id']}/steps/large/output")).json()
    assert whole == [{"value": [n, "x" * 500]} for n in range(30)]


async def test_while_turns_until_its_condition_no_longer_holds(admin: AsyncClient) -> None:
    key = f"while-{uuid4()}"
    await apply(
        admin,
        {
            "id": "turning",
            "steps": [
                step("w", "count", input={"key": key}, **{"while": {"condition": 'steps["w"].value < 5', "max": 9}})
            ],
            "output": "from:w.value",
        },
    )
    run = await execute(admin, "turning")
    assert (run["status"], run["output"]) == ("completed", 5)
    assert steps_of(run)["w"]["detail"]["turn"] == 5


async def test_expression_over_a_long_list_and_stored_values(admin: AsyncClient) -> None:
    await apply(
        admin,
        {
            "id": "long",
            "input": {
                "type": "object",
                "properties": {"list": {"type": "array", "items": {"type": "integer"}}},
                "required": ["list"],
            },
            "steps": [
                step("a", input={"value": "from:input.list"}),
                step(
                    "b", map={"items": 'items(steps["a"].value).filter(n, n % 500 == 0)'}, input={"value": "from:item"}
                ),
                step("c", when='items(steps["a"].value).exists(n, n == 1499)', depends_on=["b"]),
                {"id": "pick", "switch": [{"when": 'size(items(steps["a"].value)) > 3', "value": "from:a.value[3]"}]},
            ],
            "output": {"b": "from:b", "pick": "from:pick"},
        },
    )
    run = await execute(admin, "long", {"list": list(range(1_500))})
    assert run["status"] == "completed", run["error"]
    assert run["output"] == {"b": [{"value": 0}, {"value": 500}, {"value": 1000}], "pick": 3}
    assert steps_of(run)["c"]["status"] == "succeeded"


CHILD: dict[str, Any] = {
    "id": "child",
    "input": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    "steps": [step("a", input={"value": "from:input.n"}), step("big", input={"value": "x" * 6_000})],
    "output": {"n": "from:a.value", "big": "from:big.value"},
}


class TestSubWorkflow:
    async def test_runs_as_a_step_with_a_run_of_its_own(self, admin: AsyncClient) -> None:
        await apply(admin, CHILD)
        await apply(
            admin,
            {
                "id": "parent",
                "steps": [
                    {"id": "one", "workflow": {"id": "child"}, "input": {"n": 1}},
                    {
                        "id": "each",
                        "map": {"items": [1, 2, 3]},
                        "workflow": {"id": "child"},
                        "input": {"n": "from:item"},
                    },
                    {"id": "apart", "workflow": {"id": "child", "wait": False}, "input": {"n": 9}},
                    step("after", input={"value": ["from:one.n", "from:each[2].n", "from:each[2].big"]}),
                ],
                "output": {"after": "from:after.value", "apart": "from:apart.run_id"},
            },
        )
        run = await execute(admin, "parent")
        assert run["status"] == "completed", run["error"]
        assert run["output"]["after"] == [1, 3, "x" * 6_000]
        child = (await admin.get(f"/runs/{steps_of(run)['one']['detail']['run_id']}")).json()
        assert (child["status"], child["workflow"], child["parent"]) == ("completed", "child", run["run_id"])
        apart = await until(admin, run["output"]["apart"], ended)
        assert (apart["status"], apart["output"]["n"]) == ("completed", 9)

    async def test_types_are_checked_into_and_out_of_it(self, admin: AsyncClient) -> None:
        await apply(admin, CHILD)
        answer = await admin.post(
            "/workflow/validate",
            json={
                "id": "parent",
                "steps": [
                    {"id": "one", "workflow": {"id": "child"}, "input": {"n": "text"}},
                    step("two", "sleep", input={"seconds": "from:one.big"}),
                    step("three", input={"value": "from:one.nothing"}),
                    {"id": "four", "workflow": {"id": "nobody"}},
                ],
            },
        )
        found = {(one["code"], one["pointer"]) for one in answer.json()["errors"]}
        assert found == {
            ("type-mismatch", "/steps/0/input/n"),
            ("unknown-path", "/steps/2/input/value"),
            ("unknown-workflow", "/steps/3/workflow/id"),
        }

    async def test_circle_of_workflows_is_refused(self, admin: AsyncClient) -> None:
        calls = {"id": "a", "workflow": {"id": "first"}}
        await apply(admin, {"id": "first", "steps": [step("a")]})
        await apply(admin, {"id": "second", "steps": [calls]})
        answer = await admin.post(
            "/workflow", json={"id": "first", "steps": [{"id": "b", "workflow": {"id": "second"}}]}
        )
        assert answer.status_code == 422
        assert [(one["code"], one["pointer"]) for one in answer.json()["errors"]] == [("cycle", "/steps/0/workflow")]

    async def test_running_parent_keeps_the_version_it_was_checked_with(self, admin: AsyncClient) -> None:
        await apply(admin, CHILD)
        await apply(
            admin,
            {
                "id": "parent",
                "steps": [
                    {"id": "w", "wait": {"signal": "go"}},
                    {"id": "one", "workflow": {"id": "child"}, "input": {"n": 1}, "depends_on": ["w"]},
                ],
                "output": "from:one.n",
            },
        )
        run_id = await begin(admin, "parent")
        changed = {**CHILD, "steps": [step("a", input={"value": 77}), CHILD["steps"][1]]}
        await apply(admin, changed)
        await until(admin, run_id, lambda run: steps_of(run)["w"]["status"] == "waiting")
        await admin.post(f"/workflow/parent/executions/{run_id}/signals/go")
        assert (await until(admin, run_id, ended))["output"] == 1

    async def test_failure_and_cancellation_cross_over(self, admin: AsyncClient) -> None:
        await apply(
            admin,
            {
                "id": "bad",
                "steps": [step("x", "fail", input={"message": "no", "code": "unlucky"}, retry={"max_attempts": 1})],
            },
        )
        await apply(admin, {"id": "parent", "steps": [{"id": "one", "workflow": {"id": "bad"}}]})
        run = await execute(admin, "parent")
        assert (run["status"], run["error"]["code"]) == ("failed", "unlucky")
        await apply(
            admin, {"id": "slow", "steps": [step("x", "sleep", input={"seconds": 600}, timeout={"heartbeat": 1})]}
        )
        await apply(admin, {"id": "parent", "steps": [{"id": "one", "workflow": {"id": "slow"}}]})
        run_id = await begin(admin, "parent")
        run = await until(admin, run_id, lambda run: steps_of(run)["one"]["detail"] is not None)
        child = steps_of(run)["one"]["detail"]["run_id"]
        await until(admin, child, lambda run: run["steps"][0]["status"] == "running")
        await admin.post(f"/workflow/parent/executions/{run_id}/cancel")
        assert (await until(admin, run_id, ended))["status"] == "cancelled"
        assert (await until(admin, child, ended))["status"] == "cancelled"
        assert steps_of(await until(admin, run_id, ended))["one"]["status"] == "cancelled"
        children = (await admin.get(f"/runs?parent={run_id}")).json()["items"]
        assert [one["run_id"] for one in children] == [child]


@pytest.mark.parametrize("part", ["map", "while"])
async def test_cancelling_begins_no_further_part_even_where_one_completes(admin: AsyncClient, part: str) -> None:
    parts = {
        "map": {"map": {"items": list(range(40)), "max_parallel": 1}},
        "while": {"while": {"condition": "true", "max": 40}},
    }
    name = f"parts-{part}"
    await apply(admin, {"id": name, "steps": [step("s", "sleep", input={"seconds": 0.3}, **parts[part])]})
    run_id = await begin(admin, name)
    await until(admin, run_id, lambda run: bool(run["steps"][0]["detail"]))
    await admin.post(f"/workflow/{name}/executions/{run_id}/cancel")
    run = await until(admin, run_id, ended)
    assert (run["status"], run["steps"][0]["status"]) == ("cancelled", "cancelled")
    done = (await admin.get(f"/workflow/{name}/executions/{run_id}/steps/s/parts?limit=200")).json()["items"]
    assert len(done) < 40


async def test_parts_that_all_wait_or_retry_make_their_step_do_so(admin: AsyncClient) -> None:
    retry = {"max_attempts": 5, "initial": "1h", "max_interval": "1h"}
    raw = step("m", "fail", map={"items": [1, 2]}, input={"message": "no", "code": "unlucky"}, retry=retry)
    await apply(admin, {"id": "retrying", "steps": [raw]})
    run_id = await begin(admin, "retrying")
    run = await until(admin, run_id, lambda run: run["steps"][0]["status"] == "retrying")
    (shown,) = run["steps"]
    assert shown["error"]["code"] == "unlucky"
    assert re.fullmatch(r"next attempt of m\[[01]\] and 1 more", shown["reason"])
    assert shown["next_attempt_at"] > run["started_at"]
    parts = (await admin.get(f"/workflow/retrying/executions/{run_id}/steps/m/parts")).json()["items"]
    assert [(one["id"], one["status"], one["next_attempt_at"] is not None) for one in parts] == [
        ("m[0]", "retrying", True),
        ("m[1]", "retrying", True),
    ]
    await admin.post(f"/workflow/retrying/executions/{run_id}/cancel")


class TestWaiting:
    async def test_signal_is_checked_delivered_once_and_says_what_is_waited_for(self, admin: AsyncClient) -> None:
        await apply(
            admin,
            {
                "id": "waiting",
                "steps": [
                    {
                        "id": "w",
                        "wait": {
                            "signal": "go",
                            "schema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
                            "timeout": "1h",
                        },
                    },
                    {"id": "again", "wait": {"signal": "go", "timeout": "1h"}, "depends_on": ["w"]},
                ],
                "output": {"first": "from:w.n", "second": "from:again"},
            },
        )
        run_id = await begin(admin, "waiting")
        run = await until(admin, run_id, lambda run: steps_of(run)["w"]["status"] == "waiting")
        assert steps_of(run)["w"]["reason"] == "the signal go"
        assert steps_of(run)["w"]["detail"]["until"] > run["started_at"]
        signals = f"/workflow/waiting/executions/{run_id}/signals"
        assert (await admin.post(f"{signals}/nobody")).status_code == 404
        for _ in range(3):
            answer = await admin.post(f"{signals}/go", json={"payload": {"n": 1}, "id": "first"})
            assert answer.status_code == 202, answer.text
        await until(admin, run_id, lambda run: steps_of(run)["again"]["status"] == "waiting")
        await admin.post(f"{signals}/go", json={"payload": "x" * 10_000})
        run = await until(admin, run_id, ended)
        assert (run["status"], run["output"]) == ("completed", {"first": 1, "second": "x" * 10_000})
        assert (await admin.post(f"{signals}/go")).status_code == 409

    async def test_bad_payload_is_refused_with_its_place(self, admin: AsyncClient) -> None:
        await apply(
            admin,
            {
                "id": "typed",
                "steps": [
                    {
                        "id": "w",
                        "wait": {
                            "signal": "go",
                            "schema": {"type": "object", "properties": {"n": {"type": "integer"}}},
                        },
                    }
                ],
            },
        )
        run_id = await begin(admin, "typed")
        answer = await admin.post(f"/workflow/typed/executions/{run_id}/signals/go", json={"payload": {"n": "x"}})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/payload/n")
        await admin.post(f"/workflow/typed/executions/{run_id}/cancel")

    async def test_signal_by_temporals_own_client_counts_too(self, admin: AsyncClient, temporal: Client) -> None:
        await apply(admin, {"id": "plain", "steps": [{"id": "w", "wait": {"signal": "go"}}], "output": "from:w"})
        run_id = await begin(admin, "plain")
        await temporal.get_workflow_handle(run_id).signal("go", {"by": "hand"})
        assert (await until(admin, run_id, ended))["output"] == {"by": "hand"}

    async def test_cancelling_ends_a_wait_at_once(self, admin: AsyncClient) -> None:
        await apply(admin, {"id": "long-wait", "steps": [{"id": "w", "wait": {"for": "1d"}}]})
        run_id = await begin(admin, "long-wait")
        await until(admin, run_id, lambda run: steps_of(run)["w"]["status"] == "waiting")
        await admin.post(f"/workflow/long-wait/executions/{run_id}/cancel")
        run = await until(admin, run_id, ended)
        assert (run["status"], steps_of(run)["w"]["status"]) == ("cancelled", "cancelled")


ASKING: dict[str, Any] = {
    "id": "asking",
    "access": {"execute": ["learner", "admin"]},
    "steps": [
        step("a", input={"value": 12}),
        {
            "id": "ok",
            "description": "May we?",
            "approval": {"schema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}},
            "input": {"price": "from:a.value"},
        },
    ],
    "output": {"by": "from:ok.by", "n": "from:ok.data.n"},
}


class TestApproval:
    async def test_answer_by_somebody_else_goes_on(self, admin: AsyncClient, other: AsyncClient) -> None:
        await apply(admin, ASKING)
        run_id = await begin(admin, "asking")
        run = await until(admin, run_id, lambda run: steps_of(run)["ok"]["status"] == "waiting")
        assert steps_of(run)["ok"]["reason"] == "an answer by admin"
        async with asyncio.timeout(30):
            while not (mine := (await other.get("/approvals")).json()["items"]):  # noqa: ASYNC110 - a server knows
                await asyncio.sleep(0.05)
        assert [(one["run_id"], one["step_id"], one["summary"], one["shown"]) for one in mine] == [
            (run_id, "ok", "May we?", {"price": 12})
        ]
        assert (await admin.get("/approvals")).json()["items"] == []
        approve = mine[0]["links"]["approve"].removeprefix("/api/v1")
        assert (await admin.post(approve, json={"data": {"n": 1}})).status_code == 403
        wrong = await other.post(approve, json={"data": {"n": "x"}})
        assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/data/n")
        answer = await other.post(approve, json={"data": {"n": 3}, "comment": "yes"})
        assert (answer.status_code, answer.json()["status"]) == (200, "approved"), answer.text
        run = await until(admin, run_id, ended)
        assert (run["status"], run["output"]) == ("completed", {"by": "other", "n": 3})
        assert (await other.post(approve, json={"data": {"n": 3}})).status_code == 200
        rejected = await other.post(approve.replace("approve", "reject"))
        assert (rejected.status_code, rejected.json()["code"]) == (409, "already-answered")
        audit = (await admin.get("/audit?limit=200")).json()["items"]
        assert [(one["actor_id"], one["detail"]) for one in audit if one["action"] == "approval.answer"] == [
            ("other", {"step": "ok", "decision": "approved"})
        ]

    async def test_rejection_fails_the_run_and_learners_do_not_answer(
        self, admin: AsyncClient, platform: Platform
    ) -> None:
        await apply(admin, ASKING)
        learner = await platform.client("ada", Role.LEARNER)
        run_id = await begin(learner, "asking")
        await until(admin, run_id, lambda run: steps_of(run)["ok"]["status"] == "waiting")
        reject = f"/workflow/asking/executions/{run_id}/steps/ok/reject"
        stranger = await platform.client("eve", Role.LEARNER)
        assert (await stranger.post(reject)).status_code == 404
        assert (await learner.post(reject)).status_code == 403
        assert (await admin.post(reject, json={"comment": "too dear"})).json()["status"] == "rejected"
        run = await until(admin, run_id, ended)
        assert (run["status"], run["error"]["code"]) == ("failed", "rejected")
        assert "too dear" in run["error"]["message"]

    async def test_question_of_a_run_that_ended_is_withdrawn(self, admin: AsyncClient, platform: Platform) -> None:
        await apply(admin, ASKING)
        run_id = await begin(admin, "asking")
        await until(admin, run_id, lambda run: steps_of(run)["ok"]["status"] == "waiting")
        await admin.post(f"/workflow/asking/executions/{run_id}/cancel")
        await until(admin, run_id, ended)
        async with platform.database.connect() as connection:
            assert await connection.scalar(select(approvals.c.status)) == "withdrawn"


class TestCompensation:
    async def test_is_done_in_reverse_retried_and_recorded(self, admin: AsyncClient) -> None:
        key = f"saga-{uuid4()}"
        undo = {"service": "flow", "action": "count", "input": {"key": f"{key}-undone"}}
        await apply(
            admin,
            {
                "id": "saga",
                "steps": [
                    step("a", "count", input={"key": key}, compensate=undo),
                    step(
                        "b",
                        "count",
                        input={"key": key},
                        depends_on=["a"],
                        compensate={"service": "flow", "action": "fail", "input": {"message": "not yet", "times": 1}},
                    ),
                    step("c", "count", input={"key": key}, depends_on=["b"], compensate=undo),
                    step("d", "fail", input={"message": "no"}, retry={"max_attempts": 1}, depends_on=["c"]),
                ],
                "on_failure": [step("tell", input={"value": "from:error.step"})],
            },
        )
        run = await execute(admin, "saga")
        assert (run["status"], run["error"]["step"]) == ("failed", "d")
        assert [(one["id"], one["status"], one["attempts"]) for one in run["compensations"]] == [
            ("c:undo", "succeeded", 1),
            ("b:undo", "succeeded", 2),
            ("a:undo", "succeeded", 1),
        ]
        assert (await counter(admin, key), await counter(admin, f"{key}-undone")) == (3, 2)
        assert steps_of(run)["tell"]["output"] == {"value": "d"}

    async def test_happens_when_a_run_is_cancelled(self, admin: AsyncClient) -> None:
        key = f"saga-{uuid4()}"
        undo = {"service": "flow", "action": "count", "input": {"key": f"{key}-undone"}}
        await apply(
            admin,
            {
                "id": "saga",
                "steps": [
                    step("a", "count", input={"key": key}, compensate=undo),
                    {"id": "w", "wait": {"for": "1d"}, "depends_on": ["a"]},
                ],
            },
        )
        run_id = await begin(admin, "saga")
        await until(admin, run_id, lambda run: steps_of(run)["w"]["status"] == "waiting")
        await admin.post(f"/workflow/saga/executions/{run_id}/cancel")
        run = await until(admin, run_id, ended)
        assert run["status"] == "cancelled"
        assert await counter(admin, f"{key}-undone") == 1


async def test_cached_result_is_used_again_by_the_same_user_only(admin: AsyncClient, platform: Platform) -> None:
    key = f"cache-{uuid4()}"
    await apply(
        admin,
        {
            "id": "cached",
            "access": {"execute": ["learner", "admin"]},
            "steps": [step("a", "count", input={"key": key}, cache={"key": ["from:input.n"], "ttl": "1h"})],
            "input": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
            "output": "from:a.value",
        },
    )
    learner = await platform.client("ada", Role.LEARNER)
    results = [
        (await execute(client, "cached", {"n": n}))["output"]
        for client, n in [(admin, 1), (admin, 1), (admin, 2), (learner, 1), (learner, 1)]
    ]
    assert results == [1, 1, 2, 3, 3]
    run = await execute(admin, "cached", {"n": 2})
    assert (run["steps"][0]["reason"], run["output"]) == ("cached", 2)


class TestDryRun:
    async def test_touches_nothing(self, admin: AsyncClient) -> None:
        key = f"dry-{uuid4()}"
        await apply(
            admin,
            {
                "id": "dry",
                "steps": [
                    step("a", "count", input={"key": key}, mock={"key": key, "value": 41}),
                    step("b", input={"value": "from:a.value"}),
                    {
                        "id": "ok",
                        "approval": {},
                        "mock": {
                            "decision": "approved",
                            "by": "x",
                            "at": "2026-01-01T00:00:00Z",
                            "comment": None,
                            "data": None,
                        },
                    },
                    {"id": "w", "wait": {"for": "1d"}},
                ],
                "output": "from:b.value",
            },
        )
        answer = await admin.post("/workflow/dry/execute?wait=30", json={"dry_run": True})
        run = answer.json()
        assert (run["status"], run["output"], run["dry_run"]) == ("completed", 41, True)
        assert await counter(admin, key) == 0

    async def test_says_which_mocks_are_missing(self, admin: AsyncClient) -> None:
        await apply(
            admin,
            {
                "id": "dry",
                "steps": [step("a", "count", input={"key": "k"}), step("b"), step("c", "sleep", input={"seconds": 0})],
            },
        )
        answer = await admin.post("/workflow/dry/execute", json={"dry_run": True})
        assert answer.status_code == 422
        assert [one["code"] for one in answer.json()["errors"]] == ["missing-mock", "missing-mock"]


class TestConcurrency:
    @staticmethod
    def raw(policy: str, **rest: Any) -> dict[str, Any]:
        return {
            "id": f"one-{policy}",
            "input": {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]},
            "concurrency": {"key": "from:input.key", "max": 1, "policy": policy},
            "steps": [{"id": "w", "wait": {"signal": "go"}}],
            **rest,
        }

    async def test_queue_lets_one_after_the_other_begin_in_their_order(self, admin: AsyncClient) -> None:
        raw = self.raw("queue")
        await apply(admin, raw)
        first, second, third = [await begin(admin, raw["id"], {"key": "k"}) for _ in range(3)]
        other = await begin(admin, raw["id"], {"key": "other"})
        await until(admin, other, lambda run: run["steps"][0]["status"] == "waiting")
        for run_id, waiting in ((first, [second, third]), (second, [third]), (third, [])):
            await until(admin, run_id, lambda run: run["steps"][0]["status"] == "waiting")
            for one in waiting:
                assert (await admin.get(f"/runs/{one}")).json()["status"] == "queued"
            await admin.post(f"/workflow/{raw['id']}/executions/{run_id}/signals/go")
            await until(admin, run_id, ended)

    async def test_reject_answers_409(self, admin: AsyncClient) -> None:
        raw = self.raw("reject")
        await apply(admin, raw)
        run_id = await begin(admin, raw["id"], {"key": "k"})
        refused = await admin.post(f"/workflow/{raw['id']}/execute", json={"input": {"key": "k"}})
        assert (refused.status_code, refused.json()["code"]) == (409, "concurrency-limit")
        assert await begin(admin, raw["id"], {"key": "other"})
        await admin.post(f"/workflow/{raw['id']}/executions/{run_id}/cancel")
        await until(admin, run_id, ended)
        assert await begin(admin, raw["id"], {"key": "k"})

    async def test_cancel_oldest_makes_room(self, admin: AsyncClient) -> None:
        raw = self.raw("cancel_oldest")
        await apply(admin, raw)
        first, second = [await begin(admin, raw["id"], {"key": "k"}) for _ in range(2)]
        assert (await until(admin, first, ended))["status"] == "cancelled"
        await until(admin, second, lambda run: run["steps"][0]["status"] == "waiting")

    async def test_terminated_run_gives_its_place_back(self, admin: AsyncClient, temporal: Client) -> None:
        raw = self.raw("queue")
        await apply(admin, raw)
        first, second = [await begin(admin, raw["id"], {"key": "k"}) for _ in range(2)]
        await until(admin, first, lambda run: run["steps"][0]["status"] == "waiting")
        await temporal.get_workflow_handle(first).terminate()
        await until(admin, second, lambda run: run["steps"][0]["status"] == "waiting")

    async def test_runs_that_are_steps_take_places_too(self, admin: AsyncClient) -> None:
        key = f"child-{uuid4()}"
        child = {
            "id": "narrow",
            "concurrency": {"max": 1},
            "steps": [
                step("a", "count", input={"key": key}),
                step("b", "sleep", input={"seconds": 0.1}, depends_on=["a"]),
            ],
        }
        await apply(admin, child)
        each = {"id": "m", "map": {"items": [1, 2, 3]}, "workflow": {"id": "narrow"}}
        await apply(admin, {"id": "wide", "steps": [each]})
        run = await execute(admin, "wide")
        assert run["status"] == "completed", run["error"]
        children = (await admin.get(f"/runs?parent={run['run_id']}")).json()["items"]
        assert await counter(admin, key) == 3
        spans = sorted((one["ended_at"], one["run_id"]) for one in children)
        assert len(spans) == 3
        await apply(admin, {**child, "concurrency": {"max": 1, "policy": "reject"}})
        await apply(admin, {"id": "wide", "steps": [{**each, "map": {"items": [1, 2, 3], "on_error": "continue"}}]})
        run = await execute(admin, "wide")
        children = (await admin.get(f"/runs?parent={run['run_id']}")).json()["items"]
        assert sorted(one["status"] for one in children) == ["completed", "failed", "failed"]
        assert {one["error"]["code"] for one in children if one["error"]} == {"concurrency-limit"}

    async def test_queued_run_can_be_cancelled(self, admin: AsyncClient, platform: Platform) -> None:
        raw = self.raw("queue")
        await apply(admin, raw)
        first, second = [await begin(admin, raw["id"], {"key": "k"}) for _ in range(2)]
        await admin.post(f"/workflow/{raw['id']}/executions/{second}/cancel")
        assert (await until(admin, second, ended))["status"] == "cancelled"
        async with platform.database.connect() as connection:
            assert await connection.scalar(select(runs.c.ended_at).where(runs.c.run_id == first)) is None


async def test_workflow_publishes_its_schemas(admin: AsyncClient) -> None:
    await apply(admin, CHILD)
    shown = (await admin.get("/workflow/child")).json()
    assert shown["input_schema"]["required"] == ["n"]
    assert shown["output_schema"]["required"] == ["n", "big"]


@pytest.mark.parametrize("size", [500, 3_000])
async def test_long_map_continues_as_new_and_counts_exactly(admin: AsyncClient, size: int) -> None:
    key = f"long-{uuid4()}"
    await apply(
        admin,
        {
            "id": "long-map",
            "input": {"type": "object", "properties": {"list": {"type": "array"}}, "required": ["list"]},
            "steps": [step("m", "count", map={"items": "from:input.list", "max_parallel": 200}, input={"key": key})],
            "output": "from:m[-1].key",
        },
    )
    run = await execute(admin, "long-map", {"list": list(range(size))}, wait=60)
    run = await until(admin, run["run_id"], ended)
    assert (run["status"], run["output"]) == ("completed", key)
    assert await counter(admin, key) == size
