"""Work in child processes: functions of this module are what the children call."""

import errno
import os
import signal
import sys
from typing import NoReturn

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


def full(*_: object, **__: object) -> NoReturn:
    raise BlockingIOError(errno.EAGAIN, "no room")


def working() -> None:
    pass


@pytest.mark.parametrize(("how", "seconds"), [("raise", PATIENCE), ("crash", PATIENCE), ("eat", PATIENCE), ("hang", 0)])
def test_a_call_that_goes_wrong_gives_nothing_and_the_next_one_works(how: str, seconds: float) -> None:
    with Child(seconds, working) as child:
        assert child(misbehave, how) is None
    with Child(PATIENCE, working) as child:
        if how != "hang":
            assert child(misbehave, how) is None
        assert child(misbehave, "well") == "well"


def test_a_child_that_was_lost_often_is_not_started_again() -> None:
    with Child(PATIENCE, working) as child:
        child._lost = MOST_LOST - 1
        assert child(misbehave, "crash") is None
        assert child(misbehave, "well") is None


def test_waiting_ends_when_the_work_is_to_end_and_no_answer_is_mixed_up() -> None:
    stopped = False

    def check() -> None:
        if stopped:
            raise StoppedError

    with Child(PATIENCE, check) as child:
        assert child(misbehave, "well") == "well"
        stopped = True
        with pytest.raises(StoppedError):
            child(misbehave, "hang")
        stopped = False
        assert child(misbehave, "again") == "again"


def test_a_start_that_is_given_up_mixes_nothing_up_either() -> None:
    def check() -> None:
        raise StoppedError

    child = Child(PATIENCE, check)
    with pytest.raises(StoppedError):
        child(double, 1)
    child._check = working
    with child:
        assert [child(double, number) for number in (1, 2, 3)] == [2, 4, 6]


def test_a_system_without_room_for_a_process_says_so_and_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with Child(PATIENCE, working) as child:
        with monkeypatch.context() as patch:
            patch.setattr("subprocess.Popen", full)
            for _ in range(2):
                with pytest.raises(UnavailableError):
                    child(double, 1)
        assert child(double, 1) == 2


def test_many_calls_are_answered_each_with_its_own() -> None:
    with Children(PATIENCE, working) as children:
        answers = [children.submit(double, number) for number in range(100)]
        assert [answer.result() for answer in answers] == [2 * number for number in range(100)]


def test_a_child_that_cannot_start_is_an_error_and_not_a_skipped_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Child(PATIENCE, working) as child, pytest.raises(UnavailableError):
        child(double, 1)


def test_a_child_is_told_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLOO_SECRET", "x" * 32)
    with Child(PATIENCE, working) as child:
        assert "TOOLOO_SECRET" not in (child(environment) or ["TOOLOO_SECRET"])


def test_functions_are_measured() -> None:
    with Child(SECONDS, working) as measurer:
        found = measurer(measure, "a.py", "def f(a):\n    return 1 if a and b else 2\n")
        assert found == [Function("f", 1, 3, 2)]
        assert measurer(measure, "a.js", "function g() {}\n") is not None
