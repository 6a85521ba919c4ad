"""The network policy: the hosts and addresses of a connection, and limits for its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._common.names import shown
from keyturn._http.urls import domain_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyturn._http.addresses import AddressKind

_LOOPBACK_NAMES = ("localhost",)
# RFC 6762, ICANN's resolution 2024.07.29.06, RFC 8375: names of local networks.
_PRIVATE_NAMES = ("local", "internal", "home.arpa")


def _lower(value: Sequence[str] | None) -> Any:
    is_list = isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value)
    return tuple(each.lower() for each in value or ()) if is_list else value


def restricts_addresses(policy: NetworkPolicy) -> bool:
    """Return whether there are addresses that a policy does not let be reached."""
    return not (policy.private_addresses and policy.loopback)


@attrs.frozen(kw_only=True, repr=False)
class NetworkPolicy:
    """Limits for a connection's settings, and for the hosts that it may reach.

    By default only hosts with public addresses are reachable, and settings can name neither a file
    nor an endpoint other than the provider's own. Use it if your customers write the settings.
    `keyturn.connect` allows everything by default.

    keyturn checks the settings when the connection is opened, and each resolved address right
    before it connects to exactly that address. Behind a proxy it checks only names and literal
    addresses, because the proxy resolves the names.

    Args:
        domains: The reachable hosts: `shop.example` is that host, `*.norce.tech` is each host below
            `norce.tech`, at any depth. None is every host.
        private_addresses: Whether addresses that are not public are reachable: private, link-local
            (such as cloud metadata), shared, reserved and multicast addresses, and names of local
            networks, such as `db` and `db.internal`.
        loopback: Whether loopback addresses of this machine are reachable.
        address_settings: Whether settings may replace an endpoint of the provider: `token_url`,
            `api_url`, `revocation_url`. The provider `generic` needs it.
        file_settings: Whether settings may name files, such as a client certificate's.

    Raises:
        keyturn.errors.ConfigurationError: A value has the wrong type, or a domain is not a valid
            pattern.

    Example:
        >>> import keyturn
        >>> policy = keyturn.NetworkPolicy(domains=("*.norce.tech", "shop.example"))
    """

    domains: tuple[str, ...] | None = attrs.field(default=None, converter=_lower)
    private_addresses: bool = False
    loopback: bool = False
    address_settings: bool = False
    file_settings: bool = False

    __repr__ = shown

    def __attrs_post_init__(self) -> None:
        values = attrs.asdict(self, recurse=False)
        mistakes = [_domains_problem(values.pop("domains"))]
        mistakes += [
            errors.Problem(name, "must be True or False")
            for name, value in values.items()
            if not isinstance(value, bool)
        ]
        problems = list(filter(None, mistakes))
        if problems:
            raise errors.ConfigurationError(
                f"NetworkPolicy has {len(problems)} mistake(s):", problems=problems
            )
        if self.domains is not None or restricts_addresses(self):
            # Here and not at the first check, beside which another thread may fork.
            import keyturn._http.addresses  # pyright: ignore[reportUnusedImport]  # noqa: F401 - see above


def _domains_problem(domains: Any) -> errors.Problem | None:
    if domains is None:
        return None
    if not isinstance(domains, tuple) or not all(isinstance(each, str) for each in domains):
        return errors.Problem("domains", "must be a tuple of strings, or None for every host")
    wrong = (each for each in domains if domain_problem(each.removeprefix("*.")))
    pattern = next(wrong, None)
    if pattern is None:
        return None
    return errors.Problem(
        "domains", f"{pattern!r} must be a domain name such as shop.example, or *.shop.example"
    )


PERMISSIVE = NetworkPolicy(
    private_addresses=True, loopback=True, address_settings=True, file_settings=True
)
"""Allows everything, for settings that the application's own developer wrote."""


def check_host(policy: NetworkPolicy, host: str, endpoint: str) -> None:
    """Check the name of an endpoint's host.

    Raises:
        keyturn.errors.ConfigurationError: The policy forbids it.
    """
    _raise_if(host_problem(policy, host), host, endpoint)


def check_address(policy: NetworkPolicy, address: str, host: str, endpoint: str) -> None:
    """Check one of the addresses that an endpoint's host resolves to.

    Raises:
        keyturn.errors.ConfigurationError: The policy forbids it.
    """
    _raise_if(address_problem(policy, address), host, endpoint)


def host_problem(policy: NetworkPolicy, host: str) -> str | None:
    """Return why a policy forbids a host by its name, or None, without resolving the name.

    Args:
        policy: The policy.
        host: A name, or an address in any form that `getaddrinfo` accepts.

    Returns:
        None, or the rest of a message after the host, such as "is a loopback address, …".
    """
    if policy.domains is None and not restricts_addresses(policy):
        return None
    from keyturn._http.addresses import literal_address

    name = host.lower().removesuffix(".")
    try:
        address = literal_address(name)
    except ValueError:
        return "is not a valid IP address"
    if address is None and domain_problem(name):
        return "is not a valid host name"
    if policy.domains is not None and not any(_covers(each, name) for each in policy.domains):
        return "is not one of the hosts that the network policy allows: see NetworkPolicy.domains"
    if address is not None:
        return address_problem(policy, address, "is")
    return _problem(policy, _name_kind(name), "is the name of")


def address_problem(policy: NetworkPolicy, address: str, verb: str = "resolves to") -> str | None:
    """Return why a policy forbids a resolved IP address, or None; the address is not shown.

    Args:
        policy: The policy.
        address: The result of `getaddrinfo`.
        verb: The verb between host and address in the message.

    Returns:
        None, or the rest of a message after the host, such as "resolves to a loopback address, …".
    """
    from keyturn._http.addresses import address_kind

    return _problem(policy, address_kind(address), verb)


def _raise_if(problem: str | None, host: str, endpoint: str) -> None:
    if problem:
        raise errors.ConfigurationError(f"the {endpoint}'s host {host} {problem}.")


def _problem(policy: NetworkPolicy, kind: AddressKind, verb: str) -> str | None:
    if kind == "loopback" and not policy.loopback:
        found, option = "a loopback address", "loopback"
    elif kind == "special" and not policy.private_addresses:
        found, option = "a private or reserved address", "private_addresses"
    else:
        return None
    return f"{verb} {found}, which the network policy forbids: see NetworkPolicy.{option}"


def _name_kind(name: str) -> AddressKind:
    if _is_below(name, _LOOPBACK_NAMES):
        return "loopback"
    return "special" if "." not in name or _is_below(name, _PRIVATE_NAMES) else "public"


def _is_below(name: str, domains: tuple[str, ...]) -> bool:
    return any(f".{name}".endswith(f".{domain}") for domain in domains)


def _covers(pattern: str, name: str) -> bool:
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern


NetworkPolicy.__module__ = "keyturn"
