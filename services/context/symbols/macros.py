r"""C and C++ without the macros that stand where the language itself has no place for a name.

A parser that sees no preprocessor reads `class API_EXPORT Name {` or `int f() NOEXCEPT {` as something else. Names in
capitals in such places are blanked; what they are is a matter of convention. Positions stay as they are.
"""

import re

_MACRO = rb"\b[A-Z_][A-Z0-9_]{2,99}\b(?:[ \t]*\([^()\n]*\))?"
_PLACES = re.compile(
    rb"""
    (?P<kept> \#[^\n]*(?:\\\n[^\n]*)* | //[^\n]* | /\*.*?(?:\*/|\Z) | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' )
    | \b(?:class|struct|union|enum|namespace) \s+ (?:\w+\s+)?? (?P<tag> %(macro)s ) (?= \s+\w | \s*\{ )
    | (?: \) | \bconst\b | \boverride\b | \bnoexcept\b) \s* (?P<suffix> %(macro)s (?:\s+%(macro)s)* ) (?= \s*[{;:] )
    | (?P<prefix> \b[A-Z_][A-Z0-9_]{2,99}\b ) (?= \s+ [A-Za-z_]\w* [\s*&]+ [A-Za-z_~] )
    | \* \s* (?P<calling> \b[A-Z_][A-Z0-9_]{2,99}\b ) (?= \s+ \w+ \s* \( )
    """
    % {b"macro": _MACRO},
    re.VERBOSE | re.DOTALL,
)


def without_macros(source: bytes) -> bytes:
    """The source with blanks for such macros, of the same length and the same lines."""
    return _PLACES.sub(_blanked, source)


def _blanked(found: re.Match[bytes]) -> bytes:
    kind = found.lastgroup or "kept"
    if kind == "kept":
        return found[0]
    start, end = (place - found.start() for place in found.span(kind))
    return found[0][:start] + re.sub(rb"[^\n]", b" ", found[kind]) + found[0][end:]
