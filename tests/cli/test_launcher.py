"""`./tooloo` makes its environment when it must, and only then. Python and uv are stand-ins that keep a diary."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models.settings import CHECKOUT

PYTHON = """#!/bin/sh
case "$*" in
    "-m venv --clear "*)
        mkdir -p "$4/bin"
        cp "$0" "$4/bin/python"
        cp "$DIARY.uv" "$4/bin/uv"
        echo "venv" >> "$DIARY" ;;
    "-P -m cli "*) shift 3; echo "cli $*" >> "$DIARY" ;;
    "-c import sysconfig"*) echo "$SITE" ;;
    *) exec "$REAL_PYTHON" "$@" ;;
esac
"""
UV = """#!/bin/sh
case "$*" in
    --version) ;;
    *) [ ! -e "$DIARY.uv-fails" ] || exit 1; echo "uv $1 $2" >> "$DIARY" ;;
esac
"""
MADE = ["venv", "uv pip sync"]


class Checkout:
    """A checkout with the launcher and a lock, and the diary of what the launcher had done."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.root.mkdir()
        shutil.copy(CHECKOUT / "tooloo", self.root)
        self.lock = self.root / "requirements.lock"
        self.lock.write_text("rich==15.0.0 \\\n    --hash=sha256:00\n")
        self.diary = folder / "diary"
        self.bin = folder / "bin"
        self.bin.mkdir()
        (folder / "site").mkdir()
        (self.bin / "python3").write_text(PYTHON)
        (self.bin / "python3").chmod(0o755)
        self.diary.with_name("diary.uv").write_text(UV)
        self.diary.with_name("diary.uv").chmod(0o755)
        self.environment = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": "",
            "DIARY": str(self.diary),
            "SITE": str(folder / "site"),
            "REAL_PYTHON": os.path.realpath(sys.executable),
        }

    def run(
        self, *arguments: str, program: Path | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = [str(program or self.root / "tooloo"), *arguments]
        return subprocess.run(command, env=self.environment, cwd=cwd, capture_output=True, text=True, check=False)

    def take_diary(self) -> list[str]:
        lines = self.diary.read_text().splitlines() if self.diary.exists() else []
        self.diary.unlink(missing_ok=True)
        return lines


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_environment_is_made_once_and_said_aloud(checkout: Checkout) -> None:
    first = checkout.run("status", "--json")
    assert first.returncode == 0, first.stderr
    assert "making .venv" in first.stderr
    assert checkout.take_diary() == [*MADE, "cli status --json"]
    second = checkout.run("status", "a b")
    assert second.stderr == ""
    assert checkout.take_diary() == ["cli status a b"]


def test_changed_lock_makes_it_stale(checkout: Checkout) -> None:
    checkout.run("up")
    checkout.take_diary()
    checkout.lock.write_text("rich==15.0.1 \\\n    --hash=sha256:01\n")
    checkout.run("up")
    assert checkout.take_diary() == ["uv pip sync", "cli up"]


def test_moved_checkout_makes_it_stale(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("up")
    checkout.take_diary()
    checkout.root.rename(tmp_path / "moved")
    checkout.run("up", program=tmp_path / "moved" / "tooloo")
    assert "uv pip sync" in checkout.take_diary()


def test_interrupted_installation_is_done_again(checkout: Checkout) -> None:
    fails = checkout.diary.with_name("diary.uv-fails")
    fails.touch()
    assert checkout.run("up").returncode != 0
    assert checkout.take_diary() == ["venv"]
    fails.unlink()
    assert checkout.run("up").returncode == 0
    assert checkout.take_diary() == ["uv pip sync", "cli up"]


def test_two_at_once_make_it_once(checkout: Checkout) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(checkout.run, "abcd"))
    assert [result.returncode for result in results] == [0, 0, 0, 0]
    diary = checkout.take_diary()
    assert sorted(diary) == sorted([*MADE, "cli a", "cli b", "cli c", "cli d"])
    assert diary[:2] == MADE


def test_works_through_a_link_and_from_another_folder(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "one").symlink_to("../a checkout/tooloo")
    (tmp_path / "two").symlink_to(tmp_path / "links" / "one")
    result = checkout.run("up", program=tmp_path / "two", cwd=Path("/"))
    assert result.returncode == 0, result.stderr
    assert (checkout.root / ".venv" / "made-from").exists()


def test_without_a_fitting_python_it_says_what_to_install(checkout: Checkout) -> None:
    checkout.environment["REAL_PYTHON"] = "/bin/false"
    for newer in ("python3.11", "python3.12", "python3.13"):
        shutil.copy(checkout.bin / "python3", checkout.bin / newer)
    result = checkout.run("up")
    assert result.returncode == 1
    assert "needs Python 3.11 or newer" in result.stderr
