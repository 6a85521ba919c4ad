#!/usr/bin/env python3
"""Compile the lock files in `requirements/`, and check that they are complete.

`scripts/locks.py compile` resolves all dependencies again, with uv. `scripts/locks.py check
[NAME ...]` needs no network: it reads the metadata of the installed distributions, so it runs in an
environment that was installed from the lock file.

A lock file is installed without resolution, so a missing distribution is not installed. `check`
reports each requirement of the project, and of every locked distribution, that no line of the lock
file meets. A distribution that is locked for other versions of Python only is checked under those.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

REPOSITORY: Final = Path(__file__).resolve().parents[1]


class Lock(NamedTuple):
    """The sources of a lock file: extras and groups of `pyproject.toml`, and options of uv."""

    extras: tuple[str, ...]
    groups: tuple[str, ...]
    options: tuple[str, ...] = ()


_TESTED: Final = ("aiohttp", "httpx2", "opentelemetry", "redis", "requests", "serve", "urllib3")

# In this order: the tests and the demo run the versions of the development environment.
LOCKS: Final = {
    "dev": Lock(_TESTED, ("dev",)),
    "test": Lock(_TESTED, ("test",), ("--constraint", "requirements/dev.txt")),
    "release": Lock((), ("release",)),
    "run": Lock((), ("build",), ("--constraint", "requirements/dev.txt")),
    "lowest": Lock(
        (*_TESTED, "keyring"),
        ("test",),
        ("--resolution", "lowest-direct"),
    ),
    # The API reference is generated from the imported modules, which need these extras.
    "docs": Lock(
        ("aiohttp", "httpx2", "opentelemetry", "redis", "requests", "urllib3"),
        ("build", "docs"),
        ("--constraint", "requirements/dev.txt"),
    ),
}

# Some distributions need a backport on the first patch versions of Python 3.11.
_PYTHONS: Final = ("3.11.0", "3.11.9", "3.12.0", "3.13.0")
_PLATFORMS: Final = (("linux", "Linux"), ("darwin", "Darwin"))


def read_lock(text: str) -> list[Requirement]:
    """Return the pinned requirements of a lock file."""
    lines = (line.partition(" --hash=")[0] for line in text.replace("\\\n", " ").splitlines())
    return [Requirement(line) for line in lines if line.strip() and line[0] not in "# "]


def required(project: Mapping[str, Any], lock: Lock) -> list[Requirement]:
    """Return what the project, as its `pyproject.toml` describes it, requires of a lock file."""
    extras = project["project"]["optional-dependencies"]
    strings = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    strings += itertools.chain(*(extras[extra] for extra in lock.extras))
    strings += itertools.chain(
        *(_group(project["dependency-groups"], each) for each in lock.groups)
    )
    return [Requirement(each) for each in strings]


def problems(pins: Sequence[Requirement], roots: Sequence[Requirement]) -> list[str]:
    """Return a line for each requirement that is not locked, on a supported Python and platform.

    Args:
        pins: The lines of the lock file.
        roots: What the project itself requires.
    """
    found: dict[str, str] = {}
    for environment in _environments():
        for problem in _problems(pins, roots, environment):
            platform = f"{environment['python_full_version']} on {environment['sys_platform']}"
            found.setdefault(problem, f"{problem} (Python {platform})")
    return list(found.values())


def _group(groups: Mapping[str, Any], name: str) -> Iterator[str]:
    for each in groups[name]:
        if isinstance(each, str):
            yield each
        else:
            yield from _group(groups, each["include-group"])


def _environments() -> Iterator[dict[str, str]]:
    here = {name: str(value) for name, value in default_environment().items()}
    yield here
    for python, (platform, system) in itertools.product(_PYTHONS, _PLATFORMS):
        yield here | {
            "python_version": python.rpartition(".")[0],
            "python_full_version": python,
            "implementation_version": python,
            "sys_platform": platform,
            "platform_system": system,
        }


def _problems(
    pins: Sequence[Requirement], roots: Sequence[Requirement], environment: dict[str, str]
) -> Iterator[str]:
    locked = [pin for pin in pins if _applies(pin, environment)]
    by_name = {canonicalize_name(pin.name): pin for pin in locked}
    if len(by_name) < len(locked):
        yield "a distribution is locked twice"
    needs = [("the project", each) for each in roots if _applies(each, environment)]
    for pin in locked:
        requirements = _requirements(pin)
        if requirements is None and _applies(pin, {}):
            yield f"{pin} is locked, but another version is installed here"
        for extra in ("", *pin.extras):
            with_extra = environment | {"extra": extra}
            needs += [(pin.name, each) for each in requirements or () if _applies(each, with_extra)]
    for owner, need in needs:
        found = by_name.get(canonicalize_name(need.name))
        if found is None or not _meets(found, need):
            yield f"{owner} needs {need}, the lock file has {found or 'none'}"


@functools.cache
def _requirements(pin: Requirement) -> list[Requirement] | None:
    """Return the requirements of the pinned version; None if it is not the installed one."""
    try:
        installed = distribution(pin.name)
    except PackageNotFoundError:
        return None
    if not pin.specifier.contains(installed.version, prereleases=True):
        return None
    return [Requirement(each) for each in installed.requires or ()]


def _meets(pin: Requirement, need: Requirement) -> bool:
    (version,) = (specifier.version for specifier in pin.specifier)
    locked_extras = {canonicalize_name(extra) for extra in pin.extras}
    return need.specifier.contains(version, prereleases=True) and all(
        canonicalize_name(extra) in locked_extras for extra in need.extras
    )


def _applies(requirement: Requirement, environment: dict[str, str]) -> bool:
    marker = requirement.marker
    return marker is None or marker.evaluate({"extra": "", **environment})


def _compile(name: str) -> None:
    lock = LOCKS[name]
    # Nothing in a lock file depends on the machine that compiles it.
    options = ["--upgrade", "--universal", "--python-version", "3.11", "--generate-hashes"]
    options += ["--no-strip-extras", "--no-emit-index-url"]
    options += ["--custom-compile-command", "make requirements", *lock.options]
    options += [f"--extra={extra}" for extra in lock.extras]
    options += [f"--group={group}" for group in lock.groups]
    output = f"--output-file=requirements/{name}.txt"
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *options, output]
    subprocess.run([*command, "pyproject.toml"], cwd=REPOSITORY, check=True)  # noqa: S603 - the command is made here


def _check(name: str) -> bool:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    text = (REPOSITORY / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    found = problems(read_lock(text), required(project, LOCKS[name]))
    sys.stderr.writelines(f"requirements/{name}.txt: {problem}\n" for problem in found)
    return not found


def main() -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description="Compile or check the lock files.")
    parser.add_argument("command", choices=["compile", "check"])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(LOCKS))
    given = parser.parse_args()
    names = given.names or list(LOCKS)
    if unknown := set(names) - set(LOCKS):
        parser.error(f"no such lock file: {', '.join(unknown)}")
    if given.command == "check":
        incomplete = [name for name in names if not _check(name)]
        return 1 if incomplete else 0
    for name in names:
        _compile(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
