"""Which licence a text is. Pure.

The texts are the 35 of choosealicense.com that `identify` carries for the same purpose. Texts are compared by words:
the share that two texts have in common (Dice, repeated words count as often as both have them), as GitHub's licensee
does, which stands up to wrapping, indents, punctuation and a few own words.
"""

import re
from collections import Counter
from functools import cache
from pathlib import PurePosixPath

from identify.vendor.licenses import LICENSES

RECOGNIZED = 0.87
"""Similarity from which on a text is told to be the licence: what common wordings of ISC and BSD reach, while other
licences stay below 0.8, but for those of _VARIANTS. The similarity is told too."""
MAX_BYTES = 128 * 2**10
"""Of a licence file that is read; the longest licence has 35 kB, and some files hold several."""
_NAME = re.compile(r"(?:(?:UN)?LICEN[CS]ES?|COPYING|COPYRIGHT|MIT-LICENSE|OFL)(?:[-_.][\w.+-]{1,40})?", re.IGNORECASE)
_NOT_TEXT = re.compile(
    r"\.(?:py|js|ts|go|rs|java|c|h|cc|cpp|rb|sh|html?|css|json|ya?ml|toml|xml|svg|png|tmpl|lock)$", re.IGNORECASE
)
_COPYRIGHT = re.compile(
    r"^[ \t#*/]*(?:(?:portions )?copyright\b|\(c\)|©|all rights reserved\b).*$", re.IGNORECASE | re.MULTILINE
)
_APPENDIX = re.compile(r"^[ \t]*(?:end of terms and conditions|how to apply these terms)", re.IGNORECASE | re.MULTILINE)
_WORD = re.compile(r"[a-z0-9]+")
_MIN_WORDS = 10
_VARIANTS = (
    ("MIT", "good", "evil", "JSON"),
    ("BSD-3-Clause", "advertising", "acknowledgement", "BSD-4-Clause"),
    ("BSD-2-Clause", "advertising", "acknowledgement", "BSD-4-Clause"),
)
"""A licence, two words that it does not have, and what it is when it has both."""
_MIT_CONDITION = frozenset({"included", "portions", "notice"})
"""Words of the one condition of the MIT licence, which MIT-0 leaves out."""


def is_license(path: str) -> bool:
    """Whether a file is one that holds a licence by its name, such as LICENSE, COPYING.LESSER or licence-mit.txt."""
    name = PurePosixPath(path).name
    return _NAME.fullmatch(name) is not None and _NOT_TEXT.search(name) is None


def identify_license(text: bytes) -> tuple[str, float] | None:
    """SPDX identifier and similarity (0 to 1) of the licence that a text is; None when it is none that is known.

    GNU licences are named without `-only` or `-or-later`: that is said elsewhere than in their text.
    """
    words = _words(text[:MAX_BYTES].decode("utf-8-sig", "replace"))
    if words.total() < _MIN_WORDS:
        return None
    scored = [(_similarity(words, known), spdx) for spdx, known in _known()]
    best, spdx = max(scored, key=lambda each: (each[0], each[1]))
    return (_variant(spdx, words), round(best, 4)) if best >= RECOGNIZED else None


def _variant(spdx: str, words: Counter[str]) -> str:
    if spdx == "MIT" and not _MIT_CONDITION & words.keys():
        return "MIT-0"
    return next((other for known, one, two, other in _VARIANTS if known == spdx and words.keys() >= {one, two}), spdx)


def _words(text: str) -> Counter[str]:
    """The words of the terms: without notices of copyright, and without the advice on how to apply them."""
    terms = _COPYRIGHT.sub("", text)
    if (appendix := _APPENDIX.search(terms)) and appendix.start() > len(terms) // 2:
        terms = terms[: appendix.start()]
    return Counter(_WORD.findall(terms.lower()))


def _similarity(one: Counter[str], other: Counter[str]) -> float:
    total = one.total() + other.total()
    shorter = min(one.total(), other.total())
    if 2 * shorter < RECOGNIZED * total:
        return 0.0
    return 2 * sum(min(count, other[word]) for word, count in one.items()) / total


@cache
def _known() -> tuple[tuple[str, Counter[str]], ...]:
    return tuple((spdx, _words(text)) for spdx, text in LICENSES)
