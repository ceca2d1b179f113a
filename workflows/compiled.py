"""Compiled definitions. A version never changes, so what was compiled once is right for good, but for foreign actions.

A version is compiled with the versions of other workflows that were current when it was posted.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from models.actions import AnyAction, ForeignAction
from models.catalogue import CATALOGUE
from models.errors import ConflictError, Problem
from models.identity import Role
from models.workflows import StoredDefinition
from workflows.dag.compile import Compiled, compile_definition
from workflows.dag.signature import Signature, WorkflowKey, called_workflows

_KEPT = 256
_DEEPEST = 16
"""Workflows in workflows, below the one that is posted."""
_OUR_SERVICES = frozenset(spec.service for spec in CATALOGUE.values())


class DefinitionSource(Protocol):
    """Where definitions, and the actions that others have registered, are kept."""

    async def current(self, definition_id: str) -> StoredDefinition | None:
        """The current version of a definition that was not deleted."""
        ...

    async def version(self, definition_id: str, version: int) -> StoredDefinition | None:
        """That version, deleted or not."""
        ...

    async def foreign_actions(self) -> Sequence[ForeignAction]:
        """Every action of every registered service."""
        ...


@dataclass(frozen=True)
class _Known:
    """A version as it was compiled."""

    compiled: Compiled
    depth: int
    """How many workflows it has below one another."""
    lasts: bool
    """Whether no foreign action, which may change, went into it."""


class _Kept:
    """The versions that were used last."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int], _Known] = OrderedDict()

    def find(self, key: tuple[str, int]) -> _Known | None:
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
        return known

    def keep(self, key: tuple[str, int], known: _Known) -> None:
        self._known[key] = known
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)


class CompiledDefinitions:
    """Compiles definitions with what they name: other workflows, and actions of foreign services."""

    def __init__(self, source: DefinitionSource) -> None:
        self._source = source
        self._runnable = _Kept()
        self._outlines = _Kept()

    def find(self, definition_id: str, version: int) -> Compiled | None:
        """What is kept of a version."""
        known = self._runnable.find((definition_id, version))
        return None if known is None else known.compiled

    async def compile(self, raw: Any, role: Role) -> Compiled | list[Problem]:
        """Compile what somebody posted. Workflows that the role may not run are unknown to it."""
        work = _Compilation(self._source, self._runnable)
        signatures: dict[WorkflowKey, Signature] = {}
        refused: dict[WorkflowKey, tuple[str, str]] = {}
        for key in called_workflows(raw):
            stored = await self._called(*key)
            if stored is None or role not in stored.roles:
                continue
            try:
                known = await work.known(stored)
            except ConflictError as error:
                refused[key] = error.code, error.detail
                continue
            if known.depth < _DEEPEST:
                signatures[key] = known.compiled.signature
            else:
                message = f"{stored.id} has {_DEEPEST} workflows below one another, which is the most there may be"
                refused[key] = "too-deep", message
        compiled = compile_definition(raw, await work.catalogue(raw), signatures)
        return compiled if isinstance(compiled, Compiled) else [_explained(one, raw, refused) for one in compiled]

    async def version(self, definition_id: str, version: int) -> Compiled | None:
        """A version to be run, deleted or not; None when there is none. Raises ConflictError."""
        known = await _Compilation(self._source, self._runnable).version(definition_id, version)
        return None if known is None else known.compiled

    async def compiled(self, stored: StoredDefinition) -> Compiled:
        """A stored version to be run. Raises ConflictError when actions have changed so that it no longer fits."""
        return (await _Compilation(self._source, self._runnable).known(stored)).compiled

    async def outlined(self, stored: StoredDefinition) -> Compiled:
        """A stored version to be looked at: its steps, their order and what they wait for, whatever actions are now."""
        return (await _Compilation(self._source, self._outlines, with_actions=False).known(stored)).compiled

    async def foreign_actions(self) -> Sequence[ForeignAction]:
        """Every action of every registered service."""
        return await self._source.foreign_actions()

    async def _called(self, definition_id: str, version: int | None) -> StoredDefinition | None:
        """A workflow that somebody names in what they post."""
        current = await self._source.current(definition_id)
        if current is None or version is None or version == current.version:
            return current
        return await self._source.version(definition_id, version)


