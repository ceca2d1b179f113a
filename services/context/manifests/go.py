"""Go: go.mod. Pure."""

import re

from services.context.manifests.declared import Contents

_OPEN = re.compile(r"(\w+)\s*\(\s*")
_KNOWN = frozenset(
    {"module", "go", "toolchain", "godebug", "require", "exclude", "replace", "retract", "tool", "ignore"}
)


def read_go_mod(text: str) -> Contents:
    """A go.mod. What `replace` puts in a module's place is said behind its version: `v1.2.3 => ../fork`."""
    contents = Contents(text)
    required: list[tuple[str, str, int]] = []
    replaced: dict[tuple[str, str], str] = {}
    for number, directive, words in _directives(contents):
        if directive == "require" and len(words) == 2:  # noqa: PLR2004 module and version
            required.append((words[0], words[1], number))
        elif directive == "replace" and "=>" in words[1:3]:
            arrow = words.index("=>")
            replaced[words[0], words[1] if arrow > 1 else ""] = " ".join(words[arrow + 1 :])
        elif directive == "tool" and len(words) == 1:
            contents.add(words[0], "", "dev", number)
        elif directive in {"require", "replace", "tool"}:
            contents.problems.append((number, f"a {directive} that cannot be read"))
    for module, version, number in required:
        other = replaced.get((module, version)) or replaced.get((module, ""))
        contents.add(module, f"{version} => {other}" if other else version, "runtime", number)
    return contents


def _directives(contents: Contents) -> list[tuple[int, str, list[str]]]:
    """Line, directive and its words, blocks in parentheses taken apart."""
    found: list[tuple[int, str, list[str]]] = []
    block = ""
    for number, line in enumerate(contents.text.split("\n"), start=1):
        code = line.partition("//")[0].strip()
        if not code:
            continue
        if opened := _OPEN.fullmatch(code):
            block = opened[1]
        elif block and code == ")":
            block = ""
        else:
            words = [word.strip('"`') for word in code.split()]
            directive = block or words.pop(0)
            if directive in _KNOWN:
                found.append((number, directive, words))
            else:
                contents.problems.append((number, f"{directive[:50]!r} is not a directive of go.mod"))
    return found
