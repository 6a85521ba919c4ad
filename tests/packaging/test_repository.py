"""Rules for the files of the repository."""

from __future__ import annotations

import itertools
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).parents[2]
MAX_MODULE_LINES = 320

# Each machine configures its own registries. The pattern matches no line of this file.
REGISTRY = re.compile(
    r"\b(?:pypi|pythonhosted|npmjs|yarnpkg|rubygems|crates|packagist)\.(?:org|com|io)\b"
    r"|https?://[\w.:-]+/(?:simple|packages/[0-9a-f]{2})/"
    r"|https?://[\w.:@-]+/[\w./@-]+\.(?:whl|tgz|tar\.gz|gem|crate|deb)\b"
    r"|--(?:extra-)?index-url\b|--find[-]links\b|^\s*registry\s*=\s*\S*//"
)
MACHINE_PATH = re.compile(r"(?<![\w.~$}])/(?:root|work|home/\w+|Users/\w+)/\w")
NO_COVER = re.compile(r"#\s*pragma:\s*no (?:cover|branch)(?P<rest>.*)")
NOQA = re.compile(r"#\s*(?:ruff:\s*)?noqa\b(?P<rest>.*)")
REASON = re.compile(r"\s-\s+\w")


def tracked_files() -> list[Path]:
    """Return the files that are in the repository, or would be with the next commit."""
    listing = subprocess.run(
        # The checkout may belong to another user, as in a container.
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],  # noqa: S607 - git is on the PATH
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = [REPOSITORY / name for name in listing.split("\0") if name]
    return [path for path in paths if path.is_file()]


def source_files() -> list[Path]:
    """Return the modules of core and providers."""
    return [path for root in ("core", "providers") for path in (REPOSITORY / root).rglob("*.py")]


def lines_matching(pattern: re.Pattern[str], paths: list[Path]) -> list[tuple[str, re.Match[str]]]:
    """Return the location and the match of each line that a pattern matches."""
    return [
        (f"{path.relative_to(REPOSITORY)}:{number}", match)
        for path in paths
        for number, line in enumerate(
            path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1
        )
        if (match := pattern.search(line))
    ]


@pytest.mark.parametrize("pattern", [REGISTRY, MACHINE_PATH], ids=["registry", "machine path"])
def test_no_address_or_path_of_a_machine_is_tracked(pattern: re.Pattern[str]) -> None:
    """An address or a path of one machine would break another machine, or be published."""
    assert [place for place, _ in lines_matching(pattern, tracked_files())] == []


@pytest.mark.parametrize(
    "line",
    [
        "https://py{}pi.org/simple/attrs/",
        "attrs @ https://files.python{}hosted.org/packages/aa/attrs.whl",
        '"resolved": "https://mirror.example:8443/left-pad/-/left{}-pad-1.0.0.tgz",',
        "--extra-{}index-url https://mirror.example/",
        "registry{} = https://mirror.example/",
        "  gem server: ruby{}gems.org",
    ],
)
def test_address_of_a_registry_is_found(line: str) -> None:
    """The test above would pass with an address of a registry."""
    assert REGISTRY.search(line.format(""))


def test_no_lock_file_with_addresses_is_tracked() -> None:
    """A lock file would bind every user to the package index of its author."""
    kinds = {"uv.lock", "poetry.lock", "pdm.lock", "package-lock.json", "Gemfile.lock", ".npmrc"}

    assert [path for path in tracked_files() if path.name in kinds] == []


@pytest.mark.parametrize("name", ["dev.txt", "lowest.txt", "run.txt", "test.txt"])
def test_every_requirement_is_hashed(name: str) -> None:
    """A requirement without a hash could be replaced in the package index."""
    text = (REPOSITORY / "requirements" / name).read_text(encoding="utf-8")
    requirements = re.findall(r"^\w.*(?:\n +--hash=.*)*", text, re.MULTILINE)

    assert requirements
    assert [r for r in requirements if "--hash=sha256:" not in r or "==" not in r] == []


def test_lowest_requirements_are_those_of_the_project() -> None:
    """A lower bound would not be tested, and its users would find the failures."""
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    given = [project["dependencies"], *project["optional-dependencies"].values()]
    bounds = {
        (canonicalize_name(requirement.name), Version(specifier.version))
        for requirement in map(Requirement, itertools.chain(*given))
        for specifier in requirement.specifier
        if specifier.operator == ">="
    }
    locked = (REPOSITORY / "requirements" / "lowest.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w-]+)(?:\[[\w,-]+\])?==(\S+)", locked, re.MULTILINE)

    assert bounds - {(canonicalize_name(name), Version(version)) for name, version in pins} == set()


def test_every_ruff_ignore_has_a_reason() -> None:
    """A lint rule could be disabled without a reason, and stay disabled."""
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    lint = tomllib.loads(text)["tool"]["ruff"]["lint"]
    codes = [*lint["ignore"], *(c for cs in lint["per-file-ignores"].values() for c in cs)]
    explained = re.findall(r'^    "([A-Z]+\d*)", +# \w+', text, re.MULTILINE)

    assert sorted(codes) == sorted(explained)


@pytest.mark.parametrize("pattern", [NO_COVER, NOQA], ids=["no cover", "noqa"])
def test_every_noqa_and_no_cover_has_a_reason(pattern: re.Pattern[str]) -> None:
    """A line could be excluded from coverage or lint without a reason."""
    unexplained = [
        place
        for place, match in lines_matching(pattern, source_files())
        if not REASON.search(match["rest"])
    ]

    assert unexplained == []


def test_modules_are_small() -> None:
    """A module could grow beyond the limit, with more than one purpose."""
    sizes = {path.name: len(path.read_bytes().splitlines()) for path in source_files()}

    assert {name: size for name, size in sizes.items() if size > MAX_MODULE_LINES} == {}
