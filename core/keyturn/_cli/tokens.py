"""The commands that use one connection, and what is known of its token."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._cli.commands import DONE, FAILED, Row
from keyturn._connection import manager_of
from keyturn._tokens.snapshot import EMPTY

if TYPE_CHECKING:
    import argparse

    from keyturn._config.configuration import Configuration
    from keyturn._connection import Connection
    from keyturn._token import Token

_MAX_INPUT = 65_536
_SECONDS = 60.0


def token(arguments: argparse.Namespace) -> int:
    """Print a token that can be used now."""
    with _open_connection(arguments) as connection:
        stale = current_token(connection) if arguments.renew else None
        if arguments.format == "credential-helper":
            _check_requested_uri(connection, sys.stdin.read(_MAX_INPUT))
        shown = _formatted(arguments.format, connection, connection.token(stale=stale))
        print(shown, file=arguments.out, flush=True)
    return DONE


def explain(arguments: argparse.Namespace) -> int:
    """Print the redacted transcript of how a token is acquired."""
    with _open_connection(arguments) as connection:
        print(connection.explain(), end="", file=arguments.out)
    return DONE


def revoke(arguments: argparse.Namespace) -> int:
    """Revoke the token at the provider, if there is one."""
    with _open_connection(arguments) as connection:
        found = current_token(connection)
        connection.revoke()
    print("revoked." if found else "there is no token to revoke.", file=sys.stderr)
    return DONE


def forget(arguments: argparse.Namespace) -> int:
    """Forget the token on this side, and a cached error response."""
    with _open_connection(arguments) as connection:
        connection.forget()
    print("forgotten.", file=sys.stderr)
    return DONE


def request(arguments: argparse.Namespace) -> int:
    """Send an API request with a token; the response's body goes to standard output."""
    import httpx

    with _open_connection(arguments) as connection:
        try:
            return _send(connection, arguments)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = type(error).__name__
        # Raised here, not in the handler: httpx's errors hold the request, its token included.
        raise errors.EndpointUnavailable(
            f"the API request failed: {failure}.",
            connection=connection.name,
            hint="Check the network and the address.",
        )


def configuration(arguments: argparse.Namespace) -> Configuration:
    """Return the configuration that `--config` or the environment names."""
    from keyturn import _config

    return _config.read(arguments.config)


def _open_connection(arguments: argparse.Namespace) -> Connection:
    """Return the connection that the argument NAME names."""
    return configuration(arguments).open(arguments.name)


def current_token(connection: Connection) -> Token | None:
    """Return the usable token that the connection or its store has; no request is sent."""
    snapshot = manager_of(connection).peek()
    return None if snapshot is EMPTY else snapshot.token


def token_state(connection: Connection) -> Row:
    """Return the state of a connection's token, or of an error response that is cached."""
    manager = manager_of(connection)
    snapshot, store = manager.peek(), type(manager.store).__name__
    if snapshot is not EMPTY:
        state = "fresh" if manager.now() < snapshot.fresh_until else "stale"
        return {"state": state, "expires_in": expires_in(snapshot.token), "store": store}
    cached = manager.refused()
    return {"state": f"refused: {cached.error}" if cached else "none", "store": store}


def expires_in(token: Token) -> int:
    """Return the seconds until a token expires."""
    return round(token.expires_at - time.time())


def _formatted(form: str, connection: Connection, token: Token) -> str:
    """Return a token in one of the formats of `--format`."""
    if form == "token":
        return token.access_token
    if form == "header":
        # For `curl -H @-`, which keeps the token off the command line.
        return ": ".join(next(iter(connection.headers().items())))
    import datetime as dt
    import json

    if form == "json":
        fields = ("access_token", "token_type", "expires_at", "scope")
        return json.dumps({name: getattr(token, name) for name in fields})
    if form == "env":
        return _assignments(connection, token)
    # RFC 3339, in whole seconds, rounded down.
    expiry = dt.datetime.fromtimestamp(int(token.expires_at), dt.UTC)
    expires = expiry.strftime("%Y-%m-%dT%H:%M:%SZ")
    if form == "exec-credential":
        # What kubectl expects (its page «client-go credential plugins»).
        status = {"token": token.access_token, "expirationTimestamp": expires}
        kind = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
        return json.dumps(kind | {"status": status})
    # What Bazel expects (its proposal «Credential Helpers»).
    headers = {name: [value] for name, value in connection.headers().items()}
    return json.dumps({"headers": headers, "expires": expires})


def _assignments(connection: Connection, token: Token) -> str:
    """Return assignments for a shell's `eval`."""
    import shlex

    values = {
        "KEYTURN_ACCESS_TOKEN": token.access_token,
        "KEYTURN_TOKEN_TYPE": token.token_type,
        "KEYTURN_EXPIRES_AT": str(int(token.expires_at)),
        "KEYTURN_API_URL": connection.api_url,
    }
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in values.items())


def _check_requested_uri(connection: Connection, request: str) -> None:
    """Reject a credential helper's request for an address that is not the API's.

    Raises:
        keyturn.errors.ConfigurationError: It is not `{"uri": "…"}`.
        keyturn.errors.ForeignOrigin: The token is not for that address.
    """
    import json

    try:
        uri = json.loads(request)["uri"]
    except (ValueError, LookupError, TypeError, RecursionError):
        uri = None
    if not isinstance(uri, str):
        raise errors.ConfigurationError(
            'standard input must hold a JSON object such as {"uri": "https://api.example/"}.',
            connection=connection.name,
        )
    _require_own_origin(connection, uri)


def _send(connection: Connection, arguments: argparse.Namespace) -> int:
    import httpx

    from keyturn.integrations.httpx import KeyturnAuth

    method, url = arguments.method.upper(), _url(connection, arguments.path)
    given = {"content": arguments.data, "headers": arguments.header}
    client = httpx.Client(
        auth=KeyturnAuth(connection),
        timeout=_SECONDS,
        # Plain http is for loopback only: the token must not pass through a proxy on a network.
        mounts={"http://": None},
    )
    with client, client.stream(method, url, **given) as response:
        print(f"HTTP {response.status_code} {response.reason_phrase}", file=sys.stderr)
        for chunk in response.iter_bytes():
            arguments.out.buffer.write(chunk)
        return FAILED if response.is_error else DONE


def _url(connection: Connection, path: str) -> str:
    """Return the address of a path below the API's URL, or of an absolute URL of the API."""
    if "://" not in path.partition("?")[0]:
        return f"{connection.api_url.rstrip('/')}/{path.lstrip('/')}"
    _require_own_origin(connection, path)
    return path


def _require_own_origin(connection: Connection, url: str) -> None:
    """Reject a URL that doesn't lead to the connection's API.

    Raises:
        keyturn.errors.ForeignOrigin: The token is not for that address.
    """
    from keyturn.integrations import RequestAuth

    RequestAuth(connection).authorize("GET", url, {})
