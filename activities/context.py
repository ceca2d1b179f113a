"""The actions of the context service."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from activities.step import Step
from models.context import Analysis, Analyze, LoadedRepo, LoadRepo
from models.settings import Settings
from services.context.analysis import analyze
from services.context.loading import Loader
from services.context.supervision import Limits, Supervision

T = TypeVar("T")


class ContextActivities:
    """Loads and analyzes repositories. ValueError at construction names a setting that cannot be read."""

    def __init__(self, settings: Settings, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._loader = Loader.of(settings, self._limits)

    async def load_repo(self, input: LoadRepo, step: Step) -> LoadedRepo:  # noqa: A002 the catalogue's word
        """Load a Git repository into the object store. Again: fetches the difference."""
        return await _in_thread(
            lambda supervision: self._loader.load(input, supervision), step, self._limits.load_seconds
        )

    async def analyze(self, input: Analyze, step: Step) -> Analysis:  # noqa: A002 the catalogue's word
        """Measure a loaded repository; loads it again where this worker's store misses the commit."""

        def work(supervision: Supervision) -> Analysis:
            stored = self._loader.opened(input.repo, supervision)
            with stored.objects() as objects:
                return analyze(objects, input.repo, len(stored.shallow()), supervision)

        return await _in_thread(work, step, self._limits.analyze_seconds)


async def _in_thread(work: Callable[[Supervision], T], step: Step, seconds: float) -> T:
    """Do blocking work beside the event loop. Cancelling the task stops the thread at its next look around."""
    supervision = Supervision(seconds=seconds, report=step.report)
    try:
        return await asyncio.to_thread(work, supervision)
    finally:
        supervision.stopped.set()
