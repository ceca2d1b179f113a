"""Dependency manifests with the awkward cases of their formats."""

import json
import time

import pytest

from services.context.manifests.reading import MAX_BYTES, Manifest, read_manifest

Row = tuple[str, str, str, int | None]


def read(path: str, text: str) -> Manifest:
    return read_manifest(path, text.encode())


def rows(manifest: Manifest) -> list[Row]:
    """Name, constraint, scope and line."""
    return [(each.name, each.constraint, each.scope, each.line) for each in manifest.dependencies]


def test_pyproject_with_extras_markers_urls_and_groups() -> None:
    manifest = read(
        "pyproject.toml",
        """\
[project]
name = "x"
license = "MIT OR Apache-2.0"
dependencies = [
    "a[x,y] >=1, <2",
    'b @ https://h.test/b.whl ; python_version < "3.12"',
    "what is this",
]
[project.optional-dependencies]
plot = ["c~=1.4"]
[dependency-groups]
test = ["pytest", {include-group = "lint"}]
lint = ["ruff==0.1"]
[build-system]
requires = ["hatchling"]
""",
    )
    assert rows(manifest) == [
        ("a", "[x,y] >=1, <2", "runtime", 5),
        ("b", '@ https://h.test/b.whl ; python_version < "3.12"', "runtime", 6),
        ("c", "~=1.4", "optional", 10),
        ("pytest", "", "dev", 12),
        ("ruff", "==0.1", "dev", 13),
        ("hatchling", "", "dev", 15),
    ]
    assert [each.spdx for each in manifest.licenses] == ["MIT OR Apache-2.0"]
    assert [(each.rule, each.line) for each in manifest.findings] == [("bad-manifest", 7)]


def test_poetry_with_git_path_extras_and_several_constraints() -> None:
    manifest = read(
        "pyproject.toml",
        """\
[tool.poetry]
license = "ISC"
[tool.poetry.dependencies]
python = "^3.9"
a = "^1.2"
b = {git = "https://h.test/b.git", branch = "main"}
c = {version = "*", optional = true, extras = ["q", "r"]}
d = [{version = "<2", python = "<3.9"}, {version = ">=2", python = ">=3.9"}]
"e.f" = {path = "../e"}
[tool.poetry.group.test.dependencies]
a = "1"
[tool.poetry.dev-dependencies]
h = "*"
""",
    )
    assert rows(manifest) == [
        ("a", "^1.2", "runtime", 5),
        ("b", "git https://h.test/b.git; branch main", "runtime", 6),
        ("c", "*; extras q, r", "optional", 7),
        ("d", "<2; python <3.9", "runtime", 8),
        ("d", ">=2; python >=3.9", "runtime", 8),
        ("e.f", "path ../e", "runtime", None),
        ("h", "*", "dev", 13),
        ("a", "1", "dev", 11),
    ]
    assert [each.spdx for each in manifest.licenses] == ["ISC"]


def test_requirements_with_options_hashes_editables_and_continuations() -> None:
    text = """\
# comment
-r base.txt
--index-url https://h.test/simple
requests[security] >= 2 ; python_version < "3.8"  # why
flask==1 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
-e git+https://h.test/y.git@v1#egg=thing&subdirectory=z
git+ssh://git@h.test/z.git@main
pkg @ git+https://h.test/p.git@main#subdirectory=a
./local
no such thing
last"""
    manifest = read("requirements.txt", text)
    assert rows(manifest) == [
        ("requests", '[security] >= 2 ; python_version < "3.8"', "runtime", 4),
        ("flask", "==1", "runtime", 5),
        ("thing", "git+https://h.test/y.git@v1#egg=thing&subdirectory=z", "runtime", 8),
        ("git+ssh://git@h.test/z.git@main", "git+ssh://git@h.test/z.git@main", "runtime", 9),
        ("pkg", "@ git+https://h.test/p.git@main#subdirectory=a", "runtime", 10),
        ("./local", "./local", "runtime", 11),
        ("last", "", "runtime", 13),
    ]
    assert [each.line for each in manifest.findings] == [12]
    assert {each.scope for each in read("requirements-dev.txt", "a\nb").dependencies} == {"dev"}
    assert rows(read("requirements.in", "a\\\n# b\nc")) == [("a", "", "runtime", 1), ("c", "", "runtime", 3)]


def test_setup_cfg_with_lists_of_lines_and_of_semicolons() -> None:
    manifest = read(
        "setup.cfg",
        """\
[metadata]
license = BSD-3-Clause
[options]
install_requires =
    a>=1; python_version<"3"
    importlib-metadata
setup_requires = c; d
[options.extras_require]
x = e[z]==1
y = file: extra.txt
""",
    )
    assert rows(manifest) == [
        ("a", '>=1; python_version<"3"', "runtime", 5),
        ("importlib-metadata", "", "runtime", 6),
        ("c", "", "dev", 7),
        ("d", "", "dev", 7),
        ("e", "[z]==1", "optional", 9),
    ]
    assert [each.spdx for each in manifest.licenses] == ["BSD-3-Clause"]


