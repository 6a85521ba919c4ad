"""The connection to one account at one provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, Self, TypeVar

from keyturn import errors
from keyturn._clock import SYSTEM, Clock
from keyturn._common.once import cached_once
from keyturn._http.policy import check_host
from keyturn._http.transport import Transport
from keyturn._http.urls import host_of, url_problem
from keyturn._tokens.acquisition import Acquisition
from keyturn._tokens.manager import TokenManager
from keyturn._tokens.options import specify
from keyturn._tokens.single_flight import run_in_thread, run_within
from keyturn._tokens.snapshot import EMPTY
from keyturn.stores._resilient import ResilientStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyturn._http.policy import NetworkPolicy
    from keyturn._http.request import TokenRequest
    from keyturn._plugins.events import Listener
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn._token import Token
    from keyturn._tokens.index import TokenIndex
    from keyturn._tokens.options import Specification
    from keyturn.stores._base import TokenStore


P = ParamSpec("P")
T = TypeVar("T")

_transport = cached_once(Transport)


class Connection:
    """One account at one provider: a provider, its settings and a token store.

    Any number of threads and tasks may use it at once. `keyturn.connect`, which takes all options,
    and `keyturn.load_connection` return one too.

    Args:
        provider: The provider.
        settings: Its settings, with the same checks as in `keyturn.connect`.
        store: The token store.
        name: The connection's name in messages; by default the provider's name.
        on_event: Called with each `keyturn.Event`, in a worker's thread, after callers have their
            result; keyturn logs its exceptions.

    Attributes:
            name: The connection's name in messages.

    Raises:
        keyturn.errors.ConfigurationError: A setting is wrong or missing; `problems` lists all
            mistakes.
    """

    name: str
    # Replaced when the connection has a successor; see `hand_over`.
    _manager: TokenManager
    # Not called as `self._now()`: the method lookup would take a tenth of a cache hit.
    _now: Callable[[], float]

    def __init__(
        self,
        provider: Provider[Any],
        settings: Mapping[str, Any] | Settings,
        *,
        store: TokenStore,
        name: str | None = None,
        on_event: Listener | None = None,
    ) -> None:
        specification = specify(provider, settings, name=name, on_event=on_event)
        hand_over(self, make_connection(specification, store))

    @classmethod
    def _made(
        cls,
        specification: Specification,
        store: TokenStore,
        *,
        clock: Clock = SYSTEM,
        transport: Transport | None = None,
        index: TokenIndex | None = None,
        is_isolated: bool = False,
    ) -> Connection:
        """Return a connection.

        Args:
            specification: Provider, settings and options.
            store: The token store.
            clock: The clocks.
            transport: Sends its token requests; by default the transport of this process.
            index: The list of its id's tokens in `keyturn.Connections`.
            is_isolated: Whether it shares no token with an equal connection of another id.
        """
        provider, settings, name, options, on_event = specification
        self = cls.__new__(cls)
        self.name = name or provider.name
        acquisition = self._own(
            Acquisition,
            provider=provider,
            settings=settings,
            store=ResilientStore(store),
            transport=transport or (Transport(tls=options.tls) if options.tls else _transport()),
            options=options,
            clock=clock,
            connection=self.name,
            on_event=on_event,
            index=index,
            is_isolated=is_isolated,
        )
        self._manager = self._own(TokenManager, acquisition)
        self._now = clock.monotonic
        return self

    @property
    def provider(self) -> Provider[Any]:
        """The provider; after the settings are resolved, the provider for these settings."""
        acquisition = self._manager.acquisition
        return acquisition.known.provider if acquisition.known else acquisition.provider

    @property
    def settings(self) -> Settings:
        """The provider's settings; this resolves secret references if necessary.

        Raises:
            keyturn.errors.ConfigurationError: A reference can't be resolved.
        """
        return self._own(self._manager.acquisition.latest).settings

    def token(self, stale: Token | None = None) -> Token:
        """Return a usable token.

        Args:
            stale: A token that an API refused; keyturn renews it if it is still the current one.

        Raises:
            keyturn.errors.KeyturnError: No token could be acquired.
        """
        snapshot, now = self._manager.snapshot, self._now
        if stale is None and now() < snapshot.fresh_until:
            return snapshot.token
        return self._manager.get(stale).token

    async def atoken(self, stale: Token | None = None) -> Token:
        """Return a usable token, without blocking the event loop; see `token`."""
        snapshot, now = self._manager.snapshot, self._now
        if stale is None and now() < snapshot.fresh_until:
            return snapshot.token
        return (await self._manager.aget(stale)).token

    def headers(self) -> dict[str, str]:
        """Return the headers of an API request: the token's header, and the provider's own headers.

        Raises:
            keyturn.errors.KeyturnError: No token could be acquired.
        """
        snapshot, now = self._manager.snapshot, self._now
        if now() >= snapshot.fresh_until:
            snapshot = self._manager.get()
        return dict(snapshot.headers)

    async def aheaders(self) -> dict[str, str]:
        """Return the headers of an API request, without blocking the event loop; see `headers`."""
        snapshot, now = self._manager.snapshot, self._now
        if now() >= snapshot.fresh_until:
            snapshot = await self._manager.aget()
        return dict(snapshot.headers)

    @property
    def api_url(self) -> str:
        """The API's address; this acquires a token if the address depends on it.

        Raises:
            keyturn.errors.ConfigurationError: The provider does not know the address.
            keyturn.errors.KeyturnError: No token could be acquired.
        """
        manager = self._manager
        held = manager.snapshot
        url = self._own(manager.api_url, None if held is EMPTY else held.token)
        if url is None:
            url = self._own(manager.api_url, manager.get().token)
        problem = "is unknown" if url is None else url_problem(url)
        if url is None or problem:
            raise errors.ConfigurationError(
                f"the API's address {problem}.", connection=self.name, hint="Set api_url."
            )
        self._own(check_host, manager.acquisition.options.policy, host_of(url), "API")
        return url

    def token_request(self) -> TokenRequest:
        """Return the token request that would be sent now.

        Raises:
            keyturn.errors.ConfigurationError: A secret reference can't be resolved.
        """
        return self._own(self._manager.acquisition.request)

    def invalidate(self, token: Token) -> None:
        """Discard `token` in memory and in the store, if it is still the current one.

        Raises:
            keyturn.errors.ConfigurationError: A secret reference can't be resolved.
        """
        self._manager.check_open()
        self._own(self._manager.invalidate, token)

    async def ainvalidate(self, token: Token) -> None:
        """Discard `token`, without blocking the event loop; see `invalidate`."""
        await run_in_thread(lambda: self.invalidate(token))

    def forget(self) -> None:
        """Discard the current token in memory and in the store, and a cached error response.

        Raises:
            keyturn.errors.ConfigurationError: A secret reference can't be resolved.
        """
        self._own(self._manager.forget)

    async def aforget(self) -> None:
        """Discard the current token, without blocking the event loop; see `forget`."""
        await run_in_thread(self.forget)

    def revoke(self) -> None:
        """Revoke the current token at the provider (RFC 7009) and discard it.

        Without a usable token, this does nothing.

        Raises:
            keyturn.errors.ConfigurationError: The provider does not support revocation.
            keyturn.errors.KeyturnError: The provider refused the request, or did not respond.
        """
        from keyturn._tokens.revoke import revoke

        manager = self._manager
        seconds = manager.acquisition.options.timeout
        self._own(run_within, lambda: revoke(manager), manager.host, seconds)

    async def arevoke(self) -> None:
        """Revoke the current token, without blocking the event loop; see `revoke`."""
        from keyturn._tokens.revoke import revoke

        manager = self._manager
        seconds = manager.acquisition.options.timeout
        await run_in_thread(lambda: self._own(revoke, manager), manager.host, seconds)

    def explain(self) -> str:
        """Return the redacted transcript of this connection's token request.

        It shows the request, its reason and the response. This acquires a token if none is usable.
        A failure is part of the transcript and is not raised.
        """
        from keyturn._tokens.explain import explain

        manager = self._manager
        manager.check_open()
        return self._own(explain, manager.acquisition, manager)

    def close(self) -> None:
        """Discard the token in this object; further calls raise `ConfigurationError`."""
        self._manager.close()

    async def aclose(self) -> None:
        """Discard the token in this object; see `close`."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Connection {self.name!r} to {self.provider.name}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A Connection can't be copied or pickled: pass the name of a configured connection, "
            "or call keyturn.connect in each process."
        )

    def _own(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `work`, and set the connection's name in its error."""
        try:
            return work(*args, **kwargs)
        except errors.KeyturnError as error:
            failure = error
        failure.connection = self.name
        raise failure.with_traceback(None)


def policy_of(connection: Connection) -> NetworkPolicy:
    """Return a connection's network policy, for the adapters."""
    return manager_of(connection).acquisition.options.policy


def manager_of(connection: Connection) -> TokenManager:
    """Return a connection's token manager, for the adapters."""
    return connection._manager  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - of this class


def hand_over(connection: Connection, successor: Connection) -> None:
    """Let a connection use the state of its successor, for all its holders.

    Requests in progress finish with the earlier state.
    """
    vars(connection).update(vars(successor))


make_connection = Connection._made  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - for this package