class _Compilation:
    """One compilation, in which everything that is named is read and compiled once."""

    def __init__(self, source: DefinitionSource, kept: _Kept, *, with_actions: bool = True) -> None:
        self._source = source
        self._kept = kept
        self._with_actions = with_actions
        self._known: dict[tuple[str, int], _Known] = {}
        self._all_actions: Mapping[str, AnyAction] | None = None

    async def version(self, definition_id: str, version: int) -> _Known | None:
        """A version; None when there is none. Raises ConflictError."""
        known = self._find((definition_id, version))
        if known is not None:
            return known
        stored = await self._source.version(definition_id, version)
        return None if stored is None else await self.known(stored)

    async def known(self, stored: StoredDefinition) -> _Known:
        """A stored version. Raises ConflictError."""
        key = stored.id, stored.version
        known = self._find(key) or await self._compiled(stored)
        self._known[key] = known
        if known.lasts:
            self._kept.keep(key, known)
        return known

    async def catalogue(self, raw: Any) -> Mapping[str, AnyAction]:
        """Our own actions; with those of foreign services where a definition names others."""
        named = list(_named_actions(raw))
        if not self._with_actions:
            return {f"{service}.{name}": _anything(service, name) for service, name in named}
        if all(service in _OUR_SERVICES for service, _ in named):
            return CATALOGUE
        if self._all_actions is None:
            self._all_actions = {**{spec.type: spec for spec in await self._source.foreign_actions()}, **CATALOGUE}
        return self._all_actions

    def _find(self, key: tuple[str, int]) -> _Known | None:
        return self._known.get(key) or self._kept.find(key)

    async def _compiled(self, stored: StoredDefinition) -> _Known:
        called: dict[WorkflowKey, _Known] = {}
        for name, version in called_workflows(stored.source):
            known = await self.version(name, stored.calls.get(name, 0) if version is None else version)
            if known is not None:
                called[name, version] = known
        catalogue = await self.catalogue(stored.source)
        signatures = {key: known.compiled.signature for key, known in called.items()}
        compiled = compile_definition(stored.source, catalogue, signatures, version=stored.version, platform=True)
        if not isinstance(compiled, Compiled):
            raise ConflictError(
                f"{stored.id} v{stored.version} does not compile any more; post it again to see all problems. "
                f"The first: {compiled[0].message} ({compiled[0].pointer})",
                code="outdated",
            )
        return _Known(
            compiled,
            depth=max((known.depth + 1 for known in called.values()), default=0),
            lasts=(catalogue is CATALOGUE or not self._with_actions) and all(known.lasts for known in called.values()),
        )


def _anything(service: str, name: str) -> ForeignAction:
    """An action of which nothing is known."""
    return ForeignAction(service=service, name=name, summary="", input_schema={}, result_schema={}, task_queue=service)


def _explained(problem: Problem, raw: Any, refused: Mapping[WorkflowKey, tuple[str, str]]) -> Problem:
    """The problem, with the reason why a workflow that is there cannot be used."""
    if problem.code != "unknown-workflow":
        return problem
    _, steps, index, *_ = problem.pointer.split("/")
    (key,) = called_workflows({"steps": [raw[steps][int(index)]]})
    why = refused.get(key)
    if why is None:
        return problem
    return Problem(pointer=f"/{steps}/{index}/workflow", code=why[0], message=why[1])


def _named_actions(raw: Any) -> Iterator[tuple[str, str]]:
    """Actions that the steps of a definition name, as it was posted and as far as it can be read."""
    if not isinstance(raw, dict):
        return
    steps = [step for key in ("steps", "on_failure") if isinstance(raw.get(key), list) for step in raw[key]]
    for call in (call for step in steps if isinstance(step, dict) for call in (step, step.get("compensate"))):
        if isinstance(call, dict) and isinstance(call.get("service"), str):
            yield call["service"], str(call.get("action"))
