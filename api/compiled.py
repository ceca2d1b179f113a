"""Compiled definitions. A version never changes, so what was compiled once is right for good."""

from collections import OrderedDict

from models.catalogue import CATALOGUE
from models.errors import ConflictError
from services.orchestration.definitions import StoredDefinition
from workflows.dag.compile import Compiled, compile_definition

_KEPT = 256


class CompiledDefinitions:
    """A cache of this process, by id and version."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], Compiled] = OrderedDict()

    def find(self, definition_id: str, version: int) -> Compiled | None:
        """What is kept of a version."""
        compiled = self._kept.get((definition_id, version))
        if compiled is not None:
            self._kept.move_to_end((definition_id, version))
        return compiled

    def compiled(self, stored: StoredDefinition) -> Compiled:
        """A stored version, from the cache or compiled now. Raises ConflictError."""
        return self.find(stored.id, stored.version) or self._compile(stored)

    def _compile(self, stored: StoredDefinition) -> Compiled:
        compiled = compile_definition(stored.source, CATALOGUE, version=stored.version, platform=True)
        if not isinstance(compiled, Compiled):
            raise ConflictError(
                f"{stored.id} v{stored.version} does not compile any more; post it again to see all problems. "
                f"The first: {compiled[0].message} ({compiled[0].pointer})",
                code="outdated",
            )
        self._kept[stored.id, stored.version] = compiled
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return compiled
