"""Checks of single values: each returns what is wrong, without the value, or None."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from keyturn._http.response import is_code
from keyturn._http.urls import domain_problem, url_problem
from keyturn._providers.kinds import SCOPE_VALUE_PATTERN
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyturn._rate_limit import RateLimit

    Check = Callable[[Any], str | None]

_HEADER_REGEX = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PLACEHOLDER_REGEX = re.compile(r"\{[^{}]*\}")
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


def _check(is_right: Callable[[Any], object], problem: str) -> Check:
    """Return a check that reports `problem` for each value that is not right."""
    return lambda value: None if is_right(value) else problem


def _pattern(pattern: str) -> Callable[[str], object]:
    """Return whether a string has a pattern, which is compiled when it is first needed."""
    return functools.partial(re.fullmatch, pattern)


def _is_one_line(value: str | Secret) -> bool:
    text = value.reveal() if isinstance(value, Secret) else value
    return bool(text) and text == text.strip() and text.isprintable()


_PATH = r"[^.\s]+(?:\.[^.\s]+)*"
_PEM_REGEX = re.compile(r"\s*-----BEGIN (?s:.*)PRIVATE KEY-----")
required = _check(bool, "must not be empty")
path = _check(_pattern(_PATH), "must be a path such as data.token")
optional_path = _check(_pattern(f"(?:{_PATH})?"), "must be a path such as data.token")
scheme = _check(_pattern(r"[\x21-\x7e]*"), "must be one word, or empty")
key_header = _check(
    lambda name: name not in {"", "alg", "b64", "crit", "typ"},
    "can't be empty, alg, b64, crit or typ",
)
algorithm = _check(
    _pattern(r"(?:RS|PS|ES)(?:256|384|512)|ES256K|EdDSA|Ed25519|Ed448"),
    "must be an algorithm with a private key, such as RS256, PS256, ES256 or EdDSA",
)
provider_name = _check(
    _pattern(r"[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*"),
    "must have letters, digits and inner . _ or - only",
)
success_status = _check(range(200, 300).__contains__, "must be from 200 to 299")
assertion_lifetime = _check(
    lambda seconds: 1 <= seconds <= 86_400, "must be from 1 to 86400 seconds"
)
positive = _check(lambda number: number is None or number > 0, "must be above 0")
one_line = _check(_is_one_line, "must be one line, without spaces around it")
scope = _check(
    lambda values: values and all(map(_pattern(SCOPE_VALUE_PATTERN), values)),
    "must have one or more scope values of visible ASCII characters (RFC 6749 section 3.3)",
)
private_key = _check(
    lambda key: _PEM_REGEX.match(key.reveal()),
    "must be a private key as PEM, from -----BEGIN to the last line",
)


def address(template: str) -> str | None:
    """Check the template of an address for what no setting can correct."""
    # A setting that an address begins with is a whole address; any other is a part of a name.
    sample = re.sub(r"^\{[^{}]*\}", "https://a.example", template)
    return url_problem(_PLACEHOLDER_REGEX.sub("a", sample)) if template else None


def required_address(template: str) -> str | None:
    """Check the template of an address that must be set."""
    return required(template) or address(template)


def header_name(name: str) -> str | None:
    """Check that a string can be the name of a header."""
    if not _HEADER_REGEX.fullmatch(name):
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


def rate_limit(limit: RateLimit | None) -> str | None:
    """Check the numbers of a rate limit."""
    numbers = () if limit is None else (limit.per_minute, limit.burst)
    if not all(type(each) in {int, float} and 0 < each < float("inf") for each in numbers):
        return "must have a per_minute and a burst above 0"
    if limit is not None and not isinstance(limit.burst, int):
        return "must have an integer as burst, 1 or more"
    return None


def domains(values: tuple[str, ...]) -> str | None:
    """Check that strings are domain names."""
    return next(
        (f"{each!r} {domain_problem(each)}" for each in values if domain_problem(each)), None
    )


def codes(values: Mapping[str, str]) -> str | None:
    """Check that the values of a table are OAuth error codes."""
    wrong = (code for code in values.values() if not is_code(code))
    return next((f"{code!r} is no error code of RFC 6749 section 5.2" for code in wrong), None)
