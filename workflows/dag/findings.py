"""What is wrong with a definition, collected. Bounded, for the number of mistakes in a document has no bound."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from models.errors import Problem
from workflows.dag.pointers import document_order

MAX_PROBLEMS = 1_000
COMPARISONS = 10_000
"""Names compared in search of suggestions; each takes some 20 µs."""
NAME_CHARACTERS = 100
"""What is shown, and compared, of a name somebody wrote."""


class Findings:
    """Collects problems in any order."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._left_out = 0
        self._comparisons = 0

    def __len__(self) -> int:
        return len(self._problems)

    def add(self, pointer: str, code: str, message: str, suggestion: str | None = None) -> None:
        """Note one problem."""
        if len(self._problems) < MAX_PROBLEMS:
            problem = Problem(pointer=pointer, code=code, message=message, suggestion=suggestion)
            self._problems.append(problem)
        else:
            self._left_out += 1

    def extend(self, problems: Iterable[Problem]) -> None:
        """Note several problems."""
        for problem in problems:
            self.add(problem.pointer, problem.code, problem.message, problem.suggestion)

    def did_you_mean(self, name: str, known: Sequence[str]) -> str | None:
        """A suggestion for a name that is not known, as long as searching one is cheap."""
        if self._comparisons <= COMPARISONS:
            self._comparisons += len(known)
            close = get_close_matches(name[:NAME_CHARACTERS], known, n=1)
            if close:
                return f"did you mean {close[0][:NAME_CHARACTERS]}?"
        return f"there is {', '.join(known)}" if 0 < len(known) <= 12 else None  # noqa: PLR2004 - what fits a sentence

    def all(self) -> list[Problem]:
        """Every problem, by its place in the document."""
        found = sorted(self._problems, key=lambda problem: document_order(problem.pointer))
        if self._left_out:
            message = f"{self._left_out:,} more problems are not listed"
            found.append(Problem(pointer="", code="too-large", message=message))
        return found
