"""Work in child processes: functions of this module are what the children call."""

import os
import signal
import sys

import pytest

from models.errors import UnavailableError
from services.context.children import MOST_LOST, Child, Children
from services.context.complexity import SECONDS, Function, measure
from services.context.supervision import StoppedError

PATIENCE = 60.0


def double(number: int) -> int:
    return 2 * number


def misbehave(how: str) -> str:
    if how == "raise":
        raise RuntimeError
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "eat":
        return how * 2**30
    while how == "hang":
        pass
    return how


def environment() -> list[str]:
    return sorted(os.environ)


def working() -> None:
    pass


@pytest.mark.parametrize(("how", "seconds"), [("raise", PATIENCE), ("crash", PATIENCE), ("eat", PATIENCE), ("hang", 0)])
def test_a_call_that_goes_wrong_gives_nothing_and_the_next_one_works(how: str, seconds: float) -> None:
    with Child(misbehave, seconds, working) as child:
        assert child(how) is None
    with Child(misbehave, PATIENCE, working) as child:
        if how != "hang":
            assert child(how) is None
        assert child("well") == "well"


def test_a_child_that_was_lost_often_is_not_started_again() -> None:
    with Child(misbehave, PATIENCE, working) as child:
        child._lost = MOST_LOST - 1
        assert child("crash") is None
        assert child("well") is None


def test_waiting_ends_when_the_work_is_to_end_and_no_answer_is_mixed_up() -> None:
    stopped = False

    def check() -> None:
        if stopped:
            raise StoppedError

    with Child(misbehave, PATIENCE, check) as child:
        assert child("well") == "well"
        stopped = True
        with pytest.raises(StoppedError):
            child("hang")
        stopped = False
        assert child("again") == "again"


def test_many_calls_are_answered_each_with_its_own() -> None:
    with Children(double, PATIENCE, working) as children:
        answers = [children.submit(number) for number in range(100)]
        assert [answer.result() for answer in answers] == [2 * number for number in range(100)]


def test_a_child_that_cannot_start_is_an_error_and_not_a_skipped_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Child(double, PATIENCE, working) as child, pytest.raises(UnavailableError):
        child(1)


def test_a_child_is_told_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLOO_SECRET", "x" * 32)
    with Child(environment, PATIENCE, working) as child:
        assert "TOOLOO_SECRET" not in (child() or ["TOOLOO_SECRET"])


def test_functions_are_measured() -> None:
    with Child(measure, SECONDS, working) as measurer:
        found = measurer("a.py", "def f(a):\n    return 1 if a and b else 2\n")
        assert found == [Function("f", 1, 3, 2)]
        assert measurer("a.js", "function g() {}\n") is not None
