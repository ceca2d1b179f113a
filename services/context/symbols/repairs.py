"""Sources without what grammars are known to misread, every other byte at its place."""

import re

_BACKQUOTED = re.compile(rb"`[^`\n]*`")
_NAME = rb"\b[A-Z_][A-Z0-9_]{2,99}\b"
_MACRO = _NAME + rb"(?:[ \t]*\([^()\n]*\))?"
# Each alternative begins with one of a few bytes, and saying so first makes the search twice as fast.
_PLACES = re.compile(
    rb"""
    (?= [\#/"'csueno)*A-Z_] )
    (?:
        \#(?:[^\\\n]|\\.)* | //[^\n]* | /\*.*?(?:\*/|\Z) | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*'
        | \b(?:class|struct|union|enum|namespace) \s+ (?:\w+\s+)?? (?P<tag> %(macro)s ) (?= \s+\w | \s*\{ )
        | (?: \) | \bconst\b | \boverride\b | \bnoexcept\b) \s* (?P<suffix> %(macro)s (?:\s+%(macro)s)* ) (?= \s*[{;:] )
        | (?P<prefix> %(name)s ) (?= \s+ [A-Za-z_]\w* [\s*&]+ [A-Za-z_~] )
        | \* \s* (?P<calling> %(name)s ) (?= \s+ \w+ \s* \( )
    )
    """
    % {b"macro": _MACRO, b"name": _NAME},
    re.VERBOSE | re.DOTALL,
)


def without_macros(source: bytes) -> bytes:
    """C or C++ with blanks for macros where the language itself has no place for a name.

    A parser that sees no preprocessor reads `class API_EXPORT Name {` or `int f() NOEXCEPT {` as something else. What
    is a macro is told by its place and its capitals.
    """
    return _PLACES.sub(_blanked, source)


def _blanked(found: re.Match[bytes]) -> bytes:
    if found.lastgroup is None:  # a directive, a comment or a text
        return found[0]
    start, end = (place - found.start() for place in found.span(found.lastgroup))
    return found[0][:start] + re.sub(rb"[^\n]", b" ", found[found.lastgroup]) + found[0][end:]


def without_backquotes(source: bytes) -> bytes:
    """Shell without commands in backquotes: with quotes inside, the grammar takes the rest of the file for a text."""
    return _BACKQUOTED.sub(lambda found: b"x" * len(found[0]), source)