def test_package_json_with_git_aliases_workspaces_and_peers() -> None:
    document = {
        "license": "(MIT OR CC0-1.0)",
        "workspaces": ["packages/*"],
        "dependencies": {"a": "^1", "@s/b": "git+https://h.test/x#v1", "h": "file:../h"},
        "devDependencies": {"c": "workspace:*", "a": "^1"},
        "peerDependencies": {"d": ">=1", "e": "*"},
        "peerDependenciesMeta": {"e": {"optional": True}},
        "optionalDependencies": {"f": "npm:g@1"},
    }
    manifest = read("web/package.json", json.dumps(document, indent=1))
    assert rows(manifest) == [
        ("a", "^1", "runtime", 7),
        ("@s/b", "git+https://h.test/x#v1", "runtime", 8),
        ("h", "file:../h", "runtime", 9),
        ("d", ">=1", "runtime", 16),
        ("e", "*", "optional", 17),
        ("f", "npm:g@1", "optional", 25),
        ("c", "workspace:*", "dev", 12),
        ("a", "^1", "dev", 13),
    ]
    assert [each.spdx for each in manifest.licenses] == ["(MIT OR CC0-1.0)"]
    old = read("package.json", '{"license": {"type": "MIT"}, "licenses": [{"type": "ISC"}, 3]}')
    assert [each.spdx for each in old.licenses] == ["MIT", "ISC"]


def test_go_mod_with_blocks_replacements_and_indirect_ones() -> None:
    manifest = read(
        "go.mod",
        """\
module h.test/x // deprecated: no

go 1.24

require (
	a.test/b v1.2.3
	d.test/e/v2 v2.0.0-20200101000000-abcdefabcdef // indirect
)
require "g.test/h" v2.0.0+incompatible
replace a.test/b => ../local
replace (
	d.test/e/v2 v2.0.0-20200101000000-abcdefabcdef => f.test/e/v2 v2.1.0
	g.test/h v1.0.0 => other.test/h v1.0.1
)
exclude z.test/z v1.0.0
retract [v1.0.0, v1.0.5] // bad
tool golang.org/x/tools/cmd/stringer
wat 1
require one
""",
    )
    assert rows(manifest) == [
        ("golang.org/x/tools/cmd/stringer", "", "dev", 17),
        ("a.test/b", "v1.2.3 => ../local", "runtime", 6),
        (
            "d.test/e/v2",
            "v2.0.0-20200101000000-abcdefabcdef => f.test/e/v2 v2.1.0",
            "runtime",
            7,
        ),
        ("g.test/h", "v2.0.0+incompatible", "runtime", 9),
    ]
    assert [each.line for each in manifest.findings] == [18, 19]


def test_cargo_with_workspaces_targets_renames_and_git() -> None:
    manifest = read(
        "Cargo.toml",
        """\
[workspace]
members = ["a"]
[workspace.package]
license = "MIT"
[workspace.dependencies]
serde = { version = "1", features = ["derive"] }
[package]
license.workspace = true
[dependencies]
serde.workspace = true
rand = { git = "https://h.test/r", rev = "abc", optional = true }
[dependencies.tokio]
version = "1"
[target.'cfg(windows)'.dependencies]
win = "0.3"
[dev-dependencies]
q = { package = "quick", path = "../q" }
[build-dependencies]
cc = "1"
""",
    )
    assert rows(manifest) == [
        ("serde", "workspace", "runtime", 10),
        ("rand", "git https://h.test/r; rev abc", "optional", 11),
        ("tokio", "1", "runtime", 12),
        ("quick", "path ../q", "dev", 17),
        ("cc", "1", "dev", 19),
        ("serde", "1", "runtime", 6),
        ("win", "0.3", "runtime", 15),
    ]
    assert [each.spdx for each in manifest.licenses] == ["MIT"]


