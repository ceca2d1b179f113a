"""`search`: in all repositories that the key's user may read."""

from itertools import groupby
from typing import Annotated

import typer

from cli.client.api import path
from cli.client.session import Session, platform_command
from models.context import FileMatch, SearchResults


@platform_command
def search(
    session: Session,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Such as 'symbol:compile lang:python path:src'.")],
) -> None:
    """Search in contents, paths and symbols: words, "phrases", /regular expressions/, and filters."""
    answer = session.platform.get(path("context", "search"), {"q": query})
    session.show_json(answer)
    found = SearchResults.model_validate(answer, extra="ignore")
    for repo, files in groupby(found.items, key=lambda item: f"{item.repo} {item.commit[:12]}"):
        session.say(repo)
        for file in files:
            _show(session, file)
    more = "" if found.is_complete else "at least "
    session.say(f"{more}{found.total:,} files match, {len(found.items):,} are shown")
    if found.not_indexed:
        session.say(f"not indexed yet: {', '.join(found.not_indexed)}")


def _show(session: Session, file: FileMatch) -> None:
    session.say(f"  {file.path}")
    for match in file.matches:
        session.say(f"    {match.line}:{match.column}  {match.text.strip()}")
