"""Whom the client tells its key."""

from pathlib import Path

import pytest

from cli.client.address import DEFAULT_ADDRESS, find_address, find_key, is_loopback
from cli.stack.home import StackHome


@pytest.fixture
def home(tmp_path: Path) -> StackHome:
    (tmp_path / "admin.key").write_text("tl_admin\n")
    return StackHome(tmp_path)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:3000", "http://127.9.9.9", "http://localhost:1", "http://[::1]:3"]
)
def test_admin_key_of_this_machine_is_told_to_this_machine(home: StackHome, address: str) -> None:
    assert is_loopback(address)
    assert find_key(None, home, address) == "tl_admin"


@pytest.mark.parametrize(
    "address",
    ["https://tooloo.example", "http://192.168.0.1:3000", "http://127.0.0.1.example", "http://localhost.example"],
)
def test_admin_key_of_this_machine_is_told_to_no_other(home: StackHome, address: str) -> None:
    assert find_key(None, home, address) is None
    assert find_key(" tl_named ", home, address) == "tl_named"


def test_without_a_key_none_is_sent(tmp_path: Path) -> None:
    assert find_key(None, StackHome(tmp_path / "nowhere"), DEFAULT_ADDRESS) is None


@pytest.mark.parametrize("state", [None, "", "{}", "[]", '{"parts": [{"name": "api"}]}', '{"parts": []}'])
def test_without_a_stack_the_default_address_is_used(tmp_path: Path, state: str | None) -> None:
    if state is not None:
        (tmp_path / "stack.json").write_text(state)
    assert find_address(None, StackHome(tmp_path)) == DEFAULT_ADDRESS


def test_named_address_goes_before_the_stacks(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"parts": [{"name": "api", "address": "http://127.0.0.1:3100"}]}')
    assert find_address(None, StackHome(tmp_path)) == "http://127.0.0.1:3100"
    assert find_address("https://tooloo.example/", StackHome(tmp_path)) == "https://tooloo.example"
