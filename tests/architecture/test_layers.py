"""Rules of the layers that import-linter can not see."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Table

from models.persistence.tables import metadata
from workflows import run_dag
from workflows.dag import outline

ROOT = Path(__file__).parents[2]
DETERMINISTIC = [
    *sorted((ROOT / "workflows" / "dag").glob("*.py")),
    *(
        ROOT / "workflows" / name
        for name in ("run_dag.py", "effects_in_temporal.py", "local_activities.py", "start.py")
    ),
]
FORBIDDEN_MODULES = ("time", "random", "secrets", "uuid")
CLOCKS = ("now", "utcnow", "today")


def set_expression(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in {"set", "frozenset"}
    return isinstance(node, ast.Set | ast.SetComp)


def harmless_sets(tree: ast.AST) -> list[ast.AST]:
    """Sets whose order nobody sees: asked for membership, or counted."""
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and all(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
            found.extend(node.comparators)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"len", "sorted"}:
            found.extend(node.args)
    return found


def _are_pure(node: ast.ImportFrom) -> bool:
    """Whether these parts of `uuid` give the same for the same."""
    return {alias.name for alias in node.names} <= {"uuid5", "NAMESPACE_URL"}


def offences(source: str) -> Iterator[str]:
    """What makes a replay differ: the order of a set depends on the process, time and chance on the moment."""
    tree = ast.parse(source)
    harmless = harmless_sets(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.expr) and set_expression(node) and node not in harmless:
            yield f"line {node.lineno}: a set"
        elif isinstance(node, ast.ImportFrom) and node.module == "uuid" and _are_pure(node):
            continue
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from (f"line {node.lineno}: {name}" for name in names if name.split(".")[0] in FORBIDDEN_MODULES)
        elif isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            yield f"line {node.lineno}: .{node.attr}"


@pytest.mark.parametrize("path", DETERMINISTIC, ids=lambda path: path.name)
def test_workflow_code_does_the_same_in_every_replay(path: Path) -> None:
    assert list(offences(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    ["for a in {1, 2}: pass", "list(set(x))", "{a for a in x}", "import random", "from time import sleep",
     "datetime.now()", "x = frozenset(y)", "import os, uuid", "from uuid import uuid4, uuid5"],
)  # fmt: skip
def test_offence_is_seen(source: str) -> None:
    assert list(offences(source))


@pytest.mark.parametrize(
    "source",
    ["a in {1, 2}", "len({1, 2})", "sorted(set(x))", "from datetime import timedelta", "from uuid import uuid5"],
)
def test_harmless_code_is_no_offence(source: str) -> None:
    assert not list(offences(source))


def test_a_plan_s_budget_counts_the_parts_the_engine_makes() -> None:
    assert (outline.HISTORY_EVENTS, outline.HISTORY_BYTES) == (run_dag.HISTORY_EVENTS, run_dag.HISTORY_BYTES)


NO_OWNER = {
    "users": "a row is the person; its id is the owner's",
    "blobs": "bytes by their hash; whoever reads them goes through the row that names the hash",
    "audit": "names the actor and what was done; read by admins only",
    "outbox": "ordered by subject (user or run), which names the owner",
    "outbox_subjects": "counts the events of a subject",
    "archives": "names files by month; what is in them names its owner",
    "archive_folder": "a name, of nobody",
    "archive_holds": "months, of nobody",
    "activity_keys": "hashes of what names an event; they outlive the event and the person",
    "analytics_days": "sums over all learners",
    "score_counts": "how many learners have which score",
    "score_refreshes": "when scores were last brought to a new day",
    "badges": "what admins have made, for everybody",
    "topics": "what there is to learn, for everybody",
    "award_changes": "belongs to an award, which names its owner",
    "repositories": "what was loaded, by whomever; `repository_users` says who may see it",
    "repository_refs": "belongs to a repository",
    "task_runs": "belongs to a task, which names its owner",
    "task_pauses": "the same",
    "task_schedules": "the same",
    "task_triggers": "the same",
    "flow_counters": "a counter that definitions share by its key",
    "flow_counts": "which step of which run counted; the run has the owner",
}
"""Tables without `owner_id`, each with its reason."""


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_every_row_about_a_person_names_its_owner(table: Table) -> None:
    if table.name in NO_OWNER:
        assert "owner_id" not in table.c
    else:
        assert not table.c.owner_id.nullable


def test_no_exception_outlives_its_table() -> None:
    assert sorted(NO_OWNER) == sorted(name for name in NO_OWNER if name in metadata.tables)


def test_secrets_are_opened_by_the_worker_that_needs_them_and_by_nobody_else() -> None:
    sources = (
        file
        for folder in ("activities", "api", "cli", "services", "workers")
        for file in ROOT.glob(f"{folder}/**/*.py")
    )
    reading = {str(file.relative_to(ROOT)) for file in sources if "find_secret(" in file.read_text()}
    assert reading == {"services/identity/secrets.py", "activities/context.py"}
