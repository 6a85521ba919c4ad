"""Questions at a terminal, for each setting of a provider, by its title and description."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Any, Final

from keyturn import errors
from keyturn._cli.secret_places import keep_in_file, keep_in_keyring, keyring_problem
from keyturn._common.names import did_you_mean, escaped
from keyturn._config.setting_values import parse
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    Schema = Mapping[str, Any]

# Asked for even if the provider does not require them.
_COMMON: Final = ("client_id", "client_secret")
_NONE: Final = "none"
# A pipe or a file can't answer questions.
_NO_TERMINAL: Final = "Give NAME, PROVIDER, --set and --secret-env or --secret-file."


def has_terminal() -> bool:
    """Return whether a user can be asked."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def say(message: str) -> None:
    """Show a message."""
    print(message, file=sys.stderr)


def ask(question: str, default: str = "", known: Collection[str] = ()) -> str:
    """Return the user's answer.

    Args:
        question: The question.
        default: The answer for an empty line; without it, the question is repeated.
        known: The allowed answers; any, if it is empty.

    Raises:
        keyturn.errors.ConfigurationError: No terminal exists, or its input has ended.
    """
    if not has_terminal():
        raise errors.ConfigurationError(
            f"a value is missing, and no terminal is available to ask for it: {question}.",
            hint=_NO_TERMINAL,
        )
    while True:
        shown = f" [{default}]" if default else ""
        print(f"{question}{shown}: ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise errors.ConfigurationError("the input has ended; nothing was changed.")
        found = line.strip() or default
        if found and (not known or found in known):
            return found
        if found:
            meant = did_you_mean(found, known)
            say(f"{escaped(found)} is not one of {', '.join(known)}.{meant}")


def ask_settings(name: str, schema: Schema, table: dict[str, Any], path: Path) -> None:
    """Ask for the settings that a connection's table lacks, and add them.

    Args:
        name: The connection.
        schema: The JSON Schema of the provider's settings.
        table: The connection's table.
        path: The configuration file.
    """
    lacking = [setting for setting in schema["properties"] if setting not in table]
    wanted = [each for each in lacking if each in schema["required"] or each in _COMMON]
    for setting in wanted:
        ask_setting(name, setting, schema, table, path)
    others = [each for each in lacking if each not in wanted]
    say(f"\nOther settings: {', '.join(others) or _NONE}")
    while (setting := ask("Another setting", _NONE, [*others, _NONE])) != _NONE:
        ask_setting(name, setting, schema, table, path)


def ask_setting(name: str, setting: str, schema: Schema, table: dict[str, Any], path: Path) -> None:
    """Ask for one setting and set it, or omit it."""
    own = schema["properties"][setting]
    is_optional = setting not in schema["required"]
    say(f"\n{own['title']}. {own.get('description', '')}".rstrip())
    if own.get("writeOnly"):
        value = _ask_secret(name, setting, own["title"], path, is_optional=is_optional)
    else:
        value = _ask_value(own, is_optional=is_optional)
    if value != _NONE:
        table[setting] = value


def _ask_value(own: Schema, *, is_optional: bool) -> Any:
    choices = [each for each in own.get("enum", ()) if each]
    default = str(own.get("default") or (_NONE if is_optional else ""))
    shown = f" ({', '.join(choices)})" if choices else ""
    known = [*choices, default] if choices else []
    answer = ask(f"{own['title']}{shown}", default, known)
    # A default is not written, because a later version of the provider may change it.
    return _NONE if is_optional and answer == default else parse(answer, own)


def _ask_secret(name: str, setting: str, title: str, path: Path, *, is_optional: bool) -> Any:
    """Store a secret that the user types, and return the reference to it."""
    problem = keyring_problem()
    places = [*(["keyring"] if problem is None else []), "file", "env"]
    if problem:
        say(f"The system's keyring can't store it: {problem}.")
    places += [_NONE] if is_optional else []
    place = ask(f"Where to store it ({', '.join(places)})", places[0], places)
    if place == _NONE:
        return _NONE
    if place == "env":
        default = f"{name}_{setting}".upper().replace("-", "_").replace(".", "_")
        return {"env": ask("The environment variable with the secret", default)}
    secret = ""
    while not secret:
        secret = getpass.getpass(f"{title} (hidden): ", stream=sys.stderr).strip()
    if place == "keyring":
        return keep_in_keyring(name, setting, Secret(secret))
    return keep_in_file(path, name, setting, Secret(secret))
