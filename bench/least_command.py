"""The least that finds a token on disk as `keyturn token NAME` does, with the same libraries.

It reads the configuration, loads a provider by a hook, makes its settings and their fingerprint,
opens the store, reads the token and prints it. It checks nothing, serves one thread, and
handles no failure: code that does what keyturn promises can't take less.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import hmac
import json
import os
import time
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import diskcache
import platformdirs
import pluggy

_PROJECT = "least"
_LIFETIME = 3600.0
_hookspec = pluggy.HookspecMarker(_PROJECT)
_hookimpl = pluggy.HookimplMarker(_PROJECT)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _Settings:
    token_url: str
    url: str
    client_id: str
    client_secret: str


class _Hooks:
    @_hookspec(firstresult=True)
    def provider(self) -> type[_Settings]:
        """Return the class of the settings."""
        raise NotImplementedError


class _Plugin:
    @_hookimpl
    def provider(self) -> type[_Settings]:
        return _Settings


def main() -> None:
    """Print the token, which the first run writes."""
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    parser = argparse.ArgumentParser()
    for argument in ("--config", "command", "name"):
        parser.add_argument(argument)
    arguments = parser.parse_args()
    tables = tomllib.loads(Path(arguments.config).read_text(encoding="utf-8"))
    values: dict[str, Any] = tables["connections"][arguments.name]
    values["client_secret"] = os.environ[values["client_secret"]["env"]]
    del values["provider"]
    print(_token(_settings(values)), flush=True)


def _settings(values: dict[str, Any]) -> _Settings:
    manager = pluggy.PluginManager(_PROJECT)
    manager.add_hookspecs(_Hooks)
    manager.register(_Plugin())
    settings: _Settings = manager.hook.provider()(**values)
    return settings


def _token(settings: _Settings) -> str:
    parts = [*attrs.astuple(settings), urlsplit(settings.token_url).hostname]
    key = hmac.digest(b"made up for the bench", json.dumps(parts).encode(), "sha256").hex()
    with diskcache.Cache(platformdirs.user_cache_dir(_PROJECT)) as cache:
        entry: Any = cache.get(key)
        if entry is None:
            until = time.time() + _LIFETIME
            entry = json.dumps({"fingerprint": key, "access_token": "made-up", "until": until})
            cache.set(key, entry)
    fields = json.loads(entry)
    if fields["fingerprint"] != key or fields["until"] <= time.time():
        raise ValueError(key)
    return str(fields["access_token"])
