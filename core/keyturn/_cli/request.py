"""The command that sends an API request."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._cli.connections import open_connection, require_own_origin
from keyturn._cli.exit_codes import DONE, FAILED

if TYPE_CHECKING:
    import argparse

    from keyturn._connection import Connection

_SECONDS = 60.0


def request(arguments: argparse.Namespace) -> int:
    """Send an API request with a token; the response's body goes to standard output."""
    import httpx

    with open_connection(arguments) as connection:
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


def _send(connection: Connection, arguments: argparse.Namespace) -> int:
    import httpx

    from keyturn.integrations.httpx import KeyturnAuth

    method, url = arguments.method.upper(), _url(connection, arguments.path)
    content, headers = arguments.data, arguments.header
    client = httpx.Client(
        auth=KeyturnAuth(connection),
        timeout=_SECONDS,
        # Plain http is for loopback only: the token must not pass through a proxy on a network.
        mounts={"http://": None},
    )
    with client, client.stream(method, url, content=content, headers=headers) as response:
        print(f"HTTP {response.status_code} {response.reason_phrase}", file=sys.stderr)
        for chunk in response.iter_bytes():
            arguments.out.buffer.write(chunk)
        return FAILED if response.is_error else DONE


def _url(connection: Connection, path: str) -> str:
    """Return the address of a path below the API's URL, or of an absolute URL of the API."""
    if "://" not in path.partition("?")[0]:
        return f"{connection.api_url.rstrip('/')}/{path.lstrip('/')}"
    require_own_origin(connection, path)
    return path
