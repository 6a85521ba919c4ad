"""The deployed site: the newest release, older versions, and a menu of versions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "site.py"
MAKEFILE = (
    "docs:\n\tmkdir -p build/site\n\techo $$SITE_VERSION $$(cat changes) >build/site/index.html\n"
)
PROJECT = '[project.urls]\nDocumentation = "https://docs.example/"\n'


def test_each_minor_version_has_its_pages_and_a_menu_entry(tmp_path: Path) -> None:
    """Users of an older version would read about other features, or not find their version."""
    identity = {
        f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    environment = os.environ | identity

    def run(*command: str) -> None:
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)

    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / ".gitignore").write_text("build/\n")
    run("git", "init", "--quiet")
    for change in ("first", "v0.2.0", "v0.10.0", "v0.10.1", "v0.11.0rc1", "main"):
        (tmp_path / "changes").write_text(change)
        run("git", "add", "--all")
        run("git", "commit", "--quiet", "--message", change)
        if change.startswith("v"):
            run("git", "tag", change)
        if change == "first":
            run(sys.executable, str(SCRIPT))
            only = json.loads((tmp_path / "build/versions/site/_static/versions.json").read_text())
    run(sys.executable, str(SCRIPT))
    site = tmp_path / "build" / "versions" / "site"

    pages = {str(path.relative_to(site).parent): path.read_text() for path in site.rglob("*.html")}
    assert pages == {".": "0.10 v0.10.1\n", "0.2": "0.2 v0.2.0\n", "dev": "dev main\n"}
    menu = json.loads((site / "_static" / "versions.json").read_text())
    assert [(each["version"], each["url"]) for each in menu] == [
        ("0.10", "https://docs.example/"),
        ("0.2", "https://docs.example/0.2/"),
        ("dev", "https://docs.example/dev/"),
    ]
    assert [each.get("preferred") for each in menu] == [True, None, None]
    assert [(each["version"], each["url"]) for each in only] == [("dev", "https://docs.example/")]
