"""`search`: in all repositories that the key's user may read."""

from typing import Annotated

import typer

from cli.client.api import path
from cli.client.refusals import UnreachableError
from cli.client.session import Session, platform_command
from models.context import FileMatch, SearchEnd


@platform_command
def search(
    session: Session,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Such as 'symbol:compile lang:python path:src'.")],
) -> None:
    """Search in contents, paths and symbols: words, "phrases", /regular expressions/, and filters.

    Files are shown as they are found; --json gives the first page of them.
    """
    if session.json_only:
        session.show_json(session.platform.get(path("context", "search"), {"q": query}))
        return
    shown, heading = 0, ""
    with session.platform.stream(path("context", "search", "stream"), params={"q": query}) as events:
        for event in events:
            if event.event == "end":
                _show_end(session, SearchEnd.model_validate_json(event.data, extra="ignore"), shown)
                return
            file = FileMatch.model_validate_json(event.data, extra="ignore")
            if (repo := f"{file.repo} {file.commit[:12]}") != heading:
                session.say(repo)
            heading, shown = repo, shown + 1
            _show(session, file)
    raise UnreachableError("The platform ended the search before its end.")


def _show(session: Session, file: FileMatch) -> None:
    session.say(f"  {file.path}")
    for match in file.matches:
        session.say(f"    {match.line}:{match.column}  {match.text.strip()}")


def _show_end(session: Session, end: SearchEnd, shown: int) -> None:
    more = "" if end.is_complete else "at least "
    session.say(f"{more}{end.total:,} files match, {shown:,} are shown")
    if end.not_indexed:
        session.say(f"not indexed yet: {', '.join(end.not_indexed)}")
