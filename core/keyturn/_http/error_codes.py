"""The meaning of an error response, from its status and its code."""

from __future__ import annotations

import re

from keyturn import errors

# The form of the codes of RFC 6749 section 5.2, and of its extensions.
CODE_PATTERN = r"[a-z][a-z0-9_.-]{0,63}"

# RFC 6749 section 5.2.
OAUTH_CODES = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)
# RFC 6749 section 4.1.2.1 has the first two, RFC 8628 section 3.5 has slow_down; gateways and
# platforms send the others.
UNAVAILABLE_CODES = frozenset(
    {
        "server_error",
        "temporarily_unavailable",
        "service_unavailable",
        "internal_error",
        "internal_server_error",
        "gateway_timeout",
        "request_timeout",
        "timeout",
        "unavailable",
        "backend_error",
        "overloaded",
        "busy",
        "server_busy",
    }
)
RATE_CODES = frozenset(
    {
        "slow_down",
        "too_many_requests",
        "rate_limited",
        "rate_limit_exceeded",
        "request_limit_exceeded",
        "throttled",
        "throttling",
    }
)
# Request Timeout and Too Early (RFC 9110 section 15.5.9, RFC 8470 section 5.2).
_TRANSIENT_STATUSES = frozenset({408, 425})
# Codes that do not mean wrong credentials, even with a 401.
_NO_CREDENTIALS = frozenset({"invalid_scope", "unsupported_grant_type"})

_Kind = tuple[type[errors.TokenRequestRefused], str]

_CREDENTIALS: _Kind = (
    errors.InvalidClient,
    "Check client_id and client_secret (or the key or certificate), and that the client is active.",
)
_BY_CODE: dict[str, _Kind] = {
    "invalid_client": _CREDENTIALS,
    "invalid_scope": (
        errors.InvalidScope,
        "Check the scope, and that it is granted to this client.",
    ),
    "unauthorized_client": (
        errors.TokenRequestRefused,
        "Enable the client-credentials grant for this client.",
    ),
    "unsupported_grant_type": (
        errors.TokenRequestRefused,
        "Enable the client-credentials grant at the server, or check grant_type.",
    ),
}
_BY_STATUS: dict[int, _Kind] = {
    401: _CREDENTIALS,
    403: (
        errors.TokenRequestRefused,
        (
            "{url} denies access: check client_id and client_secret, the permissions of this "
            "client, and whether a firewall or an address allowlist blocks this machine."
        ),
    ),
    404: (errors.TokenRequestRefused, "{url} does not exist: check the address, token_url."),
    405: (
        errors.TokenRequestRefused,
        "{url} does not accept this method: check token_url and method.",
    ),
    407: (
        errors.TokenRequestRefused,
        "A proxy before {url} requires credentials: set them in HTTPS_PROXY.",
    ),
    406: (
        errors.TokenRequestRefused,
        "{url} does not support the accepted content type: check the header Accept, and token_url.",
    ),
    410: (errors.TokenRequestRefused, "{url} no longer exists: check token_url."),
    413: (errors.TokenRequestRefused, "The request is too large for {url}: check its parameters."),
    414: (
        errors.TokenRequestRefused,
        "The address is too long for {url}: check body_format, and the parameters in the query.",
    ),
    415: (
        errors.TokenRequestRefused,
        "{url} does not accept this content type: check body_format and token_url.",
    ),
    421: (
        errors.TokenRequestRefused,
        "The server is not responsible for {url}: check token_url and the proxy.",
    ),
    431: (
        errors.TokenRequestRefused,
        "The headers are too large for {url}: check token_headers, and the key or certificate.",
    ),
    451: (
        errors.TokenRequestRefused,
        "{url} denies access for legal reasons: check the network that this machine connects from.",
    ),
}
_OTHER: _Kind = (
    errors.TokenRequestRefused,
    "Check the connection's settings, and the permissions of this client.",
)
_NO_CODE: _Kind = (
    errors.TokenRequestRefused,
    "Check token_url ({url}), other settings, and the permissions of this client.",
)


def is_code(value: object) -> bool:
    """Return whether a value has the format of an OAuth error code."""
    return isinstance(value, str) and re.fullmatch(CODE_PATTERN, value) is not None


def is_unavailable(code: str, status: int, *, names_pause: bool) -> bool:
    """Return whether an error response reports a transient failure.

    Args:
        code: The OAuth error code, if it has one.
        status: Its status.
        names_pause: Whether it has a `Retry-After`, which asks for another request.
    """
    if status >= 500 or status in _TRANSIENT_STATUSES or code in UNAVAILABLE_CODES:
        return True
    return names_pause and status >= 400 and code not in OAUTH_CODES


def kind_and_hint(code: str, status: int, url: str) -> tuple[type[errors.TokenRequestRefused], str]:
    """Return the class and the hint for an error response that is not transient.

    RFC 6749 section 5.2 has 401 for failed client authentication, whatever the code.

    Args:
        code: The OAuth error code, if it has one.
        status: Its status.
        url: The token endpoint.
    """
    found = None if status == 401 and code not in _NO_CREDENTIALS else _BY_CODE.get(code)
    kind, hint = found or _BY_STATUS.get(status, _OTHER if code else _NO_CODE)
    if status == 407 and url.startswith("http:"):
        hint = (
            "{url} responds like a proxy: check token_url, which keyturn reaches without a proxy."
        )
    return kind, hint.format(url=url or "the token endpoint")
