"""The commands that use connections: their tokens, and requests with them."""

from __future__ import annotations

import codecs
import json
import re
import sys
import time
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._cli.commands import DONE, FAILED, Row, print_rows, report
from keyturn._cli.token_formats import FORMATS
from keyturn._common.names import escaped
from keyturn._common.redaction import Redaction
from keyturn._connection import manager_of
from keyturn._secret import Secret
from keyturn._token import Token
from keyturn._tokens.snapshot import EMPTY

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from keyturn._config.configuration import Configuration
    from keyturn._connection import Connection

_MAX_INPUT = 65_536


def check(arguments: argparse.Namespace) -> int:
    """Check the configuration, and get a token for one connection or for each."""
    configured = _configuration(arguments)
    names = configured.check() if arguments.name is None else [arguments.name]
    if not names:
        raise errors.ConfigurationError(f"no connection is configured in {configured.origin}.")
    return _print_connections(
        arguments, configured, names, ("result", "source", "expires_in"), _checked
    )


def status(arguments: argparse.Namespace) -> int:
    """Show the state of each connection's token; no request is sent."""
    configured = _configuration(arguments)
    return _print_connections(
        arguments, configured, configured.check(), ("state", "expires_in", "store"), _token_state
    )


def token(arguments: argparse.Namespace) -> None:
    """Print a token that can be used now."""
    with _configuration(arguments).open(arguments.name) as connection:
        stale = _unusable_token(arguments, connection)
        if arguments.format == "credential-helper":
            _check_requested_uri(connection, sys.stdin.read(_MAX_INPUT))
        token = connection.token(stale=stale)
        print(FORMATS[arguments.format](connection, token), file=arguments.out, flush=True)


def explain(arguments: argparse.Namespace) -> None:
    """Print the redacted transcript of how a token is acquired."""
    with _configuration(arguments).open(arguments.name) as connection:
        print(connection.explain(), end="", file=arguments.out)


def revoke(arguments: argparse.Namespace) -> None:
    """Revoke the token at the provider, if there is one."""
    with _configuration(arguments).open(arguments.name) as connection:
        found = _current_token(connection)
        connection.revoke()
    print("revoked." if found else "there is no token to revoke.", file=sys.stderr)


def forget(arguments: argparse.Namespace) -> None:
    """Forget the token on this side, and a cached error response; the rate limits if wanted."""
    with _configuration(arguments).open(arguments.name) as connection:
        connection.forget()
        if arguments.rate_limits:
            manager_of(connection).forget_rate_limits()
        _check_store(connection)
    print("forgotten.", file=sys.stderr)


def request(arguments: argparse.Namespace) -> int:
    """Send an API request with a token; the response's body goes to standard output."""
    import httpx

    from keyturn.integrations.httpx import KeyturnAuth

    with _configuration(arguments).open(arguments.name) as connection:
        url = arguments.path
        if "://" not in url.partition("?")[0]:
            url = f"{connection.api_url.rstrip('/')}/{url.lstrip('/')}"
        client = httpx.Client(
            auth=KeyturnAuth(connection),
            timeout=60.0,
            # Plain http is for loopback only: the token must not pass through a proxy on a network.
            mounts={"http://": None},
        )
        options = {"content": arguments.data, "headers": arguments.header}
        try:
            with client, client.stream(arguments.method.upper(), url, **options) as response:
                reason = _redaction(connection).printable(response.reason_phrase)
                print(f"HTTP {response.status_code} {reason}".rstrip(), file=sys.stderr)
                write = _writer(arguments.out)
                for chunk in response.iter_bytes():
                    write(chunk)
                return FAILED if response.is_error else DONE
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = type(error).__name__
        # Raised here, not in the handler: httpx's errors hold the request, its token included.
        raise errors.EndpointUnavailable(
            f"the API request failed: {failure}.",
            connection=connection.name,
            hint="Check the network and the address.",
        )


def _redaction(connection: Connection) -> Redaction:
    """Return what hides what was sent with an API request."""
    manager = manager_of(connection)
    sent = [Secret(value) for _, value in manager.snapshot.headers[:1]]
    return Redaction([*manager.acquisition.secrets(), *sent])


def _writer(out: TextIO) -> Callable[[bytes], object]:
    """Return what writes a body as it is; to a terminal without control characters."""
    if not out.isatty():
        return out.buffer.write
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    return lambda chunk: out.write("\n".join(map(escaped, decode(chunk).split("\n"))))


