"""Descriptions of providers: reading files, and extending other descriptions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from keyturn import errors
from keyturn._common.names import did_you_mean, in_one_line
from keyturn._plugins import loading
from keyturn._providers.from_data import described_provider

if TYPE_CHECKING:
    import os
    from importlib.resources.abc import Traversable

    from keyturn._providers.provider import Provider

Table = Mapping[str, Any]

_SUFFIX = ".toml"


def provider_from_data(description: Mapping[str, Any], *, name: str | None = None) -> Provider[Any]:
    """Return the provider for a description.

    Args:
        description: The content of a TOML file: the data of a provider, `credentials`, and
            `settings` with a table for each setting; see the page «Providers as data» of the
            reference. `settings` may also be a class derived from `Settings`. `extends` needs an
            absolute path.
        name: The provider's name, if the description does not contain it.

    Raises:
        keyturn.errors.ConfigurationError: The description has mistakes; `problems` lists them.

    Example:
        >>> import keyturn
        >>> acme = keyturn.plugins.provider_from_data(
        ...     {"name": "acme", "token_url": "https://acme.example/oauth/token"}
        ... )
        >>> acme.settings_schema()["required"]
        ['client_id', 'client_secret']
    """
    if not isinstance(description, Mapping):
        raise errors.ConfigurationError("the description of a provider must be a table.")
    whole = _extended(description, None, ())
    return described_provider(whole, name, own=description)


def provider_from_file(path: str | os.PathLike[str], *, name: str | None = None) -> Provider[Any]:
    """Return the provider that a TOML file describes; see `provider_from_data`.

    Args:
        path: The file. Paths in `extends` are relative to it.
        name: The provider's name; by default the one in the file, else the file's without `.toml`.

    Raises:
        keyturn.errors.ConfigurationError: The file can't be read, or the description has mistakes.
    """
    file = Path(path)
    return provider_in(file.parent, file.name, name)


def provider_in(directory: Traversable, file: str, name: str | None = None) -> Provider[Any]:
    """Return the provider that a file of a directory, or of a package, describes."""
    path = directory / file
    try:
        description: Table = _read(path)
    except _UnreadableError as error:
        problem = str(error)
    else:
        name = name or description.get("name", file.removesuffix(_SUFFIX))
        base = f", which extends {description['extends']}" if "extends" in description else ""
        whole: Table = _extended(description, directory, (_identity(path),))
        return described_provider(whole, name, f" ({path}{base})", description)
    raise errors.ConfigurationError(f"the description {path} {problem}")


class _UnreadableError(Exception):
    """A file can't be read, or is not TOML; the message is a sentence without its subject."""


def _read(file: Traversable, chain: tuple[str, ...] = ()) -> dict[str, Any]:
    import tomllib

    if _identity(file) in chain:
        raise _UnreadableError("forms a loop: a description can't extend itself.")
    # Opening a FIFO without a writer would block forever.
    if isinstance(file, Path) and file.exists() and not (file.is_file() or file.is_dir()):
        raise _UnreadableError("is not a regular file.")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise _UnreadableError(f"can't be read: {error.strerror}.") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _UnreadableError(
            f"is not UTF-8: line {line} has another encoding. Save it as UTF-8."
        ) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = _syntax_problem(str(error), text)
    except RecursionError:
        problem = "its tables or lists are nested too deeply."
    raise _UnreadableError(f"is not TOML: {problem}")


# The messages of `tomllib`, and the corrections.
_SYNTAX = {
    r"Invalid value": 'a string needs quotes, as in name = "acme"; true and false do not',
    r"Expected '=' after a key": 'write name = "value", and a table\'s name in brackets',
    r"Cannot (?:overwrite|declare)|twice": "each name is allowed once: remove one of the two",
    r"Unclosed inline table": "a table in braces must end in the same line",
    r"Illegal character '\\n'": "close the quotes in this line",
    r"Unescaped '\\'": "write a backslash twice, or the string in single quotes",
}


def _syntax_problem(reported: str, text: str) -> str:
    """Return a sentence for a message of `tomllib`, with the line."""
    what, _, place = reported.partition(" (at ")
    place = place.replace("end of document", f"the end, line {len(text.splitlines()) or 1}")
    hint = next((hint for pattern, hint in _SYNTAX.items() if re.search(pattern, what)), "")
    what = re.sub(r"\('(.*?)',?\)", lambda found: found[1].replace("', '", "."), what)
    return f"{place.rstrip(')')}: {what}{f': {hint}' if hint else ''}."


