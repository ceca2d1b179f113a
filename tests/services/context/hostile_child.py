"""What a worker does with a repository, in a process of its own whose memory is measured.

    hostile_child.py FOLDER SOURCE OPENED DOES

It loads by URL or path, indexes and searches; when DOES is `all`, it compares and analyzes, too. One JSON object says
how it went:

`grown` is how much more memory than before was in use at the most, in bytes, by this process alone.
"""

import json
import sys
from pathlib import Path
from typing import Any

from dulwich.objects import ObjectID

from models.context import LoadRepo
from models.errors import TooLooError
from services.context.addresses import AddressRules
from services.context.analysis import analyze
from services.context.differences import difference
from services.context.loading import Loader
from services.context.reading import list_folder
from services.context.search.evaluation import Target
from services.context.search.indexing import build_index
from services.context.search.query import parse
from services.context.search.searching import SearchService
from services.context.supervision import Limits, Supervision


def memory(figure: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(figure):
            return int(line.split()[1]) * 1024
    raise AssertionError(figure)


def work(folder: Path, source: str, opened: str, does: str, told: dict[str, Any]) -> None:
    supervision = Supervision(seconds=200, report=lambda _: None)
    loader = Loader(folder / "store", (folder / "roots",), AddressRules((opened,)), "https://forge.invalid", Limits())
    kind = "path" if source.startswith("/") else "url"
    first = loader.load(LoadRepo.model_validate({kind: source, "ref": "first"}), supervision)
    repo = loader.load(LoadRepo.model_validate({kind: source}), supervision)
    told["commit"] = repo.commit
    stored = loader.opened(repo, supervision)
    with stored.objects() as objects:
        told["listed"] = len(list_folder(objects, ObjectID(repo.commit.encode()), (), 0, 1_000_000))
        told["indexed"] = build_index(objects, repo, folder / "index", supervision).model_dump(mode="json")
    service = SearchService(folder / "index")
    for query in ("retry", "/r.t.*y/", "path:x -nothing"):
        told[query] = service.search(parse(query), [Target(repo.id, repo.name, repo.commit)], 30).total
    if does != "all":
        return
    with stored.objects() as objects:
        told["changed"] = difference(objects, repo, first.commit, supervision).model_dump(mode="json")["left_out"]
    with stored.objects() as objects:
        told["skipped"] = analyze(objects, repo, 0, supervision).skipped


if __name__ == "__main__":
    idle, result = memory("VmRSS"), dict[str, Any]()
    try:
        folder, source, opened, does = sys.argv[1:]
        work(Path(folder), source, opened, does, result)
    except TooLooError as error:
        result["code"] = error.code
    result["grown"] = memory("VmHWM") - idle
    print(json.dumps(result))  # noqa: T201 - for the test that started it
