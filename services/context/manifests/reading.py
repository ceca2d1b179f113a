"""Any manifest, by its name: what it declares, or what is wrong with it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from models.context import Finding
from models.understanding import Dependency, Ecosystem, License
from services.context.manifests.cargo import read_cargo
from services.context.manifests.declared import Contents
from services.context.manifests.go import read_go_mod
from services.context.manifests.maven import read_pom
from services.context.manifests.npm import read_package_json
from services.context.manifests.python import read_pyproject, read_requirements, read_setup_cfg

MAX_BYTES = 512 * 2**10
"""Of a manifest; larger ones are generated."""
_MAX_PROBLEMS = 10
"""Told of one manifest."""
_REQUIREMENTS = re.compile(r"requirements[\w.-]*\.(?:txt|in)")
_READERS: dict[str, tuple[Ecosystem, Callable[[str], Contents]]] = {
    "pyproject.toml": ("python", read_pyproject),
    "setup.cfg": ("python", read_setup_cfg),
    "package.json": ("npm", read_package_json),
    "go.mod": ("go", read_go_mod),
    "Cargo.toml": ("rust", read_cargo),
    "pom.xml": ("maven", read_pom),
}


@dataclass(frozen=True)
class Manifest:
    """What one manifest says, with its place."""

    dependencies: list[Dependency] = field(default_factory=list[Dependency])
    licenses: list[License] = field(default_factory=list[License])
    findings: list[Finding] = field(default_factory=list[Finding])


def read_manifest(path: str, text: bytes) -> Manifest:
    """Read a manifest; what cannot be read is a finding. Other files say nothing."""
    name = PurePosixPath(path).name
    ecosystem, reader = _READERS.get(name, (None, None))
    if _REQUIREMENTS.fullmatch(name):
        ecosystem, reader = "python", lambda text: read_requirements(text, name)
    if ecosystem is None or reader is None:
        return Manifest()
    if len(text) > MAX_BYTES:
        return Manifest(findings=[_finding(path, 1, f"it is larger than {MAX_BYTES // 2**10} KiB")])
    try:
        contents = reader(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return Manifest(findings=[_finding(path, 1, reason)])
    return Manifest(
        dependencies=[
            Dependency(
                name=each.name,
                constraint=each.constraint,
                scope=each.scope,
                ecosystem=ecosystem,
                path=path,
                line=each.line,
            )
            for each in contents.dependencies
        ],
        licenses=[License(spdx=each, path=path, source="manifest") for each in dict.fromkeys(contents.licenses)],
        findings=[_finding(path, line, problem) for line, problem in contents.problems[:_MAX_PROBLEMS]],
    )


def _finding(path: str, line: int, reason: str) -> Finding:
    told = " ".join(reason.replace("\0", "\ufffd").split())[:300]
    return Finding(
        severity="warning", rule="bad-manifest", path=path, line=line, message=f"this manifest cannot be read: {told}"
    )
