"""The command that writes the distribution of a new provider."""

from __future__ import annotations

import importlib.util
import keyword
import re
import string
import sys
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._common.names import escaped
from keyturn._plugins.discovery import installed_providers

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

# Short enough for a label of the example's host.
_NAME_REGEX = re.compile(r"[a-z](?:-?[a-z0-9]){0,30}")
_NEXT_STEPS = """
keyturn: the distribution is complete. Next, run these commands in {directory}:
  pip install --editable '.[test]'
  pytest
README.md lists what to do before the first release."""


class _Template(string.Template):
    """A template with `%{name}` for a value: Python, TOML and YAML don't use that form."""

    delimiter = "%"


def new_provider(arguments: argparse.Namespace) -> None:
    """Write a distribution that can be installed, passes its tests and registers the provider."""
    name: str = arguments.new_name
    _require_usable(name)
    directory = Path(arguments.directory) / f"keyturn-{name}"
    files = {directory / path: content for path, content in _files(name, is_data=arguments.data)}
    _write(directory, files)
    print(*(escaped(str(each)) for each in files), sep="\n", file=arguments.out, flush=True)
    print(_NEXT_STEPS.format(directory=escaped(str(directory))), file=sys.stderr)


def _require_usable(name: str) -> None:
    """Check that a name can be a provider's, and is not taken.

    Raises:
        keyturn.errors.ConfigurationError: It can't, or it is taken.
    """
    if not _NAME_REGEX.fullmatch(name) or keyword.iskeyword(_capitalized(name)):
        raise errors.ConfigurationError(
            f"{name!r} is not a valid name for a new provider.",
            hint="Use at most 31 lower-case letters and digits, a letter first, with single "
            "hyphens between them, such as acme-shop.",
        )
    for plugin in installed_providers():
        if plugin.name == name:
            advice = "" if plugin.is_own else f", or uninstall {plugin.distribution}"
            raise errors.ConfigurationError(
                f"provider {name} is already installed, by {plugin.distribution}.",
                hint=f"Choose another name{advice}.",
            )
    if importlib.util.find_spec(_package(name)):
        raise errors.ConfigurationError(
            f"the package {_package(name)} is already installed.", hint="Choose another name."
        )


def _files(name: str, *, is_data: bool) -> Iterator[tuple[str, str]]:
    """Yield path and content of each file of a new distribution.

    Args:
        name: The provider's name.
        is_data: Whether a TOML file describes it, without code.
    """
    package = _package(name)
    init = f"src/{package}/__init__.py"
    source = f"src/{package}/{name}.toml" if is_data else init
    tests = f"tests/test_{name.replace('-', '_')}.py"
    data = {source: "data.toml", init: "package.py"}
    code = {source: "provider.py", f"src/{package}/py.typed": "py.typed"}
    templates = (data if is_data else code) | {
        tests: "test.py",
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        ".gitignore": "gitignore",
        "CHANGELOG.md": "changelog.md",
        "SECURITY.md": "security.md",
        "CODE_OF_CONDUCT.md": "conduct.md",
        ".github/ISSUE_TEMPLATE/bug.yml": "bug.yml",
        ".github/PULL_REQUEST_TEMPLATE.md": "pull_request.md",
        ".github/dependabot.yml": "dependabot.yml",
        ".github/workflows/ci.yml": "ci.yml",
        ".github/workflows/publish.yml": "publish.yml",
    }
    values = {
        "name": name,
        "package": package,
        "underscored": name.replace("-", "_"),
        "variable": name.replace("-", "_").upper(),
        "title": _capitalized(name, " "),
        "class": _capitalized(name),
        "bounds": _bounds(metadata.version("keyturn")),
        "source": source,
        "tests": tests,
    }
    for path, template in templates.items():
        file = resources.files("keyturn._cli") / "templates" / f"{template}.template"
        yield path, _Template(file.read_text("utf-8")).substitute(values)


def _package(name: str) -> str:
    return f"keyturn_{name.replace('-', '_')}"


def _capitalized(name: str, separator: str = "") -> str:
    return separator.join(part.capitalize() for part in name.split("-"))


def _bounds(version: str) -> str:
    """Return the versions of keyturn that are compatible with this one, by its policy."""
    major, minor = map(int, version.split(".")[:2])
    return f">={major}.{minor},<{major + 1}" if major else f">=0.{minor},<0.{minor + 1}"


def _write(directory: Path, files: Mapping[Path, str]) -> None:
    """Write the files of a directory that does not exist yet.

    Raises:
        keyturn.errors.ConfigurationError: It exists, or something can't be written.
    """
    try:
        directory.mkdir(parents=True)
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8", newline="\n")
    except OSError as error:
        problem = f"{error.filename or directory} can't be written: {error.strerror}."
        if isinstance(error, FileExistsError):
            problem = f"{directory} already exists and was not changed."
        raise errors.ConfigurationError(
            problem, hint="Name another directory with --directory."
        ) from error
