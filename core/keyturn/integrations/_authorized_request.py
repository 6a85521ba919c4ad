"""An API request with a token: which headers it has, and what shows of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

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


@attrs.frozen(eq=False)
class AuthorizedRequest:
    """An API request with a connection's token.

    Args:
        url: Where to send it.
        headers: All headers to send: the caller's, and those that keyturn adds. Their values
            don't show in a `repr`.
        added: The headers that keyturn adds, names and values; the token's comes first. A client
            must not copy them when it follows a redirect.
        given: The caller's headers.
        token: The token in it.
        is_renewed: Whether the API has refused another token for this request.
    """

    url: str = attrs.field(repr=lambda url: repr(re.split("[?#]", url, maxsplit=1)[0]))
    headers: dict[str, str] = attrs.field(repr=False)
    added: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    given: dict[str, str] = attrs.field(repr=False)
    token: Token = attrs.field(repr=False)
    is_renewed: bool = False


def attach(
    url: str, given: Mapping[str, str], snapshot: TokenSnapshot, *, is_renewed: bool = False
) -> AuthorizedRequest:
    """Return a request with a token; its URL has been checked.

    Other headers of the caller's stay, but for `Accept: */*`: the clients put it on every request.
    """
    chosen = {
        name.lower() for name, value in given.items() if (name.lower(), value) != ("accept", "*/*")
    } - {snapshot.headers[0][0].lower()}
    unshown = {
        name: Unshown(value) for name, value in snapshot.headers if name.lower() not in chosen
    }
    replaced = set(map(str.lower, unshown))
    kept = {name: value for name, value in given.items() if name.lower() not in replaced}
    return AuthorizedRequest(
        url, kept | unshown, tuple(unshown.items()), dict(given), snapshot.token, is_renewed
    )


def is_sent(request: AuthorizedRequest, headers: Mapping[str, object]) -> bool:
    """Return whether a client sent the token; a hook of the caller's may have replaced it."""
    return headers.get(request.added[0][0]) == request.added[0][1]


def renewed(sent: AuthorizedRequest, snapshot: TokenSnapshot) -> AuthorizedRequest | None:
    if snapshot.token.access_token == sent.token.access_token:
        return None
    return attach(sent.url, sent.given, snapshot, is_renewed=True)


AuthorizedRequest.__module__ = "keyturn.integrations"
