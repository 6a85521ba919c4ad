"""A hint for credentials that servers decode in different ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from keyturn._http.credentials import BasicCredentials

if TYPE_CHECKING:
    from keyturn._http.request import TokenRequest


def encoding_hint(request: TokenRequest) -> str:
    """Return a hint if servers decode the HTTP Basic credentials in different ways."""
    for _, value in request.extra_headers:
        if isinstance(value, BasicCredentials):
            other = attrs.evolve(value, form_encoded=not value.form_encoded)
            if value.value(0.0) != other.value(0.0):
                way = "client_secret_basic_raw" if value.form_encoded else "client_secret_basic"
                return (
                    " Or client_id or client_secret has a character that some servers expect in "
                    f'another encoding: then set client_authentication to "{way}".'
                )
    return ""