POM = """\
<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <groupId>me</groupId><version>9</version>
  <properties><g.version>33</g.version></properties>
  <licenses><license><name>Apache-2.0</name></license></licenses>
  <dependencyManagement><dependencies>
    <dependency><groupId>m</groupId><artifactId>n</artifactId><version>7</version></dependency>
  </dependencies></dependencyManagement>
  <dependencies>
    <dependency><groupId>com.g</groupId><artifactId>guava</artifactId><version>${g.version}</version></dependency>
    <dependency><groupId>m</groupId><artifactId>n</artifactId><optional>true</optional></dependency>
    <dependency><groupId>${project.groupId}</groupId><artifactId>s</artifactId><version>[1,2)</version></dependency>
    <dependency>
      <groupId>j</groupId><artifactId>u</artifactId><version>${elsewhere}</version><scope>test</scope>
    </dependency>
    <dependency/>
  </dependencies>
  <profiles><profile><dependencies>
    <dependency><groupId>p</groupId><artifactId>q</artifactId><version>1 &amp; 2</version></dependency>
  </dependencies></profile></profiles>
</project>
"""


def test_pom_with_properties_management_and_profiles() -> None:
    manifest = read("pom.xml", POM)
    assert rows(manifest) == [
        ("com.g:guava", "33", "runtime", 10),
        ("m:n", "7", "optional", 11),
        ("me:s", "[1,2)", "runtime", 12),
        ("j:u", "${elsewhere}", "dev", 13),
        ("p:q", "1 & 2", "runtime", 19),
    ]
    assert [each.spdx for each in manifest.licenses] == ["Apache-2.0"]
    assert [each.line for each in manifest.findings] == [16]


ENTITIES = '<!DOCTYPE p [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><project><version>&b;</version></project>'
OUTSIDE = '<!DOCTYPE p [<!ENTITY a SYSTEM "file:///etc/passwd">]><project><version>&a;</version></project>'


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pyproject.toml", "[project"),
        ("pyproject.toml", "a = " + "[" * 100_000),
        ("package.json", "[]"),
        ("package.json", "[" * 100_000),
        ("package.json", '{"a": 1'),
        ("Cargo.toml", "a = 1\na = 2\n"),
        ("setup.cfg", "no section\n"),
        ("pom.xml", ""),
        ("pom.xml", "<project>"),
        ("pom.xml", "<html/>"),
        ("pom.xml", ENTITIES),
        ("pom.xml", OUTSIDE),
        ("pom.xml", "<a>" * 50_000),
        ("requirements.txt", "a; " + "(" * 4_000),
        ("requirements.txt", "\x00\x01"),
        ("requirements.txt", "x" * (MAX_BYTES + 1)),
    ],
)
def test_a_bad_manifest_is_a_finding(path: str, text: str) -> None:
    manifest = read(path, text)
    assert not manifest.dependencies
    assert [(each.severity, each.rule, each.path) for each in manifest.findings] == [("warning", "bad-manifest", path)]
    assert "\0" not in manifest.findings[0].message
    assert len(manifest.findings[0].message) < 400


def test_bytes_that_are_no_utf8_are_a_finding_and_a_mark_of_order_is_none() -> None:
    assert [each.rule for each in read_manifest("go.mod", b"module \xff\n").findings] == ["bad-manifest"]
    assert rows(read_manifest("requirements.txt", b"\xef\xbb\xbfa==1\r\n")) == [("a", "==1", "runtime", 1)]


@pytest.mark.parametrize("value", ["3", "[]", "null", '"x"', "[{}]", '{"a": 3, "b": null, "c": []}'])
@pytest.mark.parametrize("field", ["dependencies", "license", "peerDependenciesMeta", "optionalDependencies"])
def test_odd_values_in_package_json_are_survived(field: str, value: str) -> None:
    assert not read("package.json", f'{{"{field}": {value}}}').findings


@pytest.mark.parametrize("value", ["3", "[]", '"x"', "[{}]", "{ a = 3, b = [], c = {} }", "[3]"])
@pytest.mark.parametrize(
    "key", ["project", "project.dependencies", "project.license", "dependency-groups.x", "tool.poetry.dependencies"]
)
def test_odd_values_in_pyproject_are_survived(key: str, value: str) -> None:
    assert all(each.rule == "bad-manifest" for each in read("pyproject.toml", f"{key} = {value}").findings)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("requirements.txt", "\\\n" * 200_000),
        ("requirements.txt", "a" + " " * 400_000 + "--x"),
        (
            "pyproject.toml",
            "\n" * 400_000 + "[tool.poetry.dependencies]\n" + "".join(f'a{n}="1"\n' for n in range(5_000)),
        ),
        ("package.json", json.dumps({"dependencies": {f"a{n}": "1" for n in range(20_000)}})),
        ("setup.cfg", "[options]\ninstall_requires =\n" + "".join(f"  a{n}\n" for n in range(20_000))),
        ("pom.xml", "<project>" + "\n" * 400_000 + "</project>"),
    ],
)
def test_a_manifest_made_to_be_slow_is_read_in_a_moment(path: str, text: str) -> None:
    started = time.perf_counter()
    read(path, text)
    assert time.perf_counter() - started < 5
