"""What an API request needs, made of a token once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyturn._common.once import cached_once, importing
from keyturn._providers import calls

if TYPE_CHECKING:
    from keyturn._token import Token
    from keyturn._tokens.acquisition import Acquisition
    from keyturn._tokens.additions import Additions
    from keyturn._tokens.snapshot import Headers


@cached_once
def _additions() -> Any:
    """Import what few providers need; see `keyturn._providers.later`."""
    with importing:
        from keyturn._tokens import additions
    return additions


def prepared(own: Acquisition, token: Token) -> tuple[Headers, Additions | None]:
    """Return the headers of an API request with a token; see `TokenSnapshot`."""
    known = provider, settings, _ = own.known or own.resolve()
    name, value = calls.authorization(provider, settings, token)
    others = calls.api_request_headers(provider, settings, token)
    # Header names are case-insensitive.
    named = dict(zip(map(str.lower, others), others.items(), strict=True))
    query = provider.authorization_query
    named.pop("" if query else name.lower(), None)
    headers = (*(() if query else ((name, value),)), *named.values())
    if query or provider.api_query or provider.values or provider.signs_requests:
        return headers, _additions().additions_for(known, token, own.clock)
    return headers, None
