"""`bench`: every performance claim, measured here and now."""

import subprocess
import sys
from enum import StrEnum

import typer

from models.settings import CHECKOUT


class Benchmark(StrEnum):
    """Programs under `benchmarks/`."""

    ANALYTICS = "analytics"
    ORACLE = "analytics_oracle"
    SEARCH = "search"
    RIPGREP = "ripgrep_oracle"
    SYMBOLS = "symbols_oracle"
    OVERHEAD = "overhead"
    SCHEDULES = "schedules"


def bench(context: typer.Context, name: Benchmark) -> None:
    """Run a benchmark on throw-away servers; it prints ratios. Further arguments go to it."""
    command = [sys.executable, "-m", f"benchmarks.{name.value}", *context.args]
    raise typer.Exit(subprocess.run(command, cwd=CHECKOUT, check=False).returncode)  # noqa: S603 - our own program
