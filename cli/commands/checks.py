"""`check` and `test`: everything a change has to pass."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from cli.stack.temporal_program import find_program
from models.settings import CHECKOUT

_SCRIPTS = Path(sys.executable).parent
_WORKERS = "2"
_INDEX_AWAY = ("ConnectionError", "ServiceError", "Max retries exceeded", "could not be audited")


@dataclass(frozen=True)
class Check:
    """A tool that looks at the checkout."""

    name: str
    command: tuple[str, ...]
    needs_index: bool = False
    """Whether not reaching its index on the network is no failure of the checkout."""


@dataclass(frozen=True)
class Outcome:
    """What a check said."""

    check: Check
    status: int
    output: str
    seconds: float

    @property
    def could_not_look(self) -> bool:
        """Whether the tool found nothing only because its index was out of reach, in whole or in part."""
        found = "Fix Versions" in self.output
        return self.check.needs_index and not found and any(word in self.output for word in _INDEX_AWAY)

    @property
    def passed(self) -> bool:
        """Whether it found nothing wrong."""
        return self.status == 0 or self.could_not_look


CHECKS = (
    Check("types", ("pyright",)),  # the longest first
    # From medium on: ruff's S rules have each of the others explained where it is.
    Check(
        "security",
        ("bandit", "--quiet", "--severity-level", "medium", "--recursive", "--configfile", "pyproject.toml", "."),
    ),
    Check(
        "advisories",
        ("pip-audit", "--requirement", "requirements.lock", "--require-hashes", "--disable-pip"),
        needs_index=True,
    ),
    Check("imports", ("lint-imports",)),
    Check("dependencies", ("deptry", ".")),
    Check("format", ("ruff", "format", "--check", ".")),
    Check("lint", ("ruff", "check", ".")),
)


def check() -> None:
    """Format, lint, types, import contracts, dependencies, security. Ends 1 when one finds something."""
    if not _run_checks(CHECKS):
        raise typer.Exit(1)


def test(context: typer.Context) -> None:
    """All checks, then all tests on throw-away servers. Further arguments go to pytest: `./tooloo test -k name`."""
    passed = _run_checks(CHECKS)
    find_program(typer.echo)  # once, here, rather than by the first test that needs it, whose time is limited
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TOOLOO_", "TEMPORAL_"))}
    environment.pop("DATABASE_URL", None)
    pytest = [sys.executable, "-m", "pytest", "-n", _WORKERS, "--dist", "loadgroup", *context.args]
    tests = subprocess.run(pytest, cwd=CHECKOUT, env=environment, check=False)  # noqa: S603 - our command line
    if not passed:
        typer.echo("The checks above failed.", err=True)
    raise typer.Exit(tests.returncode or (0 if passed else 1))


def _run_checks(checks: Sequence[Check]) -> bool:
    console = Console()
    passed = True
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for outcome in pool.map(_look, checks):
            passed &= outcome.passed
            _report(console, outcome)
    return passed


def _look(check: Check) -> Outcome:
    started = time.monotonic()
    program = _SCRIPTS / check.command[0]
    done = subprocess.run(  # noqa: S603 - our command line
        [program, *check.command[1:]],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Outcome(check, done.returncode, done.stdout, time.monotonic() - started)


def _report(console: Console, outcome: Outcome) -> None:
    word = (
        "[yellow]not looked up[/]" if outcome.could_not_look else "[green]ok[/]" if outcome.passed else "[red]failed[/]"
    )
    console.print(f"{outcome.check.name:<14}{word} ({outcome.seconds:.1f} s)", highlight=False)
    if outcome.could_not_look:
        console.print(
            "  its index on the network does not answer for all packages: known vulnerabilities may be missed"
        )
    elif not outcome.passed:
        console.print(outcome.output, markup=False, highlight=False, soft_wrap=True)
