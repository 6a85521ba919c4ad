"""`keyturn new-provider`: the distribution is complete, and existing files are not changed."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from packaging.requirements import Requirement
from tests.conftest import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Result

    Keyturn = Callable[..., Result]

ODD_NAMES = [
    "",
    "Acme",
    "acme_shop",
    "acme.shop",
    "acme-",
    "acme--shop",
    "8x8",
    "ácme",
    "acme\n",
    "../acme",
    "none",
    "a" * 32,
]


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty working directory."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def project_of(distribution: Path) -> dict[str, Any]:
    """Return the metadata of a distribution's source tree."""
    project: dict[str, Any] = tomllib.loads((distribution / "pyproject.toml").read_text("utf-8"))[
        "project"
    ]
    return project


def files_in(directory: Path) -> list[str]:
    """Return the paths of all files below a directory."""
    paths = (path for path in directory.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(directory)) for path in paths)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_malformed_name_is_rejected(keyturn: Keyturn, directory: Path, name: str) -> None:
    """Files would be written to another directory, or the package could not be imported."""
    result = keyturn("new-provider", "--", name)

    assert (result.code, result.out) == (2, "")
    assert repr(name) in result.err
    assert list(directory.parent.rglob("*.py")) == []


def test_built_in_name_is_rejected(keyturn: Keyturn, directory: Path) -> None:
    """keyturn would ignore the provider, and the author would not know."""
    result = keyturn("new-provider", "orocommerce")

    assert (result.code, result.out) == (2, "")
    assert "is already installed, by keyturn. Choose another name.\n" in result.err
    assert list(directory.iterdir()) == []


def test_installed_name_is_rejected(
    keyturn: Keyturn, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two distributions would have the same provider name, and neither could be used."""
    information = directory / "acme_tokens-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: Acme_Tokens\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[keyturn.providers]\nacme = acme_tokens\n")
    monkeypatch.syspath_prepend(directory)

    result = keyturn("new-provider", "acme")

    assert (result.code, result.out) == (2, "")
    assert "by acme-tokens. Choose another name, or uninstall acme-tokens." in result.err
    assert list(directory.iterdir()) == [information]


def test_package_of_another_distribution_is_not_overwritten(
    keyturn: Keyturn, directory: Path
) -> None:
    """Installing the new package would overwrite files of keyturn."""
    result = keyturn("new-provider", "norce")

    assert (result.code, result.out) == (2, "")
    assert "the package keyturn_norce is already installed. Choose another name.\n" in result.err
    assert list(directory.iterdir()) == []


def test_existing_directory_is_not_changed(keyturn: Keyturn, directory: Path) -> None:
    """A second call would overwrite the author's work."""
    (directory / "keyturn-acme").mkdir()

    result = keyturn("new-provider", "acme")

    assert (result.code, result.out) == (2, "")
    assert "keyturn-acme already exists and was not changed. Name another" in result.err
    assert list(directory.rglob("*")) == [directory / "keyturn-acme"]


def test_directory_that_cannot_be_written_is_named(keyturn: Keyturn, directory: Path) -> None:
    """A user would see a traceback that does not name the directory."""
    (directory / "file").touch()

    result = keyturn("new-provider", "acme", "--directory", "file")

    assert (result.code, result.out) == (2, "")
    assert "keyturn: file/keyturn-acme can't be written: Not a directory. Name an" in result.err


def test_written_files_are_listed(keyturn: Keyturn, directory: Path) -> None:
    """A script that uses the files could not find them."""
    result = keyturn("new-provider", "acme", "--directory", "some/where")

    assert result.code == 0
    assert sorted(result.out.splitlines()) == [
        f"some/where/{path}" for path in files_in(directory / "some/where")
    ]
    assert "in some/where/keyturn-acme:\n  pip install" in result.err


@pytest.mark.parametrize("options", [(), ("--data",)], ids=["code", "data"])
def test_provider_name_is_in_every_file(
    keyturn: Keyturn, directory: Path, options: tuple[str, ...]
) -> None:
    """A forgotten placeholder would be published with the first release."""
    keyturn("new-provider", "acme-b2b-shop", *options)
    distribution = directory / "keyturn-acme-b2b-shop"
    contents = {path: (distribution / path).read_text("utf-8") for path in files_in(distribution)}

    assert [path for path, content in contents.items() if "%" in content] == []
    assert project_of(distribution)["entry-points"] == {
        "keyturn.providers": {"acme-b2b-shop": "keyturn_acme_b2b_shop"}
    }
    assert "class TestAcmeB2bShop(" in contents["tests/test_acme_b2b_shop.py"]
    assert 'title = "Acme B2b Shop"' in "".join(contents.values())
    assert "ACME_B2B_SHOP_CLIENT_SECRET" in contents["README.md"]
    assert "${{ matrix.python }}" in contents[".github/workflows/ci.yml"]


def test_code_is_short_and_fully_typed(keyturn: Keyturn, directory: Path) -> None:
    """Authors would copy untyped or long code from the template."""
    keyturn("new-provider", "acme")
    source = (directory / "keyturn-acme/src/keyturn_acme/__init__.py").read_text("utf-8")
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]

    assert len(source.splitlines()) <= 35
    assert max(map(len, source.splitlines())) <= 100
    assert all(function.returns for function in functions)


