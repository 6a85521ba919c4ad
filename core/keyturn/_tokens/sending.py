"""The modules that acquire a token if the store has none; see `keyturn._tokens.acquisition`."""

from typing import Any

from keyturn._common.once import cached_once, importing
from keyturn._common.redaction import encodings
from keyturn._plugins import events
from keyturn._tokens.rate_limiter import count_refused
from keyturn._tokens.token_request import request_token

__all__ = [
    "chains",
    "count_refused",
    "events",
    "request_token",
]


@cached_once
def chains() -> Any:
    """Import what acquires the tokens of earlier steps, which few providers have."""
    with importing:
        from keyturn._tokens import previous
    return previous


# Kept for the message of a request that fails while the interpreter ends.
encodings()
