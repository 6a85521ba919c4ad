"""What a hit does not need, and is imported when it is first needed.

It is kept: nothing can be imported while an interpreter ends, not even again.
"""

from __future__ import annotations

from typing import Any

from keyturn._common.once import cached_once, importing

# The modules, once they are imported: so a call of a function is saved.
token_response: Any = None
api_authorization: Any = None


@cached_once
def responses() -> Any:
    """Import what reads responses of token endpoints."""
    global token_response  # noqa: PLW0603 - it saves a call, see above
    with importing:
        from keyturn._providers import token_response
    return token_response


@cached_once
def signed_jwts() -> Any:
    """Import what signs the JWT of a client."""
    with importing:
        from keyturn._providers import client_assertion
    return client_assertion


@cached_once
def steps() -> Any:
    """Import what providers with earlier steps need."""
    with importing:
        from keyturn._providers import steps
    return steps


@cached_once
def named_values() -> Any:
    """Import what computes a provider's values."""
    with importing:
        from keyturn._providers import named_values
    return named_values


@cached_once
def composed() -> Any:
    """Import what makes one value of several, and JSON."""
    with importing:
        from keyturn._http import composed
    return composed


@cached_once
def signatures() -> Any:
    """Import what signs a value with a private key."""
    with importing:
        from keyturn._http import signatures
    return signatures


@cached_once
def credentials() -> Any:
    """Import what a certificate and HTTP Basic need."""
    with importing:
        from keyturn._http import credentials
    return credentials


@cached_once
def api_requests() -> Any:
    """Import what few providers need for API requests."""
    global api_authorization  # noqa: PLW0603 - it saves a call, see above
    with importing:
        from keyturn._providers import api_authorization
    return api_authorization
