"""An API request with a token: which headers it has, and which of them show."""

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


def _without_query(url: str) -> str:
    return repr(re.split(r"[?#]", url, maxsplit=1)[0])


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

    url: str = attrs.field(repr=_without_query)
    headers: dict[str, str] = attrs.field(repr=False)
    added: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    given: dict[str, str] = attrs.field(repr=False)
    token: Token = attrs.field(repr=False)
    is_renewed: bool = False


def attach(
    url: str, given: Mapping[str, str], snapshot: TokenSnapshot, *, is_renewed: bool = False
) -> AuthorizedRequest:
    """Return a request with a token; its URL has been checked.

    Args:
        url: Where to send it.
        given: The caller's headers, in any case. The token's is replaced; other headers of the
            caller stay. `Accept: */*` is not the caller's choice: the clients put it on every
            request.
        snapshot: The token with the headers that it needs.
        is_renewed: Whether the API has refused another token for this request.
    """
    chosen = {name.lower() for name, value in given.items() if not is_default(name, value)}
    token_header, *others = snapshot.headers
    added = [token_header, *(item for item in others if item[0].lower() not in chosen)]
    unshown = tuple((name, Unshown(value)) for name, value in added)
    replaced = {name.lower() for name, _ in added}
    kept = {name: value for name, value in given.items() if name.lower() not in replaced}
    token: Token = snapshot.token
    return AuthorizedRequest(url, kept | dict(unshown), unshown, dict(given), token, is_renewed)


def is_default(name: str, value: str) -> bool:
    """Return whether a header is what clients send when the caller chooses nothing."""
    return value == "*/*" and name.lower() == "accept"


def is_sent(request: AuthorizedRequest, headers: Mapping[str, object]) -> bool:
    """Return whether a client sent the token; a hook of the caller's may have replaced it."""
    name, value = request.added[0]
    return headers.get(name) == value
