"""A disk that is full at every place where something is written: a clear error, and the next try completes."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hostile import Served

CHECKOUT = Path(__file__).resolve().parents[3]
OWN_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount")


def _may_mount() -> bool:
    """Whether a process may have file systems of its own: not in every container."""
    return (
        shutil.which("unshare") is not None
        and not subprocess.run(
            [*OWN_MOUNTS, "mount", "-t", "tmpfs", "small", "/mnt"], capture_output=True, check=False
        ).returncode
    )


@pytest.mark.parametrize("kind", ["disk", "files"])
def test_a_full_disk_is_a_clear_error_and_the_old_index_is_still_served(served: Served, kind: str) -> None:
    """`disk`: a small one of the test's own, where that is possible. `files`: none may grow."""
    if kind == "disk" and not _may_mount():
        pytest.skip("file systems cannot be mounted here; the other case reaches the same places")
    chance = random.Random(6)
    contents = {f"noise/{number}.txt": chance.randbytes(3_000).hex().encode() for number in range(300)}
    same = {f"same/{'x' * 200}/{number}": b"retry\n" for number in range(2_000)}
    served.import_files({**contents, **same})
    disk = served.folder / "disk"
    disk.mkdir()
    prefix = OWN_MOUNTS if kind == "disk" else ()
    with served.undisturbed():
        done = subprocess.run(
            [*prefix, sys.executable, Path(__file__).with_name("full_disk_child.py"), kind, disk,
             served.url, served.server.address, served.first.commit],
            check=True, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )  # fmt: skip
    told: dict[str, Any] = json.loads(done.stdout)
    print({**told, "load": told["load"]["room"], "index": told["index"]["room"]})  # noqa: T201 - for who runs it with -s
    for part in ("load", "index"):
        assert len(told[part]["codes"]) > 3
        assert set(told[part]["codes"]) == {"disk-full"}
        assert set(told[part]["found"]) == {2}
    assert (told["files"], told["searched"]) == (2_302, 2_002)
