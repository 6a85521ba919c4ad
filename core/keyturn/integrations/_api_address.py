"""Checks of the API's host under a network policy: the addresses that its name resolves to.

The application's client connects, not keyturn. httpx and httpx2 report each new connection to a
function of the request (https://www.encode.io/httpcore/extensions/#trace), which can stop it before
anything is sent. For other clients, keyturn resolves the name first; the client resolves it again,
and may get another address.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn._connection import policy_of
from keyturn._http.policy import check_address
from keyturn._tokens.single_flight import run_in_thread, run_within

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from keyturn._connection import Connection
    from keyturn._http.policy import NetworkPolicy

# Seconds for which the addresses of a name count as checked.
_CHECKED_SECONDS = 10.0


class ApiAddress:
    """The host of a connection's API, and the policy for its addresses.

    Args:
        policy: A policy that restricts addresses.
        url: The API's URL.
        connection: The connection's name, for errors.
        seconds: How long resolving its name may take.
    """

    def __init__(self, policy: NetworkPolicy, url: str, connection: str, seconds: float) -> None:
        address = urlsplit(url)
        self.host, self._port = address.hostname or "", address.port or 443
        self._policy, self._url, self._connection = policy, url, connection
        self._seconds = seconds
        self._checked_until = 0.0

    def ensure(self) -> None:
        """Check the addresses of the host, unless they were checked within the last seconds.

        A proxy from the environment resolves the host itself.

        Raises:
            keyturn.errors.KeyturnError: As `resolve`.
        """
        if self._is_to_check():
            self.resolve()

    async def aensure(self) -> None:
        """Check the addresses of the host, without blocking the event loop; see `ensure`."""
        if self._is_to_check():
            await self.aresolve()

    def resolve(self) -> None:
        """Check the current addresses of the host.

        Raises:
            keyturn.errors.ConfigurationError: The policy forbids one of the addresses.
            keyturn.errors.EndpointUnavailable: It can't be resolved, or not in time.
        """
        with _named(self._connection):
            run_within(self._resolve, self.host, self._seconds)

    async def aresolve(self) -> None:
        """Check the host's current addresses, without blocking the event loop; see `resolve`."""
        with _named(self._connection):
            await run_in_thread(self._resolve, self.host, self._seconds)

    def check(self, address: str) -> None:
        """Check one address.

        Raises:
            keyturn.errors.ConfigurationError: The policy forbids it.
        """
        with _named(self._connection):
            check_address(self._policy, address, self.host, "API")

    def _is_to_check(self) -> bool:
        from keyturn._http.proxies import is_proxied

        return SYSTEM.monotonic() >= self._checked_until and not is_proxied(self._url)

    def _resolve(self) -> None:
        try:
            found = socket.getaddrinfo(self.host, self._port, type=socket.SOCK_STREAM)
        except OSError as error:
            problem = error.strerror
        else:
            for *_, address in found:
                check_address(self._policy, str(address[0]), self.host, "API")
            self._checked_until = SYSTEM.monotonic() + _CHECKED_SECONDS
            return
        raise errors.EndpointUnavailable(
            f"the API's host {self.host} can't be resolved ({problem}).",
            hint="The network policy needs its addresses.",
        )


def check_for(connection: Connection, address: str, host: str) -> None:
    """Check an address that a client connects to, for any host of its requests.

    Raises:
        keyturn.errors.ConfigurationError: The connection's policy forbids it.
    """
    with _named(connection.name):
        check_address(policy_of(connection), address, host, "API")


@contextlib.contextmanager
def _named(connection: str) -> Generator[None]:
    """Set the connection's name in errors."""
    try:
        yield
    except errors.KeyturnError as error:
        error.connection = connection
        raise


class Trace:
    """Checks the connections that httpx makes for one request.

    It is called before and after each step. A connection to another host is one to a proxy, which
    resolves the API's host itself.

    Args:
        api: The API's host, with the policy.
        other: The caller's own function, if there is one.
    """

    def __init__(self, api: ApiAddress, other: Callable[[str, Any], Any] | None) -> None:
        self._api = api
        # A request that is sent twice has one already.
        self.other: Any = other.other if isinstance(other, Trace) else other
        self._is_direct = False

    def __call__(self, name: str, info: Mapping[str, Any]) -> None:
        """Check a connection before it is made, and before anything is sent on it.

        Raises:
            keyturn.errors.KeyturnError: The policy forbids it.
        """
        if self._starts(name, info):
            self._api.resolve()
        elif self._is_made(name):
            try:
                self._check(info)
            except errors.ConfigurationError:
                info["return_value"].close()
                raise
        if self.other is not None:
            self.other(name, info)

    def _starts(self, name: str, info: Mapping[str, Any]) -> bool:
        if name != "connection.connect_tcp.started":
            return False
        self._is_direct = str(info["host"]).strip("[]").lower() == self._api.host
        return self._is_direct

    def _is_made(self, name: str) -> bool:
        return self._is_direct and name == "connection.connect_tcp.complete"

    def _check(self, info: Mapping[str, Any]) -> None:
        self._api.check(str(info["return_value"].get_extra_info("server_addr")[0]))


class AsyncTrace(Trace):
    """Like `Trace`, without blocking the event loop."""

    async def __call__(self, name: str, info: Mapping[str, Any]) -> None:  # type: ignore[override]
        """Check a connection before it is made, and before anything is sent on it."""
        if self._starts(name, info):
            await self._api.aresolve()
        elif self._is_made(name):
            try:
                self._check(info)
            except errors.ConfigurationError:
                await info["return_value"].aclose()
                raise
        if self.other is not None:
            await self.other(name, info)
