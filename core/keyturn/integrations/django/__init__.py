"""Connections in Django: `connections["shop"]`, configured in the project's settings.

`INSTALLED_APPS = ["keyturn.integrations.django", …]` adds them to `manage.py check`.
"""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any

import attrs
from django.conf import settings
from django.core.signals import setting_changed

from keyturn._config import read
from keyturn._config.configuration import Configuration
from keyturn._config.references import RawSetting
from keyturn.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyturn._connection import Connection

__all__ = ["ConnectionHandler", "connections"]

_SETTING = "KEYTURN_CONNECTIONS"


class ConnectionHandler:
    """The connections of a project, by their names; each is opened on first use.

    They are those of the setting `KEYTURN_CONNECTIONS`, a dictionary of dictionaries that have the
    keys of a table in `keyturn.toml`, and those of `keyturn.toml` and the environment itself. All
    threads, and all views of asyncio, share one connection. They are closed when the process ends,
    and when a test overrides the setting.

    Example:
        >>> KEYTURN_CONNECTIONS = {
        ...     "shop": {
        ...         "provider": "orocommerce",
        ...         "url": "https://shop.example",
        ...         "client_id": "made-up",
        ...         "client_secret": {"env": "SHOP_SECRET"},
        ...     }
        ... }
    """

    def __init__(self) -> None:
        self._opened: dict[str, Connection] = {}

    def __getitem__(self, name: str) -> Connection:
        """Return the connection with a name.

        Raises:
            keyturn.errors.ConfigurationError: The connection does not exist, or the configuration
                has mistakes; `problems` lists them.
        """
        found = self._opened.get(name)
        if found is None:
            # No lock: one connection's files or commands must not keep another waiting.
            opened = _configuration().open(name)
            found = self._opened.setdefault(name, opened)
            if found is not opened:
                opened.close()
        return found

    def __iter__(self) -> Iterator[str]:
        """Yield the names of all connections."""
        return iter(sorted(_configuration().connections))

    def check(self) -> None:
        """Check the configuration, without reading secrets or sending requests.

        Raises:
            keyturn.errors.ConfigurationError: It has mistakes; `problems` lists them.
        """
        _configuration().check()

    def close_all(self) -> None:
        """Close the open connections; each is opened again on its next use."""
        while self._opened:
            self._opened.popitem()[1].close()


@attrs.frozen(eq=False, repr=False)
class _Configuration(Configuration):
    @property
    def origin(self) -> str:
        return f"{_SETTING} of the project's settings, {super().origin}"


def _configuration() -> Configuration:
    """Return the connections of the project's settings beside those of file and environment."""
    base = read()
    own: dict[str, dict[str, RawSetting]] = {}
    problems = list(base.problems)
    tables = RawSetting(getattr(settings, _SETTING, {}), _SETTING)
    if not isinstance(tables.value, dict):
        problems.append(Problem(_SETTING, "must be a dictionary"))
        tables = RawSetting({}, _SETTING)
    for name, table in tables.value.items():
        path = f"{_SETTING}[{name!r}]"
        if isinstance(table, dict):
            own[name] = {key: _raw(each, f"{path}[{key!r}]") for key, each in table.items()}
        else:
            problems.append(Problem(path, "must be a dictionary"))
    return _Configuration(
        base.path,
        base.is_private,
        {**base.connections, **own},
        base.store,
        base.store_keys,
        tuple(problems),
    )


def _raw(value: Any, location: str) -> RawSetting:
    # A string may come from the environment, even for a number; and it may be a secret.
    return RawSetting(value, location, from_environment=isinstance(value, str))


connections = ConnectionHandler()
atexit.register(connections.close_all)


def _changed(*, setting: str, **_: object) -> None:
    if setting == _SETTING:
        connections.close_all()


setting_changed.connect(_changed)