@pytest.mark.parametrize(
    ("version", "good", "bad"),
    [
        ("0.1.0", ["0.1.0", "0.1.9"], ["0.2.0", "1.0"]),
        ("0.12.3", ["0.12.3", "0.12.4"], ["0.11.9", "0.13", "1.0"]),
        ("1.4.2", ["1.4.2", "1.9"], ["1.3", "2.0"]),
    ],
)
def test_dependency_on_keyturn_has_an_upper_bound(
    keyturn: Keyturn,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    version: str,
    good: list[str],
    bad: list[str],
) -> None:
    """A release of keyturn with another plugin API would break the plugin."""
    monkeypatch.setattr(metadata, "version", lambda _: version)

    keyturn("new-provider", "acme")

    (dependency,) = project_of(directory / "keyturn-acme")["dependencies"]
    specifier = Requirement(dependency).specifier
    assert list(specifier.filter([*bad, *good])) == good


@attrs.frozen
class Author:
    """An author's environment with two built and installed providers: as code, and as data."""

    directory: Path
    environment: dict[str, str]
    forking_python: list[object]

    def run(self, *arguments: str | Path, directory: str = "") -> str:
        """Return the output of a Python module; its failure is an AssertionError."""
        python = self.forking_python if arguments[0] == "keyturn" else [sys.executable]
        done = subprocess.run(
            [*map(str, python), "-m", *arguments],
            cwd=self.directory / directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory, forking_python: list[object]) -> Author:
    """Write, build and install two distributions, with pip and without a network."""
    directory = tmp_path_factory.mktemp("author")
    site = directory / "site"
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("KEYTURN_", "COVERAGE"))}
    # The tests need only pytest.
    more = {
        "HOME": str(directory),
        "PYTHONPATH": f"{site}:{HIDDEN}",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    author = Author(directory, kept | more, forking_python)
    author.run("keyturn", "new-provider", "acme-code")
    author.run("keyturn", "new-provider", "acme-data", "--data")
    pip = ("pip", "--quiet", "--disable-pip-version-check")
    offline = ("--no-index", "--no-deps")
    sources = ("./keyturn-acme-code", "./keyturn-acme-data")
    author.run(*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", "dist", *sources)
    author.run(*pip, "install", *offline, "--target", site, *directory.glob("dist/*.whl"))
    return author


def test_providers_are_listed(author: Author) -> None:
    """The author would look for a mistake of their own."""
    listed = json.loads(author.run("keyturn", "providers", "--format", "json"))

    assert [row for row in listed if row["distribution"] != "keyturn"] == [
        {"name": f"acme-{kind}", "distribution": f"keyturn-acme-{kind}", "version": "0.1.0"}
        for kind in ("code", "data")
    ]


@pytest.mark.parametrize("kind", ["code", "data"])
def test_generated_tests_pass(author: Author, kind: str) -> None:
    """An author would start with a failing test that they did not write."""
    printed = author.run("pytest", "-p", "no:cacheprovider", directory=f"keyturn-acme-{kind}")

    assert " passed in " in printed
    assert "warning" not in printed


@pytest.mark.parametrize("kind", ["code", "data"])
def test_provider_is_verified(author: Author, kind: str) -> None:
    """The command would find a mistake that the tests miss, or the reverse."""
    report = json.loads(author.run("keyturn", "verify", f"acme-{kind}", "--format", "json"))

    assert {check["outcome"] for check in report["checks"]} == {"passed"}


@pytest.mark.parametrize(("kind", "more"), [("code", "py.typed"), ("data", "acme-data.toml")])
def test_wheel_holds_only_the_package(author: Author, kind: str, more: str) -> None:
    """Tests would be installed beside those of other distributions."""
    (wheel,) = (author.directory / "dist").glob(f"*{kind}*.whl")
    names = zipfile.ZipFile(wheel).namelist()

    assert wheel.name == f"keyturn_acme_{kind}-0.1.0-py3-none-any.whl"
    assert {name for name in names if ".dist-info/" not in name} == {
        f"keyturn_acme_{kind}/__init__.py",
        f"keyturn_acme_{kind}/{more}",
    }
