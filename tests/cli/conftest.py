"""A platform of recorded answers, named by the environment."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.recorded_platform import RecordedPlatform, recorded_platform


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RecordedPlatform]:
    monkeypatch.setenv("TOOLOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TOOLOO_KEY", "tl_secret")
    with recorded_platform() as platform:
        monkeypatch.setenv("TOOLOO_URL", platform.address)
        yield platform
