"""Tests and benchmarks get servers of their own, which end with the process they were started for."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from cli.stack.files import holder_of
from cli.stack.postgres import answers
from cli.stack.temporal_setup import RETENTION_SECONDS, SEARCH_ATTRIBUTES, prepare_namespace
from cli.stack.throwaway import stop_throwaways, throwaway_postgres


async def test_preparing_a_namespace_again_changes_nothing(temporal: Client) -> None:
    await prepare_namespace(temporal)
    known = await temporal.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=temporal.namespace)
    )
    assert set(known.custom_attributes) == set(SEARCH_ATTRIBUTES)
    described = await temporal.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=temporal.namespace)
    )
    assert described.config.workflow_execution_retention_ttl.seconds == RETENTION_SECONDS


async def test_stopping_leaves_neither_a_process_nor_a_file(tmp_path: Path) -> None:
    directory = tmp_path / "servers"
    directory.mkdir()
    url = throwaway_postgres(directory, os.getpid())
    assert await answers(url)
    assert throwaway_postgres(directory, os.getpid()) == url
    stop_throwaways(directory)
    assert not await answers(url)
    assert not directory.exists()


async def test_durable_server_waits_for_the_disk(tmp_path: Path) -> None:
    waits = {}
    for durable in (False, True):
        directory = tmp_path / f"{durable=}"
        directory.mkdir()
        connection: asyncpg.Connection = await asyncpg.connect(
            throwaway_postgres(directory, os.getpid(), durable=durable)
        )
        waits[durable] = await connection.fetchval("SHOW fsync")
        await connection.close()
        stop_throwaways(directory)
    assert waits == {False: "off", True: "on"}


async def test_server_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=subprocess.PIPE)
    url = throwaway_postgres(tmp_path, owner.pid)
    keeper = psutil.Process(holder_of(tmp_path / "postgres.keeper"))
    assert await answers(url)
    owner.kill()
    await owner.wait()
    psutil.wait_procs([keeper], timeout=30)
    assert not keeper.is_running()
    assert not await answers(url)
