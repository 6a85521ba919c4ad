#!/usr/bin/env python3
"""Build the site as it is deployed, with its older versions: `make site` runs this.

The newest release is at the root of build/versions/site, and each minor version before it in a
its own directory, such as `0.3/`. The checked-out commit is in `dev/`; before the first release
it is at the root. Each version is built by `make docs` of its own tag. The menu of versions is the
file `_static/versions.json` of the root, which the pages of all versions read.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path.cwd()
BUILD: Final = REPOSITORY / "build" / "versions"
SITE: Final = BUILD / "site"
_RELEASE_REGEX: Final = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


def releases() -> dict[str, str]:
    """Return the tag of the newest release of each minor version, the newest version first."""
    listed = run("git", "tag", "--list", "v*").split()
    found = [match for each in listed if (match := _RELEASE_REGEX.fullmatch(each))]
    ordered = sorted(found, key=lambda match: tuple(map(int, match.groups())))
    return dict(reversed({f"{each[1]}.{each[2]}": each[0] for each in ordered}.items()))


def run(*command: str | Path, directory: Path = REPOSITORY, **variables: str) -> str:
    """Run a command, and return what it prints; a failure ends the build."""
    done = subprocess.run(  # noqa: S603 - the commands are those below
        command,
        cwd=directory,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def build(source: Path, version: str, path: str) -> None:
    """Build the pages of a checkout, as this version of the menu, into a directory of the site."""
    run("make", "docs", directory=source, SITE_VERSION=version)
    shutil.copytree(source / "build" / "site", SITE / path, dirs_exist_ok=True)


def build_release(tag: str, version: str, path: str) -> None:
    """Build the pages of a release."""
    checkout = BUILD / tag
    run("git", "worktree", "add", "--force", "--detach", checkout, tag)
    try:
        build(checkout, version, path)
    finally:
        run("git", "worktree", "remove", "--force", checkout)


def main() -> None:
    """Build all versions, and the menu."""
    shutil.rmtree(BUILD, ignore_errors=True)
    SITE.mkdir(parents=True)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    address = project["urls"]["Documentation"]
    menu = []
    for version, tag in releases().items():
        path = f"{version}/" if menu else ""
        build_release(tag, version, path)
        name = version if menu else f"{version} (newest)"
        menu.append({"name": name, "version": version, "url": f"{address}{path}"})
    path = "dev/" if menu else ""
    build(REPOSITORY, "dev", path)
    menu.append({"name": "in development", "version": "dev", "url": f"{address}{path}"})
    content = json.dumps([menu[0] | {"preferred": True}, *menu[1:]], indent=2)
    (SITE / "_static").mkdir(exist_ok=True)
    (SITE / "_static" / "versions.json").write_text(f"{content}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
