"""The example every stack begins with: the Code Review Flow, run on the checkout itself over the HTTP API."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2
from ruamel.yaml import YAML

from models.contract import Contract
from models.errors import UnavailableError
from models.settings import CHECKOUT

DEFINITION = CHECKOUT / "examples" / "code-review.yaml"
_ENDED = {"completed", "failed", "cancelled", "terminated", "timed_out"}
_RUN_SECONDS = 300
_WAIT_SECONDS = 30


class ExampleReport(Contract):
    """The outcome of the example."""

    headline: str
    url: str


async def run_example(api_url: str, key: str, repository: Path = CHECKOUT) -> ExampleReport:
    """Apply the example definition, run it on a repository and find its report.

    Raises UnavailableError with what the platform said when it does not end with a report.
    """
    definition = YAML(typ="safe").load(DEFINITION)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(
        base_url=f"{api_url}/api/v1", headers=headers, timeout=_WAIT_SECONDS + 10, trust_env=False
    ) as client:
        try:
            _answer(await client.post("/workflow", json=definition))
            async with asyncio.timeout(_RUN_SECONDS):
                run = await _run(client, definition["id"], {"path": str(repository)})
        except (httpx2.HTTPError, TimeoutError) as error:
            raise UnavailableError(f"the example did not end: {error or type(error).__name__}") from error
    if run["status"] != "completed":
        error = run["error"] or {}
        raise UnavailableError(
            f"the example's run {run['run_id']} {run['status']}: step {error.get('step')}: {error.get('message')}"
        )
    report = run["output"]["report"]
    return ExampleReport(headline=report["headline"], url=f"{api_url}{report['url']}")


async def _run(client: httpx2.AsyncClient, definition: str, run_input: dict[str, Any]) -> dict[str, Any]:
    started = await client.post(f"/workflow/{definition}/execute?wait={_WAIT_SECONDS}", json={"input": run_input})
    run = _answer(started)
    while run["status"] not in _ENDED:
        await asyncio.sleep(0.5)
        run = _answer(await client.get(f"/workflow/{definition}/executions/{run['run_id']}"))
    return run


def _answer(response: httpx2.Response) -> dict[str, Any]:
    if not response.is_success:
        raise UnavailableError(
            f"the example was refused: {response.request.method} {response.request.url.path} answered "
            f"{response.status_code}: {response.text[:500]}"
        )
    return response.json()
