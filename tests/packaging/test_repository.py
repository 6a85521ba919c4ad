"""What holds for the repository's files as files."""

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

# Registries are the business of the machine that installs; written so as not to name one here.
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
        # The checkout may be another user's, as in a container.
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],  # noqa: S607 - git is where PATH says
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
    """Return place and match of each line that a pattern is found in."""
    return [
        (f"{path.relative_to(REPOSITORY)}:{number}", match)
        for path in paths
        for number, line in enumerate(
            path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1
        )
        if (match := pattern.search(line))
    ]


@pytest.mark.parametrize("pattern", [REGISTRY, MACHINE_PATH], ids=["registry", "machine path"])
def test_nothing_of_the_machine_is_tracked(pattern: re.Pattern[str]) -> None:
    """An address or a path of one machine breaks the installation on another, or tells on it."""
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
def test_registry_would_be_noticed(line: str) -> None:
    """The test above would prove nothing."""
    assert REGISTRY.search(line.format(""))


def test_no_lock_file_with_addresses_is_tracked() -> None:
    """A lock of such a kind would bind everybody to the package index of anyone who wrote it."""
    kinds = {"uv.lock", "poetry.lock", "pdm.lock", "package-lock.json", "Gemfile.lock", ".npmrc"}

    assert [path for path in tracked_files() if path.name in kinds] == []


@pytest.mark.parametrize("name", ["dev.txt", "lowest.txt", "run.txt"])
def test_every_requirement_is_hashed(name: str) -> None:
    """Without its hash a requirement is whatever the index gives that day."""
    text = (REPOSITORY / "requirements" / name).read_text(encoding="utf-8")
    requirements = re.findall(r"^\w.*(?:\n +--hash=.*)*", text, re.MULTILINE)

    assert requirements
    assert [r for r in requirements if "--hash=sha256:" not in r or "==" not in r] == []


def test_lowest_requirements_are_those_of_the_project() -> None:
    """A lower bound that no one tries is a guess, and anyone who has that version finds out."""
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


def test_every_ruff_ignore_says_why() -> None:
    """A rule that is off for a forgotten reason stays off forever."""
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    lint = tomllib.loads(text)["tool"]["ruff"]["lint"]
    codes = [*lint["ignore"], *(c for cs in lint["per-file-ignores"].values() for c in cs)]
    explained = re.findall(r'^    "([A-Z]+\d*)", +# \w+', text, re.MULTILINE)

    assert sorted(codes) == sorted(explained)


@pytest.mark.parametrize("pattern", [NO_COVER, NOQA], ids=["no cover", "noqa"])
def test_every_exception_in_the_source_says_why(pattern: re.Pattern[str]) -> None:
    """A line left out of coverage or lint without a reason hides a line no one thought about."""
    unexplained = [
        place
        for place, match in lines_matching(pattern, source_files())
        if not REASON.search(match["rest"])
    ]

    assert unexplained == []


def test_modules_are_small() -> None:
    """A module that outgrows a few screens has more than one purpose."""
    sizes = {path.name: len(path.read_bytes().splitlines()) for path in source_files()}

    assert {name: size for name, size in sizes.items() if size > MAX_MODULE_LINES} == {}
