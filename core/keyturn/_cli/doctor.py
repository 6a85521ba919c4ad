"""`keyturn doctor`: checks of the environment and the configuration, without a token request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

import attrs

from keyturn import _config, errors
from keyturn._cli.about import error_page
from keyturn._cli.commands import FAILED, exit_code, print_rows
from keyturn._cli.parallel import for_each
from keyturn._cli.surroundings import Finding, surroundings
from keyturn._common.names import escaped
from keyturn._connection import manager_of
from keyturn._http.proxies import proxy_for
from keyturn._http.reach import reach
from keyturn._http.urls import host_of, origin
from keyturn._plugins import loading
from keyturn._plugins.discovery import PLUGINS_GROUP, installed, installed_providers, is_disabled
from keyturn.stores import MemoryStore
from keyturn.stores._resilient import cause, place

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from keyturn._config.configuration import Configuration
    from keyturn._http.request import TokenRequest
    from keyturn._plugins.discovery import Installed
    from keyturn.stores import TokenStore

_COLUMNS = ("subject", "result", "found")
_SECONDS = 5.0


def doctor(arguments: argparse.Namespace) -> int:
    """Check the environment and the configuration; return the highest exit code."""
    findings = [*surroundings(), *_plugins(), *_configured(arguments.config)]
    rows = [attrs.asdict(each) for each in findings]
    if arguments.format == "json":
        columns = (*_COLUMNS, "fix", "code")
        rows = [{name: row[name] for name in columns} for row in rows]
        print_rows(columns, rows, "json", arguments.out)
    else:
        print_rows(_COLUMNS, rows, "table", arguments.out)
        _print_fixes(findings, arguments.out)
    return max(each.code for each in findings)


def _print_fixes(findings: list[Finding], out: TextIO) -> None:
    """Print what to change; one mistake can fail several checks, and is fixed once."""
    subjects: dict[str, list[str]] = {}
    for each in findings:
        if each.fix:
            subjects.setdefault(each.fix, []).append(each.subject)
    for fix, names in subjects.items():
        print(f"\n{escaped(', '.join(names))}: {escaped(fix)}", file=out)


def _failure(subject: str, error: errors.KeyturnError) -> Finding:
    problems = error.problems if isinstance(error, errors.ConfigurationError) else ()
    found = "; ".join(map(str, problems)) or error.message
    fix = error.hint or f"See {error_page(error)}"
    return Finding(subject, "failed", found, fix, exit_code(error))


def _plugins() -> Iterator[Finding]:
    """Yield a finding for each third-party provider and plugin, which this imports."""
    try:
        every = [each for each in installed_providers() if not each.is_own]
        every += installed(PLUGINS_GROUP)
        for each in every:
            yield _plugin(each)
    except errors.ConfigurationError as error:  # KEYTURN_PLUGINS is invalid
        yield _failure("plugins", error)
        return
    if not every:
        yield Finding("plugins", "ok", "only keyturn's own providers")


def _plugin(plugin: Installed) -> Finding:
    if is_disabled(plugin):
        return Finding(str(plugin), "ok", "disabled by KEYTURN_PLUGINS")
    error = loading.load_error(plugin)
    return _failure(str(plugin), error) if error else Finding(str(plugin), "ok", plugin.release)


def _configured(config: str | None) -> Iterator[Finding]:
    """Yield findings for the configuration, its stores and its connections."""
    try:
        configuration = _config.read(config)
    except errors.ConfigurationError as error:
        yield _failure("configuration", error)
        return
    yield from _configuration(configuration)
    yield from _stores(configuration)
    requests: dict[str, TokenRequest] = {}
    for name in sorted(configuration.connections):
        yield _connection(configuration, name, requests)
    yield from for_each(sorted(requests), lambda origin: _endpoint(origin, requests[origin]))
    if not configuration.connections:
        fix = (
            "Run keyturn init, or write keyturn.toml, or set KEYTURN_CONNECTIONS__NAME__PROVIDER "
            "and its settings."
        )
        yield Finding("connections", "limited", "none configured", fix)


def _configuration(configuration: Configuration) -> Iterator[Finding]:
    path = configuration.path
    if path is None or not path.exists():
        yield Finding("configuration", "ok", f"no file at {path}" if path else "no file")
    elif configuration.is_private:
        yield Finding("configuration", "ok", f"{path}, not readable by other users")
    else:
        found = f"{path}, readable by other users: it may contain secrets only as references"
        yield Finding("configuration", "ok", found)
    for problem in configuration.problems:
        yield Finding("configuration", "failed", str(problem), f"Correct {problem.path}.", 2)


def _stores(configuration: Configuration) -> Iterator[Finding]:
    """Yield a finding for each configured store; without connections, for the default store."""
    stores: dict[int, TokenStore] = {}
    names: list[str | None] = [*sorted(configuration.connections)]
    for name in names or [None]:
        try:
            store = configuration.open_store(name)
        except errors.ConfigurationError as error:
            yield _failure(f"store of {name}" if name else "store", error)
        else:
            stores[id(store)] = store
    for store in stores.values():
        yield _store(store)


def _store(store: TokenStore) -> Finding:
    """Check that a store keeps an entry and holds a lock."""
    fix = (
        "Correct the cause, or choose another store: set `store`, or KEYTURN_STORE if `store` is "
        "not set."
    )
    key = f"doctor-{os.urandom(8).hex()}"
    try:
        with store.lock(key, _SECONDS):
            # It expires in the year 2100, unless it is deleted.
            store.write(key, "doctor", 4102444800.0)
            found = store.read(key)
            store.delete(key)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a third-party store may raise anything
        return Finding(f"store {place(store)}", "failed", cause(error), fix, FAILED)
    if found != "doctor":
        problem = "it does not return the written entry"
        return Finding(f"store {place(store)}", "failed", problem, fix, FAILED)
    if isinstance(store, MemoryStore):
        shared = "Set KEYTURN_STORE to share tokens among processes."
        return Finding(
            f"store {place(store)}", "limited", "tokens are not shared with other processes", shared
        )
    return Finding(f"store {place(store)}", "ok", "writes, reads, deletes and locks")


def _connection(
    configuration: Configuration, name: str, requests: dict[str, TokenRequest]
) -> Finding:
    """Check a connection's provider, settings and secrets.

    Args:
        configuration: The configuration.
        name: The connection.
        requests: Token requests by the origin of their token endpoints; this adds one.
    """
    subject = f"connection {name}"
    try:
        with configuration.open(name, reports_others=False) as connection:
            request = manager_of(connection).acquisition.latest_request()
            url = request.url
            requests.setdefault(origin(url), request)
            proxy = proxy_for(url) if url.startswith("https:") else None
            through = f" through {proxy}" if proxy else ""
            found = f"{connection.provider.name}, token endpoint at {host_of(url)}{through}"
            return Finding(subject, "ok", found)
    except errors.KeyturnError as error:
        return _failure(subject, error)


def _endpoint(where: str, request: TokenRequest) -> Finding:
    """Check the connection to a token endpoint; no request is sent."""
    try:
        reach(request, _SECONDS)
    except errors.KeyturnError as error:
        return _failure(f"endpoint {where}", error)
    secured = "connected with TLS" if where.startswith("https:") else "connected"
    return Finding(f"endpoint {where}", "ok", f"{secured}; no request was sent")
