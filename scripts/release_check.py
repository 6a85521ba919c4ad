#!/usr/bin/env python3
"""Check what a release publishes: `make release-check` runs this in its own environment.

It builds the sdist, and the wheel from the sdist, into `dist/`; checks their metadata, contents and
README; installs each into an empty environment and uses it there; compares the version with the
commit's tag; lints the workflows; does the same with a distribution that `keyturn new-provider`
writes; and writes a bill of materials to `build/sbom.json`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[1]
DIST: Final = REPOSITORY / "dist"
BIN: Final = Path(sys.executable).parent
# The schema of each file for the repository's host, by folder and file name.
SCHEMAS: Final = {
    "workflows/*.yml": "github-workflows",
    "dependabot.yml": "dependabot",
    "ISSUE_TEMPLATE/[!c]*.yml": "github-issue-forms",
    "ISSUE_TEMPLATE/config.yml": "github-issue-config",
}


def run(*command: str | Path, directory: Path = REPOSITORY) -> str:
    """Run a command and return what it prints; a failure ends the check."""
    shown = " ".join(str(each) for each in command)
    print(f"== {shown}".replace(f"{BIN}{os.sep}", ""), flush=True)
    done = subprocess.run(  # noqa: S603 - the commands are those below
        command, cwd=directory, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{done.stdout}failed with exit code {done.returncode}: {shown}")
    return done.stdout


def build(source: Path, into: Path) -> tuple[Path, Path]:
    """Build the sdist of a source tree, and the wheel from that sdist; return both."""
    shutil.rmtree(into, ignore_errors=True)
    run(BIN / "python", "-m", "hatchling", "build", "--target", "sdist", directory=source)
    built = next((source / "dist").glob("*.tar.gz"))
    wheel = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", into)
    run(BIN / "python", "-m", "pip", *wheel, built)
    return built, next(into.glob("*.whl"))


def check_metadata(*built: Path) -> None:
    """Check that an index accepts the metadata, and renders the README."""
    run(BIN / "twine", "check", "--strict", *built)


def check_contents(sdist: Path, wheel: Path) -> None:
    """Check that the sdist contains the files that git tracks, and the wheel only the packages."""
    run(BIN / "check-wheel-contents", "--no-config", "--ignore", "W004,W009", wheel)
    tracked = set(run("git", "ls-files").splitlines())
    with tarfile.open(sdist) as archive:
        packed = {each.name.partition("/")[2] for each in archive if each.isfile()}
    if surplus := sorted(packed - tracked - {"PKG-INFO"}):
        sys.exit(f"the sdist contains files that git does not track: {surplus}")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {f"{each.name}/{path}" for each in packages() for path in _sources(each)}
    if missing := sorted(wanted - names):
        sys.exit(f"the wheel lacks {missing}")


def packages() -> list[Path]:
    """Return the directories of the packages that the wheel ships."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    return [
        REPOSITORY / each
        for each in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    ]


def _sources(package: Path) -> list[str]:
    listed = run("git", "ls-files", package).splitlines()
    return [str((REPOSITORY / each).relative_to(package)) for each in listed]


def check_version(wheel: Path) -> None:
    """Check the version against the tag of this commit, and the changelog if there is a tag."""
    version = wheel.name.split("-")[1]
    tags = run("git", "tag", "--points-at", "HEAD", "v*").split()
    if tags and tags != [f"v{version}"]:
        sys.exit(f"this commit is tagged {tags}, and the version in pyproject.toml is {version}")
    changelog = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    if tags and f"\n## [{version}] - " not in changelog:
        sys.exit(f"CHANGELOG.md has no section for {version}")
    print(f"version {version}: {'tagged' if tags else 'this commit has no tag'}")


def install(distribution: Path, directory: Path) -> Path:
    """Install a distribution into an empty environment, and use it there; return the Python."""
    venv.create(directory)
    python = directory / "bin" / "python"
    pip = (BIN / "python", "-m", "pip", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--quiet", distribution, directory=directory)
    run(*pip, "check", directory=directory)
    for command in (("providers",), ("demo",)):
        run(directory / "bin" / "keyturn", *command, directory=directory)
    return python


def write_bill_of_materials(python: Path) -> None:
    """List the packages of an environment with the wheel, in CycloneDX's format."""
    target = REPOSITORY / "build" / "sbom.json"
    target.parent.mkdir(exist_ok=True)
    options = ("--pyproject", "pyproject.toml", "--output-reproducible", "--output-file", target)
    run(BIN / "cyclonedx-py", "environment", *options, python)


def check_workflows(repository: Path) -> None:
    """Lint the files for the host of a repository."""
    folder = repository / ".github"
    for pattern, schema in SCHEMAS.items():
        if files := sorted(folder.glob(pattern)):
            run(BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files)
    run(BIN / "zizmor", "--offline", "--no-progress", "--quiet", folder)


def check_new_provider(directory: Path, *options: str) -> None:
    """Check the distribution of a new provider as keyturn's own."""
    name = f"release-check{options[0].replace('-', '') if options else ''}"
    run(BIN / "keyturn", "new-provider", name, "--directory", directory, *options)
    source = directory / f"keyturn-{name}"
    check_metadata(*build(source, source / "dist" / "wheel"))
    check_workflows(source)
    if stale := _actions(source) - _actions(REPOSITORY):
        sys.exit(f"other actions than in keyturn's own workflows: {sorted(stale)}")


def _actions(repository: Path) -> set[str]:
    files = (repository / ".github" / "workflows").glob("*.yml")
    lines = [line for each in files for line in each.read_text("utf-8").splitlines()]
    return {line.strip(" -") for line in lines if "uses: " in line}


def main() -> None:
    """Check everything, and end at the first failure."""
    sdist, wheel = build(REPOSITORY, DIST / "wheel")
    wheel = wheel.rename(DIST / wheel.name)
    (DIST / "wheel").rmdir()
    check_metadata(sdist, wheel)
    check_contents(sdist, wheel)
    check_version(wheel)
    check_workflows(REPOSITORY)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        check_new_provider(directory)
        check_new_provider(directory, "--data")
        install(sdist, directory / "from-sdist")
        write_bill_of_materials(install(wheel, directory / "from-wheel"))
    print(f"ready: {sdist.name}, {wheel.name}")


if __name__ == "__main__":
    main()
