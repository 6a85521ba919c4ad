"""The modules that acquire a token if the store has none; see `keyturn._tokens.acquisition`."""

from keyturn._common.redaction import encodings
from keyturn._http.steps import known_address
from keyturn._plugins import events
from keyturn._tokens.previous import request_after_steps, with_steps
from keyturn._tokens.rate_limiter import count_refused
from keyturn._tokens.token_request import request_token

__all__ = [
    "count_refused",
    "events",
    "known_address",
    "request_after_steps",
    "request_token",
    "with_steps",
]

# Kept for the message of a request that fails while the interpreter ends.
encodings()
