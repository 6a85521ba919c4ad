"""What the configuration file and the environment give, before it is interpreted.

Any string may turn out to be a secret. So each is wrapped in a `Secret` as soon as it has been
read, and no error is raised from a frame that has held it bare.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_VARIABLE = "KEYTURN_CONFIG"
"""The environment variable that names the configuration file when no argument does."""
OVERRIDE_PREFIX = "KEYTURN_CONNECTIONS__"
"""The prefix of the environment variables that give one setting each."""


@attrs.frozen(eq=False, repr=False)
class RawSetting:
    """One setting as it was given.

    Args:
        value: What was given, every string in it wrapped in a `Secret`.
        location: Its path in the file, or its environment variable.
        from_environment: Whether it comes from a variable, where every value is a string.
    """

    value: Any
    location: str
    from_environment: bool = False


@attrs.frozen(eq=False, repr=False)
class ConfigurationFile:
    """A configuration file.

    Args:
        path: Where it is, or would be.
        tables: Its content, every string wrapped in a `Secret`.
        is_private: Whether it is this user's, and no other user can open it.
    """

    path: Path
    tables: Mapping[str, Any] = attrs.field(factory=dict)
    is_private: bool = False


def read_file(config: str | os.PathLike[str] | None) -> ConfigurationFile:
    """Return the configuration file; an empty one if there is none at the default path.

    Raises:
        keyturn.errors.ConfigurationError: It was named and does not exist, or can't be read.
    """
    named = config or os.environ.get(FILE_VARIABLE)
    path = Path(named) if named else _default_path()
    loaded = _load(path, optional=not named)
    if isinstance(loaded, str):
        raise errors.ConfigurationError(f"the configuration file {path} {loaded}.")
    return loaded


def read_overrides() -> dict[str, dict[str, RawSetting]]:
    """Return the settings in the environment, by the connection's name as in variables."""
    found: dict[str, dict[str, RawSetting]] = {}
    for variable in sorted(os.environ):
        if variable.startswith(OVERRIDE_PREFIX):
            connection, _, setting = variable.removeprefix(OVERRIDE_PREFIX).rpartition("__")
            raw = RawSetting(Secret(os.environ[variable]), variable, from_environment=True)
            found.setdefault(connection, {})[setting.lower()] = raw
    return found


def variable_name(name: str) -> str:
    """Return a connection's name as environment variables have it."""
    return name.replace("-", "_").replace(".", "_").upper()


def reveal(value: Any) -> Any:
    """Return a value without the `Secret` around each string."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, list):
        return [reveal(each) for each in value]
    if isinstance(value, dict):
        return {name: reveal(each) for name, each in value.items()}
    return value


def _wrap(value: Any) -> Any:
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, list):
        return [_wrap(each) for each in value]
    if isinstance(value, dict):
        return {name: _wrap(each) for name, each in value.items()}
    return value


def _default_path() -> Path:
    import platformdirs

    return Path(platformdirs.user_config_dir("keyturn")) / "keyturn.toml"


def _load(path: Path, *, optional: bool) -> ConfigurationFile | str:
    """Return the file, or as a string why it can't be read."""
    import tomllib

    try:
        with path.open("rb") as file:
            # Of the opened file: the path may lead to another one by now.
            status = os.fstat(file.fileno())
            content = file.read()
        tables = tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        if optional and isinstance(error, FileNotFoundError):
            return ConfigurationFile(path)
        cause = f"can't be read: {error.strerror}"
    except tomllib.TOMLDecodeError as error:
        # The rest of its message may quote the file.
        position = re.search(r"\(at (line \d+, column \d+|end of document)\)\Z", str(error))
        cause = f"is not TOML{f': {position[1]}' if position else ''}"
    except (UnicodeDecodeError, RecursionError) as error:
        cause = f"is not UTF-8, or nested too deeply ({type(error).__name__})"
    else:
        is_private = status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o077
        return ConfigurationFile(path, _wrap(tables), is_private)
    return cause
