"""The emulator: four listeners, and the methods that control them in tests."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, ClassVar, Self

from keyturn._common.names import did_you_mean
from keyturn.errors import ConfigurationError
from keyturn.testing.emulator._commercelayer import CommerceLayer
from keyturn.testing.emulator._norce import NorceCommerce, NorceStorm
from keyturn.testing.emulator._orocommerce import OroCommerce
from keyturn.testing.emulator._server import Acceptor, Listener
from keyturn.testing.emulator._service import Service

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from keyturn import NetworkPolicy
    from keyturn.testing._messages import ReceivedRequest

_HOST = "127.0.0.1"
_ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - only who asks for it gets it
# The largest signed integer of 32 bits, in which clients may store the lifetime.
_MAX_LIFETIME = (1 << 31) - 1
_ORIGINS = (NorceCommerce, NorceStorm, OroCommerce, CommerceLayer)


class Emulator:
    """An HTTP server on loopback that follows the documentation of the four providers.

    Each provider has a port, clients with random credentials, a token endpoint with the
    documented rate limit, and an API with products to fetch. Commerce Layer has a revocation
    endpoint, and a resource, `/webhooks`, that no client may read. Norce and Commerce Layer
    publish the keys that verify their tokens, Norce and OroCommerce their metadata, and Commerce
    Layer admits the scripts of any website. On request the emulator misbehaves: see `fault`.

    Another process controls each port with `POST /-/fault` (a JSON object with `kind`, `times`
    and the fault's options), `POST /-/revoke-tokens` and `GET /-/counts`.

    Args:
        port: The port of the first provider; the others follow in the order of `providers`. 0
            chooses free ports.
        host: The name or IPv4 address of this machine to listen on, which is also the host of the
            URLs; with `0.0.0.0`, for a container, they have 127.0.0.1. Connections of keyturn
            accept http URLs of loopback only.
        lifetime: The tokens' lifetime in seconds, from 1 to 2147483647; None for the documented
            ones.
        stable: Whether the client IDs and secrets are the same for every emulator; these are
            public. By default they are random.
        rate_limits: Whether the documented rate limits are kept.
        now: Returns the time in epoch seconds, for lifetimes, rate limits and the overlap of
            Commerce Layer's tokens.

    Raises:
        keyturn.errors.ConfigurationError: The lifetime is out of range, or the host empty.

    Example:
        >>> import httpx
        >>> with Emulator() as emulator:
        ...     response = httpx.get(emulator.settings("norce-storm")["api_url"])
        ...     response.status_code, emulator.token_requests("norce-storm")
        (404, 0)
    """

    providers: ClassVar[tuple[str, ...]] = tuple(origin.name for origin in _ORIGINS)

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = _HOST,
        lifetime: int | None = None,
        rate_limits: bool = True,
        stable: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        _check_lifetime(lifetime)
        if not host:
            raise ConfigurationError("the emulator's host must not be empty.")
        self._host = host
        origins = [origin(lifetime, now) for origin in _ORIGINS]
        if stable:
            for origin in origins:
                origin.use_stable_credentials()
        self._services = {
            origin.name: Service(origin, rate_limits=rate_limits) for origin in origins
        }
        self._ports = [port + offset if port else 0 for offset in range(len(_ORIGINS))]
        self._acceptor: Acceptor | None = None

    def start(self) -> Self:
        """Listen, and return this emulator; after a `stop`, on the same ports.

        Raises:
            keyturn.errors.ConfigurationError: A port is in use, or the host or a port
                is invalid.
        """
        if self._acceptor is not None:
            return self
        with contextlib.ExitStack() as opened:
            listeners: list[Listener] = []
            for port, service in zip(self._ports, self._services.values(), strict=True):
                listeners.append(Listener(self._host, port, service))
                opened.callback(listeners[-1].server_close)
            opened.pop_all()
        self._ports = [listener.port for listener in listeners]
        host = _HOST if self._host == _ALL_ADDRESSES else self._host
        for port, service in zip(self._ports, self._services.values(), strict=True):
            service.start(f"http://{host}:{port}")
        self._acceptor = Acceptor(listeners)
        return self

    def stop(self) -> None:
        """Close all connections and ports, and wait until every thread has ended."""
        for service in self._services.values():
            service.stop()
        if self._acceptor is not None:
            self._acceptor.stop()
            self._acceptor = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def settings(self, provider: str, **variant: Any) -> dict[str, Any]:
        """Return keyword arguments for `keyturn.connect(provider, …)`.

        Args:
            provider: One of `providers`.
            variant: `side="storefront"` for OroCommerce or `kind="sales_channel"` for Commerce
                Layer choose another client; all others are added to the result.

        Raises:
            keyturn.errors.ConfigurationError: The provider or the client is unknown, or the
                emulator was never started.
        """
        origin = self._service(provider).origin
        if not origin.url:
            raise ConfigurationError("the emulator has no URL yet.", hint="Call start() first.")
        return origin.settings(variant)

    @property
    def policy(self) -> NetworkPolicy:
        """A network policy that allows the emulator with its settings, and is strict otherwise."""
        from keyturn import NetworkPolicy

        return NetworkPolicy(loopback=True, address_settings=True)

    def resource(self, provider: str, **variant: Any) -> str:
        """Return the path, below the API's URL, of a protected resource to GET.

        Args:
            provider: One of `providers`.
            variant: As for `settings`.

        Raises:
            keyturn.errors.ConfigurationError: The provider or the client is unknown.
        """
        return self._service(provider).origin.resource(variant)

    def token_requests(self, provider: str) -> int:
        """Return the number of received token requests, including rejected ones.

        Raises:
            keyturn.errors.ConfigurationError: The provider is unknown.
        """
        return self._service(provider).token_requests

    def api_requests(self, provider: str) -> int:
        """Return the number of received API requests, including rejected ones.

        Raises:
            keyturn.errors.ConfigurationError: The provider is unknown.
        """
        return self._service(provider).api_requests

    def requests(self, provider: str) -> tuple[ReceivedRequest, ...]:
        """Return the last thousand requests that arrived, the oldest first.

        Raises:
            keyturn.errors.ConfigurationError: The provider is unknown.
        """
        return self._service(provider).requests()

    def set_lifetime(self, provider: str, seconds: int | None) -> None:
        """Issue tokens of another lifetime from now on.

        Args:
            provider: One of `providers`.
            seconds: The lifetime in seconds, from 1 to 2147483647; None for the documented one.

        Raises:
            keyturn.errors.ConfigurationError: The provider is unknown, or the lifetime out of
                range.
        """
        _check_lifetime(seconds)
        self._service(provider).set_lifetime(seconds)

    def revoke_tokens(self, provider: str) -> None:
        """Reject every token issued so far, with the API's own 401.

        Raises:
            keyturn.errors.ConfigurationError: The provider is unknown.
        """
        self._service(provider).revoke_tokens()

    def fault(self, provider: str, kind: str, *, times: int = 1, **options: Any) -> None:
        """Make the next token requests fail.

        Args:
            provider: One of `providers`.
            kind: `rate-limit` (429; `retry_after`, seconds or any string, for the header of that
                name), `server-error` (500), `html` (a page with status 200), `slow` (the
                response comes after `seconds`), `hang-up` (no response), `malformed-json`,
                `redirect` (307 to `location`, a URL on loopback), or OroCommerce's own
                `no-encryption-key`.
            times: The number of token requests that it applies to.
            options: The options named above.

        Raises:
            keyturn.errors.ConfigurationError: The provider or the fault is unknown, or an option
                is wrong.
        """
        self._service(provider).add_fault(kind, times, options)

    def _service(self, provider: str) -> Service:
        if provider not in self._services:
            known = ", ".join(self.providers)
            raise ConfigurationError(
                f"the emulator has no provider {provider!r}."
                f"{did_you_mean(provider, self.providers)}",
                hint=f"Known providers: {known}.",
            )
        return self._services[provider]


def _check_lifetime(seconds: int | None) -> None:
    if seconds is not None and not (isinstance(seconds, int) and 1 <= seconds <= _MAX_LIFETIME):
        raise ConfigurationError(
            "the emulator's lifetime must be an integer number of seconds from 1 to "
            f"{_MAX_LIFETIME}."
        )
