"""From a checked step to the node of a plan."""

from collections.abc import Mapping

from models.actions import AnyAction, ForeignAction, Retry, Timeout
from workflows.dag.chains import Chain
from workflows.dag.expression_checks import use_of
from workflows.dag.expressions import ReadExpression
from workflows.dag.plan import (
    ERROR,
    INPUT,
    ITEM,
    Action,
    Cache,
    Case,
    Compensation,
    Each,
    Expression,
    Join,
    Loop,
    Node,
    Pause,
    Question,
    SubRun,
    Template,
)
from workflows.dag.reading import ERROR_SOURCE, PostedStep
from workflows.dag.results import Catalogue, Results
from workflows.dag.signature import Signatures
from workflows.dag.templates import ReadTemplate


class NodeWriter:
    """Writes the nodes of one plan; `numbers` are those of its steps."""

    def __init__(self, catalogue: Catalogue, signatures: Signatures, numbers: Mapping[str, int]) -> None:
        self._catalogue = catalogue
        self._signatures = signatures
        self._numbers = numbers

    def node(self, item: PostedStep, *, parents: tuple[int, ...], children: tuple[int, ...]) -> Node:
        """The node of a step."""
        step = item.step
        action = self._action(item)
        per_item = Results.decides_per_item(item)
        return Node(
            id=step.id,
            parents=parents,
            children=children,
            template=self._template(item.input, item),
            action=action,
            cases=self._cases(item),
            run=self._run(item),
            pause=self._pause(item),
            question=self._question(item),
            join=Join(step.join),
            when=None if item.when is None or per_item else self._expression(item.when, item),
            each=self._each(item, per_item=per_item),
            loop=self._loop(item),
            continue_on_error=step.on_error == "continue",
            compensation=self._compensation(item),
            cache=None
            if item.cache_key is None or step.cache is None
            else Cache(self._template(item.cache_key, item), step.cache.ttl),
            priority=step.priority,
            mock=None if item.mock is None else self._template(item.mock, item),
            summary=step.description or self._summary(item),
        )

    def _summary(self, item: PostedStep) -> str:
        step = item.step
        if step.service is not None:
            return f"{step.id}: {self._spec(step.service, step.action).summary}"
        return step.id if step.workflow is None else f"{step.id}: run {step.workflow.id}"

    def _spec(self, service: str | None, action: str | None) -> AnyAction:
        return self._catalogue[f"{service}.{action}"]

    def _action(self, item: PostedStep) -> Action | None:
        step = item.step
        if step.service is None:
            return None
        spec = self._spec(step.service, step.action)
        return _action(spec, step.retry.over(spec.retry), step.timeout.over(spec.timeout))

    def _compensation(self, item: PostedStep) -> Compensation | None:
        undo = item.step.compensate
        if undo is None or item.compensation is None:
            return None
        spec = self._spec(undo.service, undo.action)
        return Compensation(_action(spec, spec.retry, spec.timeout), self._template(item.compensation, item))

    def _cases(self, item: PostedStep) -> tuple[Case, ...] | None:
        if item.step.switch is None:
            return None
        return tuple(
            Case(self._template(case.value, item), None if case.when is None else self._expression(case.when, item))
            for case in item.cases
        )

    def _each(self, item: PostedStep, *, per_item: bool) -> Each | None:
        options = item.step.map
        if options is None or item.items is None:
            return None
        items = item.items
        return Each(
            self._template(items, item) if isinstance(items, ReadTemplate) else self._expression(items, item),
            options.max_parallel,
            options.on_error == "continue",
            self._expression(item.when, item) if per_item and item.when is not None else None,
        )

    def _loop(self, item: PostedStep) -> Loop | None:
        options = item.step.while_
        if options is None or item.condition is None:
            return None
        return Loop(self._expression(item.condition, item), options.max)

    def _run(self, item: PostedStep) -> SubRun | None:
        """A run of the version whose schemas were checked, so that a later one disturbs no run."""
        called = item.step.workflow
        if called is None:
            return None
        return SubRun(called.id, self._signatures[called.id, called.version].version, called.wait)

    def _pause(self, item: PostedStep) -> Pause | None:
        wait = item.step.wait
        if wait is None:
            return None
        until = None if item.until is None else self._template(item.until, item)
        return Pause(wait.for_, until, wait.signal, wait.schema_, wait.timeout)

    @staticmethod
    def _question(item: PostedStep) -> Question | None:
        approval = item.step.approval
        if approval is None:
            return None
        return Question(
            tuple(sorted(role.value for role in approval.roles)),
            approval.schema_,
            approval.allow_requester,
            approval.timeout,
            approval.on_timeout == "continue",
        )

    def _template(self, template: ReadTemplate, item: PostedStep) -> Template:
        return template.resolve(lambda source: self._source(source, item))

    def _source(self, source: str, item: PostedStep) -> int:
        if source == "input":
            return INPUT
        if source == item.item:
            return ITEM
        if source == ERROR_SOURCE and item.handles_failure:
            return ERROR
        return self._numbers[source]

    def _expression(self, expression: ReadExpression, item: PostedStep) -> Expression:
        def use(chain: Chain) -> tuple[int, tuple[str | int, ...], tuple[str | int, ...]]:
            source, path = use_of(chain)
            variable = ("steps", source) if chain.root == "steps" else (chain.root,)
            return self._source(source, item), variable, path

        return expression.uses(use)


def _action(spec: AnyAction, retry: Retry, timeout: Timeout) -> Action:
    foreign = isinstance(spec, ForeignAction)
    return Action(
        type=spec.type,
        queue=spec.queue,
        retry=retry,
        timeout=timeout,
        touches_nothing=spec.touches_nothing,
        result=spec.result_schema if foreign else None,
        foreign=foreign,
    )
