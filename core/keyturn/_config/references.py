"""Raw settings, and secret references, which name the source of a secret."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from keyturn._common.names import did_you_mean
from keyturn._config import sources
from keyturn._plugins.loading import call_plugins, plugin_manager
from keyturn._secret import Secret
from keyturn.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class RawSetting:
    """One raw setting; no `repr` shows its value, which may be a secret.

    Args:
        value: The given value.
        location: Its path in the file, or its environment variable.
        from_environment: Whether it comes from a variable, where every value is a string.
    """

    __slots__ = ("from_environment", "location", "value")

    def __init__(self, value: Any, location: str, *, from_environment: bool = False) -> None:
        self.value = value
        self.location = location
        self.from_environment = from_environment


def reference_problem(reference: Mapping[str, Any], *, allow_unknown: bool = False) -> str | None:
    """Return why a table is not a valid secret reference, or None, without resolving it.

    Args:
        reference: The table.
        allow_unknown: Whether to allow an unknown source, whose plugin may be missing.
    """
    if len(reference) != 1:
        return f"must be a reference to a secret: a table with one of {', '.join(_SOURCES)}"
    ((source, target),) = reference.items()
    if source in _SOURCES:
        return _form_problem(source, target)
    if allow_unknown:
        return None
    # Only resolving shows whether a plugin knows the source.
    has_plugins = plugin_manager().hook.keyturn_secret.get_hookimpls()
    return None if has_plugins else _unknown(source)


def resolve_all(
    raw: Mapping[str, RawSetting], seconds: float
) -> tuple[dict[str, Secret], list[Problem]]:
    """Return the secrets of settings, with references resolved, and the problems.

    Args:
        seconds: The time for all of them.
        raw: Each a string, or a table in which `reference_problem` found no problem. Its one key
            is the source:

            `env`: the name of an environment variable.
            `file`: the absolute path of a regular file, `~` allowed, of at most 65536 bytes; one
            line break at its end is left out.
            `keyring`: `service/user` in the system's keyring; needs the package keyring.
            `command`: a program and its arguments, run without a shell and without input; the
            first line that it prints is the secret, of at most 65536 bytes in all.
            Any other source is passed to the plugins' hook `keyturn_secret`.
    """
    secrets, problems = {}, []
    end = time.monotonic() + seconds
    for name, each in raw.items():
        left = max(0.0, end - time.monotonic())
        found = Secret(each.value) if isinstance(each.value, str) else _resolve(each.value, left)
        if isinstance(found, Secret):
            secrets[name] = found
        else:
            problems.append(Problem(each.location, found))
    return secrets, problems


def _resolve(reference: Mapping[str, Any], seconds: float) -> Secret | str:
    """Return a secret, or the problem as a string."""
    ((source, target),) = reference.items()
    if source in _SOURCES:
        found = _SOURCES[source](target, seconds)
    else:
        found = _from_plugins(source, target, seconds)
    return found or f"the secret from {source} is empty"


def _form_problem(source: str, target: object) -> str | None:
    if source == "command":
        words = target if isinstance(target, list) else [""]
        if not words or not all(isinstance(word, str) and word for word in words):
            return 'command must be a list of strings, such as ["pass", "norce"]'
    elif not isinstance(target, str) or not target:
        return f"{source} must be a string"
    elif source == "file" and sources.absolute(target) is None:
        return "file must be an absolute path"
    elif source == "keyring" and not all(target.rpartition("/")[::2]):
        return "keyring must be of the form service/user"
    return None


def _from_plugins(source: str, target: object, seconds: float) -> Secret | str:
    def ask() -> list[Any]:
        return call_plugins("keyturn_secret", str, source=source, reference=target)

    try:
        found = sources.within(seconds, (source, repr(target)), ask)
    except TimeoutError:
        return f"no plugin had the secret of {source} within {sources.in_words(seconds)}"
    return Secret(found[0]) if found else _unknown(source)


def _unknown(source: str) -> str:
    return (
        f"no secret source is named {source!r}; known are {', '.join(_SOURCES)}, and plugins'."
        f"{did_you_mean(source, _SOURCES)}"
    )


_SOURCES: dict[str, Callable[[Any, float], Secret | str]] = {
    "env": sources.from_environment,
    "file": sources.from_file,
    "keyring": sources.from_keyring,
    "command": sources.from_command,
}
