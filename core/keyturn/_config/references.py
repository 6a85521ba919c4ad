"""Settings as they were given, and secret references: where a secret is, instead of itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from keyturn._names import did_you_mean
from keyturn._plugins.loading import call_plugins, plugin_manager
from keyturn._secret import Secret
from keyturn.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAX_SIZE = 65_536
_COMMAND_SECONDS = 30.0


@attrs.frozen(eq=False, repr=False)
class RawSetting:
    """One setting as it was given; no `repr` shows its value, which may be a secret.

    Args:
        value: What was given.
        location: Its path in the file, or its environment variable.
        from_environment: Whether it comes from a variable, where every value is a string.
    """

    value: Any
    location: str
    from_environment: bool = False


def reference_problem(reference: Mapping[str, Any]) -> str | None:
    """Return what keeps a table from being a secret reference, or None; nothing is resolved."""
    if len(reference) != 1:
        return f"must be a reference to a secret: a table with one of {', '.join(_SOURCES)}"
    ((source, target),) = reference.items()
    if source in _SOURCES:
        return _form_problem(source, target)
    # Whether a plugin knows the source shows when it is resolved.
    has_plugins = plugin_manager().hook.keyturn_secret.get_hookimpls()
    return None if has_plugins else _unknown(source)


def resolve_all(raw: Mapping[str, RawSetting]) -> tuple[dict[str, Secret], list[Problem]]:
    """Return the secrets that settings are or refer to, and the problems that prevent it.

    Args:
        raw: Each a string, or a table in which `reference_problem` found no problem. Its one key
            is the source:

            `env`: the name of an environment variable.
            `file`: the absolute path of a file, `~` allowed, of at most 65536 bytes; one line
            break at its end is left out.
            `keyring`: `service/user` in the system's keyring; needs the package keyring.
            `command`: a program and its arguments, run without a shell and without input for at
            most 30 seconds; the first line that it prints is the secret.
            Any other source is passed to the plugins' hook `keyturn_secret`.
    """
    secrets, problems = {}, []
    for name, each in raw.items():
        found = Secret(each.value) if isinstance(each.value, str) else _resolve(each.value)
        if isinstance(found, Secret):
            secrets[name] = found
        else:
            problems.append(Problem(each.location, found))
    return secrets, problems


def _resolve(reference: Mapping[str, Any]) -> Secret | str:
    """Return a secret, or as a string what prevents it."""
    ((source, target),) = reference.items()
    found = _SOURCES[source](target) if source in _SOURCES else _from_plugins(source, target)
    return found or f"the {source} it refers to is empty"


def _form_problem(source: str, target: object) -> str | None:
    if source == "command":
        words = target if isinstance(target, list) else [""]
        if not words or not all(isinstance(word, str) and word for word in words):
            return 'command must be a list of strings, such as ["pass", "norce"]'
    elif not isinstance(target, str) or not target:
        return f"{source} must be a string"
    elif source == "file" and _absolute(target) is None:
        return "file must be an absolute path"
    elif source == "keyring" and not all(target.rpartition("/")[::2]):
        return "keyring must be of the form service/user"
    return None


def _from_environment(variable: str) -> Secret | str:
    value = os.environ.get(variable)
    return f"the environment variable {variable} is not set" if value is None else Secret(value)


def _absolute(path: str) -> Path | None:
    try:
        expanded = Path(path).expanduser()
    except RuntimeError:  # there is no such user
        return None
    return expanded if expanded.is_absolute() and "\0" not in path else None


def _from_file(path: str) -> Secret | str:
    try:
        with (_absolute(path) or Path(path)).open("rb") as file:
            content = file.read(_MAX_SIZE + 1)
        if len(content) > _MAX_SIZE:
            return f"the file {path} is larger than {_MAX_SIZE} bytes"
        return Secret(content.decode().removesuffix("\n").removesuffix("\r"))
    except OSError as error:
        return f"the file {path} can't be read: {error.strerror}"
    except UnicodeDecodeError:
        return f"the file {path} is not UTF-8"


def _from_keyring(entry: str) -> Secret | str:
    try:
        import keyring
    except ImportError:
        return "the package keyring is missing: install keyturn[keyring]"
    service, _, user = entry.rpartition("/")
    try:
        password = keyring.get_password(service, user)
    except Exception as error:  # noqa: BLE001 - a back end may raise anything
        return f"the keyring failed with {type(error).__name__}"
    return f"the keyring has no entry {entry}" if password is None else Secret(password)


def _from_command(command: list[str]) -> Secret | str:
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - the user's own command, and no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            return f"the command {command[0]} failed with status {done.returncode}"
        return Secret(done.stdout.decode().partition("\n")[0].removesuffix("\r"))
    except subprocess.TimeoutExpired:
        return f"the command {command[0]} took longer than {_COMMAND_SECONDS:g} s"
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else type(error).__name__
        return f"the command {command[0]} can't be used: {cause}"


def _from_plugins(source: str, target: object) -> Secret | str:
    found = call_plugins("keyturn_secret", str, source=source, reference=target)
    return Secret(found[0]) if found else _unknown(source)


def _unknown(source: str) -> str:
    return (
        f"no secret source is named {source!r}; known are {', '.join(_SOURCES)}, and plugins'."
        f"{did_you_mean(source, _SOURCES)}"
    )


_SOURCES: dict[str, Callable[[Any], Secret | str]] = {
    "env": _from_environment,
    "file": _from_file,
    "keyring": _from_keyring,
    "command": _from_command,
}
