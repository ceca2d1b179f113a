"""Which language a file is written in. Pure: `identify` knows names and interpreters, one table what to call them."""

import io
from dataclasses import dataclass

from identify import identify


@dataclass(frozen=True)
class Language:
    """A language by its display name."""

    name: str
    code: bool
    """Whether people program in it: data and prose have no functions to judge."""
    measured_as: str | None = None
    """A file extension by which lizard knows it, for files that do not carry one."""


OTHER = Language("Other", code=False)
_START = 1_024
"""Bytes that tell an interpreter."""

# The first tag that a file has decides, so narrower ones come first.
_LANGUAGES: dict[str, Language] = {
    "jupyter": Language("Jupyter Notebook", code=False),
    "cython": Language("Cython", code=True),
    "pyi": Language("Python", code=True, measured_as="py"),
    "python": Language("Python", code=True, measured_as="py"),
    "tsx": Language("TypeScript", code=True, measured_as="tsx"),
    "ts": Language("TypeScript", code=True, measured_as="ts"),
    "vue": Language("Vue", code=True, measured_as="vue"),
    "svelte": Language("Svelte", code=True),
    "astro": Language("Astro", code=True),
    "jsx": Language("JavaScript", code=True, measured_as="jsx"),
    "javascript": Language("JavaScript", code=True, measured_as="js"),
    "coffee": Language("CoffeeScript", code=True),
    "go-mod": Language("Go module", code=False),
    "go-sum": Language("Go module", code=False),
    "go": Language("Go", code=True, measured_as="go"),
    "rust": Language("Rust", code=True, measured_as="rs"),
    "java": Language("Java", code=True, measured_as="java"),
    "kotlin": Language("Kotlin", code=True, measured_as="kt"),
    "scala": Language("Scala", code=True, measured_as="scala"),
    "groovy": Language("Groovy", code=True),
    "jenkins": Language("Groovy", code=True),
    "clojure": Language("Clojure", code=True),
    "clojurescript": Language("Clojure", code=True),
    "cuda": Language("CUDA", code=True, measured_as="cu"),
    "c": Language("C", code=True, measured_as="c"),
    "c++": Language("C++", code=True, measured_as="cpp"),
    "objective-c++": Language("Objective-C++", code=True, measured_as="mm"),
    "objective-c": Language("Objective-C", code=True, measured_as="m"),
    "c#": Language("C#", code=True, measured_as="cs"),
    "f#": Language("F#", code=True),
    "vb": Language("Visual Basic", code=True),
    "swift": Language("Swift", code=True, measured_as="swift"),
    "ruby": Language("Ruby", code=True, measured_as="rb"),
    "erb": Language("ERB", code=False),
    "php": Language("PHP", code=True, measured_as="php"),
    "perl": Language("Perl", code=True, measured_as="pl"),
    "lua": Language("Lua", code=True, measured_as="lua"),
    "luau": Language("Luau", code=True),
    "r": Language("R", code=True, measured_as="r"),
    "julia": Language("Julia", code=True),
    "dart": Language("Dart", code=True),
    "elixir": Language("Elixir", code=True),
    "erlang": Language("Erlang", code=True, measured_as="erl"),
    "elm": Language("Elm", code=True),
    "haskell": Language("Haskell", code=True),
    "ocaml": Language("OCaml", code=True),
    "nim": Language("Nim", code=True),
    "zig": Language("Zig", code=True, measured_as="zig"),
    "crystal": Language("Crystal", code=True),
    "fortran": Language("Fortran", code=True, measured_as="f90"),
    "pascal": Language("Pascal", code=True),
    "asm": Language("Assembly", code=True),
    "verilog": Language("Verilog", code=True),
    "system-verilog": Language("SystemVerilog", code=True),
    "vhdl": Language("VHDL", code=True),
    "scheme": Language("Scheme", code=True),
    "vim": Language("Vim script", code=True),
    "gdscript": Language("GDScript", code=True, measured_as="gd"),
    "solidity": Language("Solidity", code=True, measured_as="sol"),
    "fish": Language("Shell", code=True),
    "shell": Language("Shell", code=True),
    "powershell": Language("PowerShell", code=True),
    "batch": Language("Batch", code=True),
    "awk": Language("Awk", code=True),
    "sql": Language("SQL", code=True),
    "graphql": Language("GraphQL", code=False),
    "proto": Language("Protocol Buffers", code=False),
    "thrift": Language("Thrift", code=False),
    "terraform": Language("Terraform", code=False),
    "hcl": Language("HCL", code=False),
    "nix": Language("Nix", code=False),
    "dockerfile": Language("Dockerfile", code=False),
    "makefile": Language("Makefile", code=False),
    "cmake": Language("CMake", code=False),
    "meson": Language("Meson", code=False),
    "bazel": Language("Bazel", code=False),
    "jinja": Language("Jinja", code=False),
    "handlebars": Language("Handlebars", code=False),
    "mustache": Language("Mustache", code=False),
    "scss": Language("SCSS", code=False),
    "sass": Language("Sass", code=False),
    "less": Language("Less", code=False),
    "css": Language("CSS", code=False),
    "svg": Language("SVG", code=False),
    "html": Language("HTML", code=False),
    "pom": Language("XML", code=False),
    "xml": Language("XML", code=False),
    "json": Language("JSON", code=False),
    "json5": Language("JSON", code=False),
    "yaml": Language("YAML", code=False),
    "toml": Language("TOML", code=False),
    "ini": Language("INI", code=False),
    "csv": Language("CSV", code=False),
    "tsv": Language("TSV", code=False),
    "diff": Language("Diff", code=False),
    "mdx": Language("MDX", code=False),
    "markdown": Language("Markdown", code=False),
    "rst": Language("reStructuredText", code=False),
    "asciidoc": Language("AsciiDoc", code=False),
    "tex": Language("TeX", code=False),
    "plain-text": Language("Plain text", code=False),
}


_ALIASES = {
    "py": "python",
    "js": "javascript",
    "rb": "ruby",
    "rs": "rust",
    "cpp": "c++",
    "cs": "c#",
    "sh": "shell",
    "bash": "shell",
}
_NAMES = {language.name.casefold(): language.name for language in _LANGUAGES.values()}


def find_language(name: str) -> str | None:
    """The display name of a language as people write it: in any case, by its tag or a usual short form."""
    folded = name.casefold()
    folded = _ALIASES.get(folded, folded)
    if folded in _LANGUAGES:
        return _LANGUAGES[folded].name
    return _NAMES.get(folded)


def language_of(name: str, text: bytes) -> Language:
    """The language of a text file: by its name, else by the interpreter that its start calls."""
    tags = identify.tags_from_filename(name)
    if not tags & _LANGUAGES.keys() and (command := identify.parse_shebang(io.BytesIO(text[:_START]))):
        tags = tags | identify.tags_from_interpreter(command[0])
    return next((language for tag, language in _LANGUAGES.items() if tag in tags), OTHER)
