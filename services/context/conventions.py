"""What a path, or the first lines, give away: tests, dependency manifests, generated and other people's code. Pure."""

import re
from pathlib import PurePosixPath

_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "spec", "specs", "e2e", "androidTest", "integration_tests"})
_TEST_NAME = re.compile(
    r"""
    (?:test_.+ | conftest) \.pyi?        # pytest, unittest
    | .+_(?:test|spec|unittest) \.\w+    # Go, Python, Ruby, C++, Dart, Elixir
    | .+[.-](?:test|spec|cy) \.[cm]?[jt]sx?
    | (?:Test[A-Z]\w* | \w+(?:Tests?|TestCase|Spec|IT)) \. (?:java|kt|kts|scala|groovy|cs|fs|vb|swift|php|m)
    | .+\.bats | .+\.t
    """,
    re.VERBOSE,
)

_MANIFESTS = frozenset({
    "pyproject.toml", "setup.py", "setup.cfg", "Pipfile", "environment.yml", "environment.yaml",
    "package.json", "deno.json", "deno.jsonc", "bower.json",
    "go.mod", "Cargo.toml", "pom.xml", "build.gradle", "build.gradle.kts", "build.sbt", "deps.edn", "project.clj",
    "Gemfile", "composer.json", "packages.config", "Directory.Packages.props", "paket.dependencies",
    "Package.swift", "Podfile", "pubspec.yaml", "mix.exs", "rebar.config", "stack.yaml", "package.yaml", "elm.json",
    "conanfile.txt", "conanfile.py", "vcpkg.json", "CMakeLists.txt", "meson.build", "MODULE.bazel", "WORKSPACE",
    "Project.toml", "DESCRIPTION", "cpanfile", "build.zig.zon", "shard.yml", "dune-project",
})  # fmt: skip
_MANIFEST_NAME = re.compile(
    r"requirements[\w.-]*\.(?:txt|in) | .+\.(?:csproj|fsproj|vbproj|gemspec|cabal|nimble|podspec|opam|rockspec)",
    re.VERBOSE,
)

_FOREIGN_FOLDERS = frozenset({
    "node_modules", "bower_components", "vendor", "vendored", "_vendor", "third_party", "third-party", "thirdparty",
    "external", "dist", "site-packages",
})  # fmt: skip
_FOREIGN_NAME = re.compile(
    r".+[.-]min\.(?:js|css|mjs) | .+\.lock | .+[-.]lock\.(?:json|yaml) | .+_pb2?\.\w+", re.VERBOSE
)
_HEAD = 2_048
"""Bytes in which a generator says that it was one."""
_GENERATED = re.compile(rb"@generated\b|\bgenerated\b[^\0]{0,200}?\bdo not (?:edit|modify)\b", re.IGNORECASE)


def is_test(path: str) -> bool:
    """Whether a source file holds tests, by the conventions of its language's tools."""
    parts = PurePosixPath(path)
    return bool(_TEST_FOLDERS & set(parts.parts[:-1])) or _TEST_NAME.fullmatch(parts.name) is not None


def is_manifest(path: str) -> bool:
    """Whether a file declares what a project depends on. Lock files repeat it and do not count."""
    name = PurePosixPath(path).name
    return name in _MANIFESTS or _MANIFEST_NAME.fullmatch(name) is not None


def is_foreign(path: str) -> bool:
    """Whether a file is generated or was written elsewhere: its style is not this project's to improve."""
    parts = PurePosixPath(path)
    return bool(_FOREIGN_FOLDERS & set(parts.parts[:-1])) or _FOREIGN_NAME.fullmatch(parts.name) is not None


def is_generated(text: bytes) -> bool:
    """Whether a file says at its beginning that a tool wrote it, as Go, protobuf, Thrift and many others do."""
    return _GENERATED.search(text, 0, _HEAD) is not None
