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
    global token_response  # noqa: PLW0603 - see there
    with importing:
        from keyturn._providers import token_response
    return token_response


@cached_once
def api_requests() -> Any:
    """Import what few providers need for API requests."""
    global api_authorization  # noqa: PLW0603 - see there
    with importing:
        from keyturn._providers import api_authorization
    return api_authorization
