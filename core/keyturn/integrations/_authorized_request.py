"""An API request with a token: its URL and headers, whose secrets no `repr` shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import attrs

from keyturn.integrations._query_secrets import hide_in_logs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn._token import Token
    from keyturn._tokens.snapshot import TokenSnapshot


class Unshown(str):
    """A header's value that no `repr` shows.

    The clients' frames and errors hold all headers, and so does a crash report with local
    variables.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'********'"


def _without_query(url: str) -> str:
    return repr(re.split("[?#]", url, maxsplit=1)[0])


@attrs.frozen(eq=False)
class AuthorizedRequest:
    """An API request with a connection's token.

    Args:
        url: The URL to send it to. It differs from the given URL if the provider adds query
            parameters, such as the token; `repr` does not show its query.
        headers: All headers to send: the caller's, and those that keyturn adds. `repr` does not
            show their values.
        added: The headers that keyturn adds, names and values; the token's comes first, unless
            the token is in the query. A client must not copy them when it follows a redirect.
        given: The caller's headers.
        token: The token in it.
        is_renewed: Whether the API has refused another token for this request.
        method: The HTTP method.
        body: The body, if it is in memory.
        given_url: The caller's URL.
        query: The query parameters that keyturn adds, names and values.
        token_header: The name of the header with the token; empty if no header has it.
    """

    url: str = attrs.field(repr=_without_query)
    headers: dict[str, str] = attrs.field(repr=False)
    added: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    given: dict[str, str] = attrs.field(repr=False)
    token: Token = attrs.field(repr=False)
    is_renewed: bool = False
    method: str = "GET"
    body: bytes | None = attrs.field(default=None, repr=False)
    given_url: str = attrs.field(default="", repr=_without_query)
    query: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    token_header: str = ""


def attach(
    url: str,
    given: Mapping[str, str],
    snapshot: TokenSnapshot,
    *,
    method: str = "GET",
    body: bytes | None = None,
    is_renewed: bool = False,
) -> AuthorizedRequest:
    """Return a request with a token; its URL has been checked.

    It keeps other headers of the caller, except `Accept: */*`, which clients add to every request.
    """
    additions, added, target = snapshot.additions, snapshot.headers, url
    token_header = added[0][0] if added else ""
    if additions:
        token_header = "" if additions.token_parameter else token_header
        target = additions.url(url)
        hide_in_logs(snapshot)
        added += additions.headers(method, target, body)
    chosen = {
        name.lower() for name, value in given.items() if (name.lower(), value) != ("accept", "*/*")
    } - {token_header.lower()}
    unshown = {name: Unshown(value) for name, value in added if name.lower() not in chosen}
    replaced = set(map(str.lower, unshown))
    kept = {name: value for name, value in given.items() if name.lower() not in replaced}
    return AuthorizedRequest(
        target,
        kept | unshown,
        tuple(unshown.items()),
        dict(given),
        snapshot.token,
        is_renewed,
        method=method,
        body=body,
        given_url=url,
        query=additions.query if additions else (),
        token_header=token_header,
    )


def is_sent(request: AuthorizedRequest, headers: Mapping[str, object], url: str) -> bool:
    """Return whether a client sent the token; a hook of the caller may have replaced it."""
    if request.token_header:
        return headers.get(request.added[0][0]) == request.added[0][1]
    return has_query(url, request.query[:1])


def has_query(url: str, query: tuple[tuple[str, str], ...]) -> bool:
    """Return whether a URL has these query parameters."""
    return set(query) <= set(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def renewed(sent: AuthorizedRequest, snapshot: TokenSnapshot) -> AuthorizedRequest | None:
    if snapshot.token.access_token == sent.token.access_token:
        return None
    return attach(
        sent.given_url,
        sent.given,
        snapshot,
        method=sent.method,
        body=sent.body,
        is_renewed=True,
    )


AuthorizedRequest.__module__ = "keyturn.integrations"
