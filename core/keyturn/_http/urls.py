"""Addresses that a secret or a token may be sent to, with one strict grammar.

URL parsers disagree on unusual input, so keyturn refuses such input before it calls one.
"""

from __future__ import annotations

import re

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# A label of a host name (RFC 1123 section 2.1), in lower case.
LABEL_PATTERN = _LABEL
_DOMAIN_PATTERN = rf"{_LABEL}(?:\.{_LABEL})*"

_CHARACTER = r"[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}"
_SEGMENT = f"(?:{_CHARACTER})*"
_URL_REGEX = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{_LABEL}(?:\.{_LABEL})*|\[::1\])"
    rf"(?::(?P<port>[1-9][0-9]{{0,4}}))?(?=[/?#]|\Z)(?P<path>(?:/{_SEGMENT})*)",
    re.IGNORECASE | re.ASCII,
)
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_ADDRESS_PATTERN = rf"(?:{_OCTET}(?:\.(?!\Z)|\Z)){{4}}"
# Some parsers read 127.1, 0x7f.1 or 2130706433 as an IPv4 address, others look the name up.
_NUMBER_PATTERN = r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)"
_MAX_HOST = 253
DOMAIN_PROBLEM = "must be a domain name such as shop.example, without scheme, port or path"


def domain_pattern(label: str = _LABEL, longest: int = _MAX_HOST) -> str:
    """Return a pattern for the domains that `domain_problem` accepts, for JSON Schemas.

    Args:
        label: The pattern of one label.
        longest: The maximum number of characters.
    """
    # The last label is not a number.
    limits = rf"(?![^:/]{{{longest + 1}}})(?!(?:[^:/]*\.)?(?:[0-9]+|0[Xx][0-9A-Fa-f]*)(?:[:/]|$))"
    return rf"{limits}{label}(?:\.{label})*"


def url_pattern(placeholder: str | None = None) -> str:
    """Return a pattern for the URLs that `url_problem` accepts, for JSON Schemas.

    It means the same in Python and in JavaScript, and needs no flag.

    Args:
        placeholder: The pattern of a placeholder in braces for a part or the beginning of the
            address.
    """
    braces = rf"\{{{placeholder}\}}"
    either = "" if placeholder is None else f"|{braces}"
    letter, inner = f"(?:[A-Za-z0-9]{either})", f"(?:[A-Za-z0-9-]{either})"
    name = domain_pattern(f"{letter}(?:{inner}{{0,61}}{letter})?")
    four = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
    loopback = rf"[Ll][Oo][Cc][Aa][Ll][Hh][Oo][Ss][Tt]|\[::1\]|127(?:\.{_OCTET}){{3}}"
    port = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
    origin_ = rf"[Hh][Tt][Tt][Pp](?:[Ss]://(?:{name}|{four}|\[::1\])|://(?:{loopback}))"
    start = origin_ if placeholder is None else rf"(?:{braces}(?:{inner}|\.)*|{origin_})"
    return (
        rf"{start}(?::(?:{port}))?"
        rf"(?:/(?!(?:\.|%2[Ee]){{1,2}}(?:/|$))(?:{_CHARACTER}{either})*)*"
    )


def label_problem(value: str) -> str | None:
    """Return why `value` is not one label of a host name, or None."""
    is_label = re.fullmatch(LABEL_PATTERN, value)
    return None if is_label else "must be one host label: 1 to 63 of a-z, 0-9 and inner hyphens"


def domain_problem(value: str) -> str | None:
    """Return why `value` is not a domain name, or None."""
    is_name = (
        len(value) <= _MAX_HOST
        and re.fullmatch(_DOMAIN_PATTERN, value)
        and not re.fullmatch(_NUMBER_PATTERN, value)
    )
    return None if is_name else DOMAIN_PROBLEM


def url_problem(value: str) -> str | None:
    """Return why `value` is not an address that secrets may be sent to, or None.

    Allowed are `https` URLs, and `http` ones of the loopback interface (RFC 8252 section 8.3),
    with an optional port and path; user information, a query, a fragment and `..` are not.
    """
    match = _URL_REGEX.fullmatch(value)
    if match is None:
        return "must be a URL such as https://shop.example/path, without user, query or fragment"
    if len(match["host"]) > _MAX_HOST or int(match["port"] or 0) > 65535:
        return "must have a host of at most 253 characters and a port of at most 65535"
    host = match["host"].lower()
    is_number = re.fullmatch(_NUMBER_PATTERN, host)
    if is_number and not re.fullmatch(_ADDRESS_PATTERN, host):
        return "must have a name as its host, or an IPv4 address of four decimal numbers up to 255"
    is_loopback = host in {"localhost", "[::1]"} or (is_number and host.startswith("127."))
    if match["scheme"].lower() != "https" and not is_loopback:
        return "must begin with https:// (http:// is for loopback addresses only)"
    segments = match["path"].lower().replace("%2e", ".").split("/")
    return "must not have . or .. in its path" if {".", ".."} & {*segments} else None


def origin(url: str) -> str:
    """Return the origin of a URL (RFC 6454): scheme, host in lower case, and port if unusual.

    Raises:
        ValueError: The URL has no host of the form that `url_problem` accepts, or user
            information; what follows the port doesn't matter.
    """
    match = _URL_REGEX.match(url)
    if match is None:
        raise ValueError("not an absolute http or https URL")
    scheme, host = match["scheme"].lower(), match["host"].lower()
    usual = {None, {"https": "443", "http": "80"}[scheme]}
    return f"{scheme}://{host}" + (f":{match['port']}" if match["port"] not in usual else "")


def host_of(url: str) -> str:
    """Return the lower-case host of a URL accepted by `url_problem`, else an empty string."""
    match = _URL_REGEX.fullmatch(url)
    return match["host"].lower() if match else ""


def is_below(url: str, domain: str) -> bool:
    """Return whether the host of a URL accepted by `url_problem` is a domain, or lies below it."""
    host = host_of(url)
    return host == domain or host.endswith(f".{domain}")
