"""A stack in the background: the same supervisor in a session of its own."""

import subprocess
import sys
import time

import psutil

from cli.stack.display import StackDisplay
from cli.stack.files import hold, holder_of
from cli.stack.home import StackHome
from cli.stack.orphans import stop_orphans
from cli.stack.parts import PART_NAMES
from cli.stack.state import StackState, read_state
from models.errors import UnavailableError
from models.settings import CHECKOUT

_STOP_SECONDS = 120
_LOOK_SECONDS = 0.1


def start_in_background(home: StackHome, options: list[str], display: StackDisplay) -> StackState:
    """Start `up` with these options in the background and wait until it serves, showing how far it is.

    Raises UnavailableError with its last words when it ends before that.
    """
    with home.fresh_log("supervisor").open("ab") as output:
        supervisor = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "cli", "up", *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=CHECKOUT,
            start_new_session=True,
        )
    while True:
        ended = supervisor.poll() is not None
        state = read_state(home, PART_NAMES)
        if state.supervisor_pid == supervisor.pid:
            display.show(state, "" if state.serving else "starting")
        if state.serving:
            return state
        if ended:
            raise UnavailableError(_why_it_ended(home, supervisor.pid))
        time.sleep(_LOOK_SECONDS)


def stop_stack(home: StackHome) -> bool:
    """Stop the stack of this home, supervised or left over from a killed supervisor. Whether there was anything.

    Raises UnavailableError when another process takes the stack's lock meanwhile.
    """
    was_there = False
    pid = holder_of(home.lock_file)
    if pid is not None and psutil.pid_exists(pid):
        supervisor = psutil.Process(pid)
        if holder_of(home.lock_file) == pid:  # so it is this process that holds it, and not one that got its id since
            was_there = True
            supervisor.terminate()
            _, alive = psutil.wait_procs([supervisor], timeout=_STOP_SECONDS)
            for stuck in alive:
                stuck.kill()
                stuck.wait()
    held = hold(home.lock_file)
    if held is None:
        raise UnavailableError("another ./tooloo up has begun meanwhile")
    with held:
        return stop_orphans(home) > 0 or was_there


def _why_it_ended(home: StackHome, supervisor_pid: int) -> str:
    if home.state_file.exists():
        said = StackState.model_validate_json(home.state_file.read_text())
        if said.supervisor_pid == supervisor_pid and said.failure:
            return said.failure
    return f"the stack did not start:{home.last_words('supervisor')}"
