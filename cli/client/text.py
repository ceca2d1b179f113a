"""Values as text for people."""

import json
import re
from datetime import datetime
from typing import Any

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_MINUTE = 60
_HOUR = 3600
_TENTHS_BELOW_SECONDS = 10


def printable(text: str) -> str:
    """The text without what would move the cursor, colour the screen or reverse the direction of reading.

    Much of what is printed was written by strangers: names in their repositories, messages of their errors.
    """
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def as_json(value: Any) -> str:
    """A JSON value, indented; strings stay readable in every language."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def duration(seconds: float) -> str:
    """A duration with as many digits as matter."""
    seconds = max(seconds, 0.0)
    if round(seconds, 1) < _TENTHS_BELOW_SECONDS:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"


def local_time(instant: datetime | None) -> str:
    """An instant in this machine's zone, to the second; empty for none."""
    return "" if instant is None else instant.astimezone().strftime("%Y-%m-%d %H:%M:%S")