def _extended(description: Table, directory: Traversable | None, chain: tuple[str, ...]) -> Table:
    """Return a description merged with the description that it extends.

    Args:
        description: The description.
        directory: The directory of its file; None without a file.
        chain: The files that extend it, and its own file.

    Raises:
        keyturn.errors.ConfigurationError: The extended description can't be found or read.
    """
    if "extends" not in description:
        return description
    own = {key: value for key, value in description.items() if key != "extends"}
    try:
        place, file = _base(description["extends"], directory)
        path = place / file
        base: Table = _read(path, chain)
    except _UnreadableError as error:
        near = _near_file(description["extends"], directory, chain)
        problem = f"{json.dumps(description['extends'], default=str)} {error}{near}"
    else:
        base = _extended(base, place, (*chain, _identity(path)))
        return _merged({key: value for key, value in base.items() if key != "name"}, own)
    raise errors.ConfigurationError(
        "the description of a provider has 1 mistake(s):",
        problems=[errors.Problem("extends", problem)],
    )


def _base(name: object, directory: Traversable | None) -> tuple[Traversable, str]:
    """Return the directory and the name of the file that a description extends."""
    if not isinstance(name, str) or not name:
        raise _UnreadableError(
            'must be a file such as "base.toml", or the name of an installed provider.'
        )
    if "://" in name:
        raise _UnreadableError("must be a local file: save it on this machine, and write its path.")
    if not name.endswith(_SUFFIX) and re.search(r"/|[.](?:yaml|yml|json)$", name):
        raise _UnreadableError("must be a TOML file: write one that ends in .toml.")
    if not name.endswith(_SUFFIX):
        try:
            return loading.description_of(name), f"{name}{_SUFFIX}"
        except errors.ConfigurationError as error:
            raise _UnreadableError(f"can't be extended: {in_one_line(error)}") from None
    if directory is None and not Path(name).is_absolute():
        raise _UnreadableError(
            "must be an absolute path, or the name of an installed provider, because this "
            "description is not in a file."
        )
    folder, _, file = name.rpartition("/")
    place = Path() if directory is None else directory
    return (place / (folder or "/") if "/" in name else place), file


def _near_file(name: object, directory: Traversable | None, chain: tuple[str, ...]) -> str:
    """Return a suggestion for a file that does not exist."""
    if not isinstance(name, str) or directory is None:
        return ""
    folder, _, file = name.rpartition("/")
    place = directory / folder if folder and not folder.startswith("/") else directory
    try:
        others = [each for each in place.iterdir() if _identity(each) not in chain]
        known = [each.name for each in others if each.name.endswith(_SUFFIX)]
    except OSError:
        return ""
    wanted = f"{re.sub(r'[.](?:toml|yaml|yml|json)$', '', file)}{_SUFFIX}"
    if file in known:
        return ""
    near = f" Did you mean {wanted}?" if wanted in known else did_you_mean(wanted, known)
    return near.replace("mean ", f"mean {folder}/", 1) if folder else near


def _identity(path: Traversable) -> str:
    return str(path.resolve() if isinstance(path, Path) else path)


def _merged(base: Table, own: Table) -> dict[str, Any]:
    """Return a description's tables merged over the extended ones."""
    merged = _merge(base, own)
    given, inherited = own.get("settings", {}), base.get("settings", {})
    if not (isinstance(given, Mapping) and isinstance(inherited, Mapping)):
        return merged
    removed = {name for name in given.keys() & inherited.keys() if given[name] is False}
    # If both declare the scope, the description's own declaration counts.
    removed |= {"scope"} if "scope" in own and "scope" not in given else set()
    if "scope" in given and "scope" not in own:
        merged.pop("scope", None)
    kept = merged.get("settings", {}).items()
    return {**merged, "settings": {name: each for name, each in kept if name not in removed}}


def _merge(base: Table, own: Table) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        under = merged.get(key)
        are_tables = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(cast("Table", under), value) if are_tables else value
    return merged