def _configuration(arguments: argparse.Namespace) -> Configuration:
    """Return the configuration that `--config` or the environment names."""
    from keyturn import _config

    return _config.read(arguments.config)


def _print_connections(
    arguments: argparse.Namespace,
    configured: Configuration,
    names: Sequence[str],
    columns: Sequence[str],
    describe: Callable[[Connection], Row],
) -> int:
    """Print a row for each connection and return the highest exit code.

    The first of the columns has the class of a connection's error, which goes to standard error.
    """
    rows, code = [], DONE
    for name in names:
        row: Row = {"connection": name, "provider": None, **dict.fromkeys(columns)}
        try:
            with configured.open(name) as connection:
                row["provider"] = connection.provider.name
                row |= describe(connection)
        except errors.KeyturnError as error:
            code = max(code, report(error))
            row[columns[0]] = type(error).__name__
        rows.append(row)
    print_rows(("connection", "provider", *columns), rows, arguments.format, arguments.out)
    return code


def _checked(connection: Connection) -> Row:
    """Return what getting a token from a connection results in."""
    before, token = _current_token(connection), connection.token()
    _check_store(connection)
    is_kept = before is not None and before.access_token == token.access_token
    source = "store" if is_kept else "token endpoint"
    return {"result": "ok", "source": source, "expires_in": _expires_in(token)}


def _check_store(connection: Connection) -> None:
    """See that the store did what it was asked to.

    Raises:
        keyturn.errors.KeyturnError: It failed.
    """
    problem = manager_of(connection).acquisition.store.problem()
    if problem:
        raise errors.KeyturnError(
            f"{problem}.", connection=connection.name, hint="Check store in the configuration."
        )


def _current_token(connection: Connection) -> Token | None:
    """Return the usable token that the connection or its store has; no request is sent."""
    snapshot = manager_of(connection).peek()
    return None if snapshot is EMPTY else snapshot.token


def _unusable_token(arguments: argparse.Namespace, connection: Connection) -> Token | None:
    """Return the token that must not be printed, if there is one."""
    if arguments.refused is None:
        return _current_token(connection) if arguments.renew else None
    if arguments.renew or arguments.format == "credential-helper":
        raise errors.ConfigurationError(
            "--refused goes neither with --renew nor with --format credential-helper."
        )
    refused = sys.stdin.read(_MAX_INPUT).strip()
    current = _current_token(connection)
    has_spaces = current is not None and " " in current.access_token
    if not re.fullmatch(r"[\x20-\x7e]+" if has_spaces else r"[\x21-\x7e]+", refused):
        raise errors.ConfigurationError(
            "standard input must hold the refused token: visible ASCII characters alone.",
            connection=connection.name,
            hint="Pass what keyturn token has printed, without a header's name or scheme.",
        )
    return Token(refused, token_type="", expires_at=0.0)


def _token_state(connection: Connection) -> Row:
    """Return the state of a connection's token, or of an error response that is cached."""
    manager = manager_of(connection)
    snapshot, store = manager.peek(), type(manager.store).__name__
    if snapshot is not EMPTY:
        state = "fresh" if manager.now() < snapshot.fresh_until else "stale"
        return {"state": state, "expires_in": _expires_in(snapshot.token), "store": store}
    own = manager.acquisition
    cached = own.refused(own.latest_request())
    return {"state": f"refused: {cached.error}" if cached else "none", "store": store}


def _expires_in(token: Token) -> int:
    """Return the seconds until a token expires."""
    return round(token.expires_at - time.time())


def _check_requested_uri(connection: Connection, request: str) -> None:
    """Reject a credential helper's request for an address that is not the API's.

    Raises:
        keyturn.errors.ConfigurationError: It is not `{"uri": "…"}`.
        keyturn.errors.ForeignOrigin: The token is not for that address.
    """
    from keyturn.integrations import RequestAuth

    try:
        uri = json.loads(request)["uri"]
    except (ValueError, LookupError, TypeError, RecursionError):
        uri = None
    if not isinstance(uri, str):
        raise errors.ConfigurationError(
            'standard input must hold a JSON object such as {"uri": "https://api.example/"}.',
            connection=connection.name,
        )
    RequestAuth(connection).authorize("GET", uri, {})
