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
from keyturn._cli.exit_codes import DONE
from keyturn._plugins.discovery import installed_providers

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

# Short enough for a label of the made-up host.
_NAME_REGEX = re.compile(r"[a-z](?:-?[a-z0-9]){0,30}")
_NEXT_STEPS = """
keyturn: that is a whole distribution. What comes next, in {directory}:
  pip install --editable '.[test]'
  pytest
README.md tells what else, up to the first release."""


class _Template(string.Template):
    """A text in which `%{name}` stands for a value: neither Python, TOML nor YAML has that."""

    delimiter = "%"


def new_provider(arguments: argparse.Namespace) -> int:
    """Write a distribution that installs, passes its tests and is listed, just as it is."""
    name: str = arguments.name
    _require_usable(name)
    directory = Path(arguments.directory) / f"keyturn-{name}"
    texts = {directory / path: text for path, text in _texts(name, is_data=arguments.data)}
    _write(directory, texts)
    print(*texts, sep="\n", file=arguments.out, flush=True)
    print(_NEXT_STEPS.format(directory=directory), file=sys.stderr)
    return DONE


def _require_usable(name: str) -> None:
    """Refuse a name that can't be a provider's, or already is.

    Raises:
        keyturn.errors.ConfigurationError: It is refused.
    """
    if not _NAME_REGEX.fullmatch(name) or keyword.iskeyword(_capitalized(name)):
        raise errors.ConfigurationError(
            f"{name!r} can't be the name of a new provider.",
            hint="Give lower-case letters and digits, 31 at most, a letter first, with single "
            "hyphens between them, such as acme-shop.",
        )
    for plugin in installed_providers():
        if plugin.name == name:
            advice = "" if plugin.is_own else f", or uninstall {plugin.distribution}"
            raise errors.ConfigurationError(
                f"provider {name} is there already: it comes with {plugin.distribution}.",
                hint=f"Choose another name{advice}.",
            )
    package = _package(name)
    if importlib.util.find_spec(package):
        message = f"a package {package} is installed already."
        raise errors.ConfigurationError(message, hint="Choose another name.")


def _texts(name: str, *, is_data: bool) -> Iterator[tuple[str, str]]:
    """Yield path and text of each file of a new distribution.

    Args:
        name: The provider's name.
        is_data: Whether it is described by data, without code.
    """
    package = _package(name)
    init = f"src/{package}/__init__.py"
    source = f"src/{package}/{name}.toml" if is_data else init
    tests = f"tests/test_{name.replace('-', '_')}.py"
    if is_data:
        templates = {source: "data.toml", init: "package.py"}
    else:
        templates = {source: "provider.py", f"src/{package}/py.typed": "py.typed"}
    templates |= {
        tests: "test.py",
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        ".gitignore": "gitignore",
        ".github/workflows/ci.yml": "ci.yml",
    }
    values = _values(name) | {"source": source, "tests": tests}
    for path, template in templates.items():
        file = resources.files("keyturn._cli") / "templates" / f"{template}.template"
        yield path, _Template(file.read_text("utf-8")).substitute(values)


def _values(name: str) -> dict[str, str]:
    return {
        "name": name,
        "package": _package(name),
        "variable": name.replace("-", "_").upper(),
        "title": _capitalized(name, " "),
        "class": _capitalized(name),
        "bounds": _bounds(metadata.version("keyturn")),
    }


def _package(name: str) -> str:
    return f"keyturn_{name.replace('-', '_')}"


def _capitalized(name: str, separator: str = "") -> str:
    return separator.join(part.capitalize() for part in name.split("-"))


def _bounds(version: str) -> str:
    """Return the versions of keyturn that keep what this one promises, by its policy."""
    major, minor = map(int, version.split(".")[:2])
    return f">={major}.{minor},<{major + 1}" if major else f">=0.{minor},<0.{minor + 1}"


def _write(directory: Path, texts: Mapping[Path, str]) -> None:
    """Write the files of a directory that doesn't exist yet.

    Raises:
        keyturn.errors.ConfigurationError: It exists, or something can't be written.
    """
    try:
        directory.mkdir(parents=True)
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", newline="\n")
    except FileExistsError:
        problem = f"{directory} exists already, and nothing is overwritten."
    except OSError as error:
        problem = f"{error.filename or directory} can't be written: {error.strerror}."
    else:
        return
    raise errors.ConfigurationError(problem, hint="Name another place with --directory.")
