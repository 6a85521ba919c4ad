"""What the configuration file and the environment give, before anything is made of it.

Any text may turn out to be a secret. So each is wrapped in a `Secret` as soon as it has been read,
and no error is raised from a frame that has held it bare.
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
"""What the environment variables that give one setting begin with."""
_TOML_PLACE_REGEX = re.compile(r"\(at (line \d+, column \d+|end of document)\)\Z")


@attrs.frozen
class RawSetting:
    """One setting as it was given.

    Args:
        value: What was given, every text in it wrapped in a `Secret`.
        place: Where, in a mistake's words.
        is_text: Whether it comes from the environment, where everything is a text.
    """

    value: Any
    place: str
    is_text: bool = False


@attrs.frozen
class ConfigurationFile:
    """A configuration file.

    Args:
        path: Where it is, or would be.
        tables: What it holds, every text wrapped in a `Secret`.
        private: Whether it is this user's, and no other user may open it.
    """

    path: Path
    tables: Mapping[str, Any] = attrs.field(factory=dict)
    private: bool = False


def read_file(config: str | os.PathLike[str] | None) -> ConfigurationFile:
    """Return the configuration file; an empty one if there is none at the default place.

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
    """Return the settings in the environment, by the connection's name as variables have it."""
    found: dict[str, dict[str, RawSetting]] = {}
    for variable in sorted(os.environ):
        if variable.startswith(OVERRIDE_PREFIX):
            connection, _, setting = variable.removeprefix(OVERRIDE_PREFIX).rpartition("__")
            given = RawSetting(Secret(os.environ[variable]), variable, is_text=True)
            found.setdefault(connection, {})[setting.lower()] = given
    return found


def in_variables(name: str) -> str:
    """Return a connection's name as environment variables have it."""
    return re.sub(r"[-.]", "_", name).upper()


def revealed(value: Any) -> Any:
    """Return a given value with its texts bare again."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, list):
        return [revealed(each) for each in value]
    if isinstance(value, dict):
        return {name: revealed(each) for name, each in value.items()}
    return value


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, list):
        return [_hidden(each) for each in value]
    if isinstance(value, dict):
        return {name: _hidden(each) for name, each in value.items()}
    return value


def _default_path() -> Path:
    import platformdirs

    return Path(platformdirs.user_config_dir("keyturn")) / "keyturn.toml"


def _load(path: Path, *, optional: bool) -> ConfigurationFile | str:
    """Return the file, or in a text what keeps it from being read."""
    import tomllib

    try:
        with path.open("rb") as file:
            # Of what has been opened: at the path there may be another file by now.
            status = os.fstat(file.fileno())
            content = file.read()
        tables = tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        if optional and isinstance(error, FileNotFoundError):
            return ConfigurationFile(path)
        problem = f"can't be read: {error.strerror}"
    except tomllib.TOMLDecodeError as error:
        # The rest of its message may quote the file.
        place = _TOML_PLACE_REGEX.search(str(error))
        problem = f"is not TOML{f': {place[1]}' if place else ''}"
    except (UnicodeDecodeError, RecursionError) as error:
        problem = f"is not UTF-8 text, or nested too deeply ({type(error).__name__})"
    else:
        private = status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o077
        return ConfigurationFile(path, _hidden(tables), private)
    return problem
