"""Filling templates and evaluating expressions while a run goes on."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic_core import to_json

from models.values import Hole, Missing, MissingValueError, Value
from workflows.dag.effects import Effects, StepFailedError, StepFailure
from workflows.dag.expressions import ExpressionFailedError, evaluate, is_short, variables_of
from workflows.dag.plan import Expression, Template
from workflows.dag.slots import Rank
from workflows.dag.templates import fill_template


@dataclass(frozen=True)
class Turn:
    """One doing of what a step does: all of it, one item of its map, or one round of its loop."""

    id: str
    rank: Rank
    """The step's number, and whose turn it is."""
    value_of: Callable[[int], Value | Missing]
    """What the names in the step stand for in this turn."""
    is_part: bool = False


def failed(code: str, message: str) -> StepFailedError:
    """A failure that no attempt of an action made."""
    return StepFailedError(StepFailure(code, message))


class Evaluation:
    """Works out values in the workflow itself where that is short, elsewhere where it is not."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects

    async def fill(self, template: Template, turn: Turn) -> Value:
        """A template with the values of a turn. Raises StepFailedError."""
        await self._effects.breathe(template.weight)
        try:
            return fill_template(template, turn.value_of)
        except MissingValueError as error:
            message = "a value this step needs is missing; give its reference a default with ??"
            raise failed("missing-value", message) from error

    async def holds(self, condition: Expression, value_of: Callable[[int], Value | Missing]) -> bool:
        """Whether a condition holds. Raises StepFailedError."""
        value = await self.value(condition, value_of)
        if not isinstance(value.json, bool):
            shown = "a long value" if value.holes else to_json(value.json).decode()[:100]
            raise failed("expression-failed", f"{condition.text[:200]!r} gives {shown}; true or false belongs here")
        return value.json

    async def value(self, expression: Expression, value_of: Callable[[int], Value | Missing]) -> Value:
        """The value of an expression. Raises StepFailedError."""
        return await self.evaluated(expression, variables_of(expression, value_of))

    async def evaluated(self, expression: Expression, given: Value) -> Value:
        """The same, with the variables it is given."""
        if not is_short(expression, given):
            return await self._effects.evaluate(expression, given)
        await self._effects.breathe(1)
        try:
            return Value(evaluate(expression.text, expression.item, given.json))
        except ExpressionFailedError as error:
            raise failed("expression-failed", f"{error} in {expression.text[:200]!r}") from error


def item_variables(expression: Expression, value: Value) -> Value:
    """The variables of an expression whose item is that value."""
    holes = tuple(Hole((expression.item, *hole.at), hole.stored, hole.reads) for hole in value.holes)
    return Value({"input": {}, "steps": {}, expression.item: value.json}, holes)
