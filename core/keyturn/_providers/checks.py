"""Checks of single values: each returns what is wrong, without the value, or None."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keyturn._http.response import is_code
from keyturn._http.urls import domain_problem, url_problem
from keyturn._providers.kinds import SCOPE_VALUE_PATTERN
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn._rate_limit import RateLimit

_HEADER_PATTERN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_ALGORITHM_PATTERN = r"(?:RS|PS|ES)(?:256|384|512)|ES256K|EdDSA|Ed25519|Ed448"
_SCHEME_PATTERN = r"[\x21-\x7e]*"
_PATH_PATTERN = r"[^.\s]+(?:\.[^.\s]+)*"
_PLACEHOLDER_PATTERN = r"\{[^{}]*\}"
_PROVIDER_NAME_PATTERN = r"[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*"
# What frames or routes a request is its sender's alone (RFC 9110 sections 7.2 and 8.6, RFC 9112).
_FRAMING = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_MAX_ASSERTION_LIFETIME = 86_400.0


def one_line(value: str | Secret) -> str | None:
    """Check that a string is one line without surrounding space."""
    text = value.reveal() if isinstance(value, Secret) else value
    if text and text == text.strip() and text.isprintable():
        return None
    return "must be one line, without spaces around it"


def scope(values: tuple[str, ...]) -> str | None:
    """Check that strings are scope values."""
    if values and all(re.fullmatch(SCOPE_VALUE_PATTERN, each) for each in values):
        return None
    return "must have one or more scope values of visible ASCII characters (RFC 6749 section 3.3)"


def private_key(value: Secret) -> str | None:
    """Check that a secret is a private key as PEM."""
    text = value.reveal().strip()
    if text.startswith("-----BEGIN ") and "PRIVATE KEY-----" in text:
        return None
    return "must be a private key as PEM, from -----BEGIN to the last line"


def provider_name(name: str) -> str | None:
    """Check that a string can be a provider's name."""
    if re.fullmatch(_PROVIDER_NAME_PATTERN, name):
        return None
    return "must have letters, digits and inner . _ or - only"


def required(text: str) -> str | None:
    """Check that a string is not empty."""
    return None if text else "must not be empty"


def address(template: str) -> str | None:
    """Check the template of an address for what no setting can correct."""
    # A setting that an address begins with is a whole address; any other is a part of a name.
    sample = re.sub(r"^\{[^{}]*\}", "https://a.example", template)
    return url_problem(re.sub(_PLACEHOLDER_PATTERN, "a", sample)) if template else None


def required_address(template: str) -> str | None:
    """Check the template of an address that must be set."""
    return required(template) or address(template)


def header_name(name: str) -> str | None:
    """Check that a string can be the name of a header."""
    if not re.fullmatch(_HEADER_PATTERN, name):
        return "must be the name of a header"
    return "is set by the HTTP client" if name.lower() in _FRAMING else None


def headers(values: Mapping[str, str]) -> str | None:
    """Check that names and values can be headers."""
    for name, text in values.items():
        problem = header_name(name)
        if problem:
            return f"{name!r} {problem}"
        if not (text.isprintable() and text.isascii()):
            return f"the value of {name!r} must have visible ASCII characters and spaces only"
    if len({name.lower() for name in values}) < len(values):
        return "has a header twice: the case of a name makes no difference"
    return None


def path(value: str) -> str | None:
    """Check that a string is the path of a field in a response."""
    return None if re.fullmatch(_PATH_PATTERN, value) else "must be a path such as data.token"


def optional_path(value: str) -> str | None:
    """Check that a string is a path, or empty."""
    return path(value) if value else None


def scheme(value: str) -> str | None:
    """Check that a string can stand before a token."""
    return None if re.fullmatch(_SCHEME_PATTERN, value) else "must be one word, or empty"


def algorithm(value: str) -> str | None:
    """Check that a string names an algorithm that signs with a private key."""
    if re.fullmatch(_ALGORITHM_PATTERN, value):
        return None
    return "must be an algorithm with a private key, such as RS256, PS256, ES256 or EdDSA"


def key_header(name: str) -> str | None:
    """Check that a header of a JWT can name the key."""
    return f"can't be {name or 'empty'}" if name in {"", "alg", "b64", "crit", "typ"} else None


def success_status(status: int) -> str | None:
    """Check that an HTTP status is one of success."""
    return None if 200 <= status < 300 else "must be from 200 to 299"


def assertion_lifetime(seconds: float) -> str | None:
    """Check the lifetime of a signed JWT."""
    if 1 <= seconds <= _MAX_ASSERTION_LIFETIME:
        return None
    return f"must be from 1 to {_MAX_ASSERTION_LIFETIME:g} seconds"


def positive(number: float | None) -> str | None:
    """Check that a number is above 0, or None."""
    return None if number is None or number > 0 else "must be above 0"


def rate_limit(limit: RateLimit | None) -> str | None:
    """Check the numbers of a rate limit."""
    numbers = () if limit is None else (limit.per_minute, limit.burst)
    if not all(type(each) in {int, float} and 0 < each < float("inf") for each in numbers):
        return "must have a per_minute and a burst above 0"
    if limit is not None and (not isinstance(limit.burst, int) or limit.burst < 1):
        return "must have an integer as burst, 1 or more"
    return None


def domains(values: tuple[str, ...]) -> str | None:
    """Check that strings are domain names."""
    return next(
        (f"{each!r} {domain_problem(each)}" for each in values if domain_problem(each)), None
    )


def codes(values: Mapping[str, str]) -> str | None:
    """Check that the values of a table are OAuth error codes."""
    wrong = [code for code in values.values() if not is_code(code)]
    return f"{wrong[0]!r} is no error code of RFC 6749 section 5.2" if wrong else None
