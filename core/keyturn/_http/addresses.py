"""Public and other IP addresses, the same on every Python version, unlike `ipaddress`.

The sources are IANA's registries of special-purpose addresses,
https://www.iana.org/assignments/iana-ipv4-special-registry and
https://www.iana.org/assignments/iana-ipv6-special-registry.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Literal

AddressKind = Literal["public", "loopback", "special"]

_NUMBER_REGEX = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Linux connects to itself for each address of 0.0.0.0/8.
_LOOPBACK_4 = tuple(map(ipaddress.IPv4Network, ("127.0.0.0/8", "0.0.0.0/8")))
# `is_global` is true for some of the first on Python 3.11 and 3.12, for the second (relays of 6to4)
# on all.
_SPECIAL_4 = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))
# The last 32 bits are an IPv4 address: compatible and mapped (RFC 4291), translated (RFC 7915) and
# NAT64 (RFC 6052).
_EMBEDDING = tuple(
    map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
)
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
# Protocol assignments with Teredo, documentation, and 6to4: not hosts, or hidden IPv4 addresses.
_SPECIAL_6 = tuple(
    map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)


def address_kind(address: str) -> AddressKind:
    """Return whether an IP address is public, a loopback address, or another.

    Args:
        address: An IPv4 address of four decimal numbers, or an IPv6 address, also with a scope.

    Raises:
        ValueError: It is not an IP address.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if int(found) == 1:
            return "loopback"
        if not any(found in network for network in _EMBEDDING):
            is_public = found in _GLOBAL_6 and found.is_global
            hidden = any(found in network for network in _SPECIAL_6)
            return "public" if is_public and not hidden else "special"
        found = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
    if any(found in network for network in _LOOPBACK_4):
        return "loopback"
    is_public = found.is_global and not found.is_multicast and not found.is_reserved
    return "public" if is_public and not any(found in each for each in _SPECIAL_4) else "special"


def literal_address(host: str) -> str | None:
    """Return the IP address that a host literally is, or None for a name.

    `getaddrinfo` takes one to four numbers, each decimal, octal or hexadecimal, for an IPv4
    address, as inet_aton does (https://pubs.opengroup.org/onlinepubs/9799919799/).

    Args:
        host: A host in lower case, without a trailing dot.

    Raises:
        ValueError: It looks like an address, but is not valid.
    """
    bare = host.removeprefix("[").removesuffix("]")
    if ":" in bare:
        return str(ipaddress.IPv6Address(bare.partition("%")[0]))
    parts = bare.split(".")
    if not _NUMBER_REGEX.fullmatch(parts[-1]):
        return None
    *high, low = map(_number, parts)
    shift = 8 * (4 - len(high))
    if len(high) > 3 or any(each > 255 for each in high) or low >> shift:
        raise ValueError("not an IPv4 address")
    leading = int.from_bytes(bytes(high)) << shift
    return str(ipaddress.IPv4Address(leading | low))


def _number(text: str) -> int:
    if not _NUMBER_REGEX.fullmatch(text):
        raise ValueError("not a number")
    if text.startswith("0x"):
        return int(text, 16)
    return int(text, 8 if text.startswith("0") else 10)
