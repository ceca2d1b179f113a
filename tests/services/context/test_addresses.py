import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInputError, UnavailableError
from services.context.addresses import AddressRules, is_public, parse_web_address

PUBLIC = "93.184.215.14"


def rules(*opened: str, answers: tuple[str, ...] = (PUBLIC,)) -> AddressRules:
    return AddressRules(opened, resolve=lambda host, port: answers)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:a00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
    ],
)
def test_every_spelling_of_an_address_that_is_not_public_is_refused(host: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        AddressRules(()).vet(parse_web_address(f"https://{host}/owner/repo"))
    assert refused.value.code == "address-refused"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ssh://git@example.org/repo",
        "git://example.org/repo",
        "ext::sh -c touch% /tmp/x",
        "git@example.org:owner/repo",
        "-oProxyCommand=touch",
        "ftp://example.org/x",
        "//example.org/x",
        "https:///x",
        "https://",
        "",
        "https://exa mple.org/x",
        "https://example.org\\@127.0.0.1/x",
        "https://example.org/\nx",
        "https://example.org:99999/x",
        "https://example.org:x/x",
        "https://[::1/x",
        "https://example.org/x?service=y",
        "https://example.org/x#y",
        "https://" + "a" * 64 + ".org/x",
        "https://a..b/x",
    ],
)
def test_what_is_not_a_plain_https_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_web_address(url)
    assert refused.value.code == "address-refused"


def test_credentials_are_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_web_address("https://ada:hunter2@example.org/x")
    assert "credentials" in refused.value.detail
    assert "hunter2" not in refused.value.detail


def test_public_https_is_allowed_and_public_http_is_not() -> None:
    assert [str(each) for each in rules().vet(parse_web_address("https://example.org/x"))] == [PUBLIC]
    with pytest.raises(InvalidInputError, match="TOOLOO_ALLOW_ADDRESSES"):
        rules().vet(parse_web_address("http://example.org/x"))


def test_one_private_answer_among_public_ones_refuses_the_name() -> None:
    with pytest.raises(InvalidInputError):
        rules(answers=(PUBLIC, "10.0.0.7")).vet(parse_web_address("https://example.org/x"))


def test_a_name_that_cannot_be_resolved_is_unavailable() -> None:
    def fail(host: str, port: int) -> list[str]:
        raise socket.gaierror

    with pytest.raises(UnavailableError):
        AddressRules((), resolve=fail).vet(parse_web_address("https://example.org/x"))


@pytest.mark.parametrize(
    ("opened", "url", "answer", "allowed"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080/x", "127.0.0.1", True),
        ("127.0.0.1:8080", "http://127.0.0.1:8081/x", "127.0.0.1", False),
        ("127.0.0.1:8080", "http://127.0.0.2:8080/x", "127.0.0.2", False),
        ("10.0.0.0/8:80", "http://inside/x", "10.1.2.3", True),
        ("10.0.0.0/8:80", "http://inside/x", "11.1.2.3", False),
        ("forge.local:443", "https://forge.local/x", "10.0.0.9", True),
        ("forge.local:443", "https://other.local/x", "10.0.0.9", False),
        ("[fd00::/8]:443", "https://inside/x", "fd00::7", True),
        ("[::1]:80", "http://[::1]/x", "::1", True),
    ],
)
def test_an_operator_opens_exactly_what_is_named(opened: str, url: str, answer: str, allowed: bool) -> None:
    vetted = rules(opened, answers=(answer,))
    if allowed:
        assert vetted.vet(parse_web_address(url))
    else:
        with pytest.raises(InvalidInputError):
            vetted.vet(parse_web_address(url))


@pytest.mark.parametrize("entry", ["127.0.0.1", "host:0", "host:70000", "10.0.0.0/99:80", "a b:x", "[zz]:80", ""])
def test_an_unreadable_opening_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="TOOLOO_ALLOW_ADDRESSES"):
        rules(entry)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_every_wrapping(address: object) -> None:
    plain = ipaddress.IPv4Address(str(address))
    for wrapped in (f"::ffff:{plain}", f"64:ff9b::{plain}"):
        assert is_public(ipaddress.IPv6Address(wrapped)) == is_public(plain)
