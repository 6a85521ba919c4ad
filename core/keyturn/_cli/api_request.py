"""`keyturn request`: an API request with a token."""

from __future__ import annotations

import codecs
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._cli.commands import DONE, FAILED, configuration, describe
from keyturn._common.names import escaped
from keyturn._common.redaction import Redaction
from keyturn._connection import manager_of
from keyturn._secret import Secret

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import TextIO

    from keyturn._connection import Connection


def request(arguments: argparse.Namespace) -> int:
    """Send an API request with a token; the response's body goes to standard output."""
    import httpx

    from keyturn.integrations.httpx import KeyturnAuth

    content = _content(arguments.data)
    with configuration(arguments).open(arguments.name) as connection:
        describe(connection, arguments)
        url = arguments.path
        if "://" not in url.partition("?")[0]:
            url = f"{connection.api_url.rstrip('/')}/{url.lstrip('/')}"
        client = httpx.Client(
            auth=KeyturnAuth(connection),
            timeout=60.0,
            # Plain http is for loopback only: do not send the token through a proxy.
            mounts={"http://": None},
        )
        headers = [*_content_type(content, arguments.header), *arguments.header]
        method = arguments.method.upper()
        try:
            with (
                client,
                client.stream(method, url, content=content, headers=headers) as response,
            ):
                reason = _redaction(connection).printable(response.reason_phrase)
                print(f"HTTP {response.status_code} {reason}".rstrip(), file=sys.stderr)
                write = _writer(arguments.out)
                chunk = b""
                for chunk in response.iter_bytes():
                    write(chunk)
                if chunk and not chunk.endswith(b"\n") and arguments.out.isatty():
                    # Otherwise the shell's prompt would follow the body.
                    print(file=arguments.out)
                return FAILED if response.is_error else DONE
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = type(error).__name__
        # Raised here, not in the handler: httpx's errors contain the request with its token.
        raise errors.EndpointUnavailable(
            f"the API request failed: {failure}.",
            connection=connection.name,
            hint="Check the network and the address.",
        )


def _content(data: str | None) -> bytes | None:
    """Return a request's body: the data, or after `@` a file's content, or standard input's.

    Raises:
        keyturn.errors.ConfigurationError: The file can't be read.
    """
    if data is None or not data.startswith("@"):
        return None if data is None else data.encode(errors="surrogateescape")
    if data == "@-":
        return sys.stdin.buffer.read()
    path = Path(data[1:])
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or type(error).__name__
    raise errors.ConfigurationError(
        f"the file {path} of --data can't be read: {cause}.",
        hint="Give the path of a file after @, or @- for standard input.",
    )


def _content_type(content: bytes | None, given: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the content type of JSON, unless one is given or the data is not JSON."""
    if content is None or any(name.lower() == "content-type" for name, _ in given):
        return []
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return []
    return [("Content-Type", "application/json")]


def _redaction(connection: Connection) -> Redaction:
    """Return a redaction for the secrets of an API request."""
    manager = manager_of(connection)
    sent = [Secret(value) for _, value in manager.snapshot.headers[:1]]
    return Redaction([*manager.acquisition.secrets(), *sent])


def _writer(out: TextIO) -> Callable[[bytes], object]:
    """Return a function that writes a body unchanged, or to a terminal with escapes."""
    if not out.isatty():
        return out.buffer.write
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    return lambda chunk: out.write("\n".join(map(escaped, decode(chunk).split("\n"))))
