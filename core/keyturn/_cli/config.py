"""The commands about the configuration: its path, and the source of each value."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final

import attrs

from keyturn import _config, errors
from keyturn._cli.commands import Row, configuration, print_rows
from keyturn._common.redaction import MASK
from keyturn._config.providers import chosen_provider
from keyturn._config.setting_values import schemas_of
from keyturn._tokens.options import Options
from keyturn.stores._opening import STORE_VARIABLE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from keyturn._config.configuration import Configuration
    from keyturn._config.references import RawSetting

_COLUMNS: Final = ("connection", "key", "value", "source")
_OPTIONS: Final = ("margin", "timeout", "wait", "rate_limit")
# A user and a password in a URL.
_USER: Final = re.compile(r"://[^/\s]*@")


def config_path(arguments: argparse.Namespace) -> None:
    """Print the path of the configuration file, which need not exist."""
    path = _config.read(arguments.config, may_be_new=True).file()
    print(path, file=arguments.out)
    if not path.exists():
        print("keyturn: this file does not exist; keyturn init creates it.", file=sys.stderr)


def config_show(arguments: argparse.Namespace) -> None:
    """Print each value of the configuration and its source, with secrets hidden."""
    configured = configuration(arguments)
    names = sorted(configured.connections)
    if arguments.name is not None:
        names = [configured.find(arguments.name)]
    rows = [*_top_level(configured)]
    for name in names:
        rows += _connection(name, configured)
    print_rows(_COLUMNS, rows, arguments.format, arguments.out)


def _top_level(configured: Configuration) -> Iterator[Row]:
    store = configured.store
    given = os.environ.get(STORE_VARIABLE)
    if store is not None:
        yield _row(None, "store", _shown(store.value), _source(store, configured))
    elif given:
        yield _row(None, "store", _shown(given), STORE_VARIABLE)
    else:
        yield _row(None, "store", "the user's cache directory, else memory", "default")
    for key in configured.store_keys:
        yield _row(None, key.location, _reference(key.value), _source(key, configured))


def _connection(name: str, configured: Configuration) -> Iterator[Row]:
    """Yield the values of a connection; a value that may be secret is hidden."""
    raw = configured.connections[name]
    try:
        provider = chosen_provider(configured.provider_of(name), configured.path)
        schemas: Mapping[str, Any] = schemas_of(provider.settings)
    except errors.KeyturnError:
        schemas = {}
    public = {key for key, schema in schemas.items() if not schema.get("writeOnly")}
    for key, setting in raw.items():
        is_public = key in {*public, "provider", "store", *_OPTIONS}
        value = _shown(setting.value) if is_public else _reference(setting.value)
        yield _row(name, key, value, _source(setting, configured))
    defaults = {field.name: field.default for field in attrs.fields(Options)}
    for key in _OPTIONS:
        if key not in raw:
            value = "the provider's" if key == "rate_limit" else str(defaults[key])
            yield _row(name, key, value, "default")
    for key in sorted(public - set(raw)):
        if schemas[key].get("default") not in {None, ""}:
            yield _row(name, key, _shown(schemas[key]["default"]), "default")


def _row(connection: str | None, key: str, value: str, source: str) -> Row:
    return {"connection": connection, "key": key, "value": value, "source": source}


def _source(setting: RawSetting, configured: Configuration) -> str:
    return setting.location if setting.from_environment else str(configured.path)


def _reference(value: Any) -> str:
    """Return a reference to a secret; anything else may be the secret itself."""
    if isinstance(value, dict) and len(value) == 1:
        ((source, target),) = value.items()
        if source in {"env", "file", "keyring", "command"}:
            return f"{source}: {target if isinstance(target, str) else MASK}"
        return f"{source}: {MASK}"
    return MASK


def _shown(value: Any) -> str:
    """Return a public value, without a password in a URL."""
    if isinstance(value, dict):  # a header or a parameter may contain a secret
        value = dict.fromkeys(value, MASK)
    shown = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return _USER.sub(f"://{MASK}@", shown)
