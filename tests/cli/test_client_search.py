"""`search` on answers of a platform."""

from typing import Any

from tests.cli.recorded_platform import RecordedPlatform, Reply, event, refused, stream, tooloo

STREAM, PAGE = "/context/search/stream", "/context/search"


def file(path: str, repo: str = "one", **changes: Any) -> dict[str, Any]:
    match = {"line": 4, "column": 5, "length": 5, "text": "def \x1b[31mretry(times):", "newer": True}
    return {"repo": repo, "commit": "c" * 40, "path": path, "lang": "Python", "matches": [match], **changes}


def end(**changes: Any) -> str:
    return event(
        "end", {"query": "retry", "total": 3, "is_complete": True, "not_indexed": [], "newer": True, **changes}
    )


def test_files_are_shown_in_their_order_under_their_repository(platform: RecordedPlatform) -> None:
    found = [file("a.py"), file("b.py", matches=[]), file("c.py", repo="two")]
    platform.answers("GET", STREAM, stream(*(event("file", one) for one in found), end(not_indexed=["three"])))
    ended = tooloo("search", "retry lang:python")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "one cccccccccccc",
        "  a.py",
        "    4:5  def \ufffd[31mretry(times):",
        "  b.py",
        "two cccccccccccc",
        "  c.py",
        "    4:5  def \ufffd[31mretry(times):",
        "3 files match, 3 are shown",
        "not indexed yet: three",
    ]
    assert platform.received[0].query == {"q": ["retry lang:python"]}


def test_a_search_that_ran_out_of_time_says_so(platform: RecordedPlatform) -> None:
    platform.answers("GET", STREAM, stream(event("file", file("a.py")), end(is_complete=False, total=1_200)))
    assert tooloo("search", "retry").out.splitlines()[-1] == "at least 1,200 files match, 1 are shown"


def test_json_is_one_document(platform: RecordedPlatform) -> None:
    page = {"query": "retry", "total": 1, "items": [file("a.py")], "next_cursor": None}
    platform.answers("GET", PAGE, Reply(200, page))
    assert tooloo("search", "retry", "--json").document == page


def test_what_is_refused_is_told_and_a_broken_stream_is_no_result(platform: RecordedPlatform) -> None:
    platform.answers("GET", STREAM, refused(422, "invalid-input", "column 3: expected a closing )"))
    ended = tooloo("search", "(a")
    assert (ended.code, ended.out) == (6, "")
    assert "column 3" in ended.err
    platform.answers("GET", STREAM, stream(event("file", file("a.py"))))
    platform.next_reply(platform.received[-1])
    ended = tooloo("search", "a")
    assert ended.code != 0
    assert "before its end" in ended.err
