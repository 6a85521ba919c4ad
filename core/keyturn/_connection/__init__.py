"""What users hold: one account at one provider."""

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
        settings: Its settings, checked as `keyturn.connect` checks them.
        store: Where tokens live.
        name: What messages call the connection; by default the provider's name.
        on_event: Gets each `keyturn.Event`, on a thread of the worker, when callers have their
            result; what it raises is logged.

    Attributes:
        name: What messages call the connection.

    Raises:
        keyturn.errors.ConfigurationError: A setting is wrong or missing; all mistakes are named.
    """

    name: str
    # All that is replaced when the connection has a successor; see `hand_over`.
    _manager: TokenManager
    # Not called as `self._now()`: Python would look for such a method first, a tenth of a hit.
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
            specification: What it is made of.
            store: Where tokens live.
            clock: The clocks.
            transport: Sends its token requests; by default the one of this process.
            index: Lists the tokens of its id in `keyturn.Connections`.
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
        """The provider; once the settings are resolved, as it behaves for them."""
        acquisition = self._manager.acquisition
        return acquisition.known.provider if acquisition.known else acquisition.provider

    @property
    def settings(self) -> Settings:
        """The provider's settings; secret references are resolved if they have not been yet.

        Raises:
            keyturn.errors.ConfigurationError: A reference can't be resolved.
        """
        return self._own(self._manager.acquisition.latest).settings

    def token(self, stale: Token | None = None) -> Token:
        """Return a token that may be used now.

        Args:
            stale: A token that an API refused; if it is still the current one, it is renewed.

        Raises:
            keyturn.errors.KeyturnError: There is no token.
        """
        snapshot, now = self._manager.snapshot, self._now
        if stale is None and now() < snapshot.fresh_until:
            return snapshot.token
        return self._manager.get(stale).token

    async def atoken(self, stale: Token | None = None) -> Token:
        """Return a token that may be used now, without blocking the event loop; see `token`."""
        snapshot, now = self._manager.snapshot, self._now
        if stale is None and now() < snapshot.fresh_until:
            return snapshot.token
        return (await self._manager.aget(stale)).token

    def headers(self) -> dict[str, str]:
        """Return what an API request needs: the token's header, and the provider's own headers.

        Raises:
            keyturn.errors.KeyturnError: There is no token.
        """
        snapshot, now = self._manager.snapshot, self._now
        if now() >= snapshot.fresh_until:
            snapshot = self._manager.get()
        return dict(snapshot.headers)

    async def aheaders(self) -> dict[str, str]:
        """Return what an API request needs, without blocking the event loop; see `headers`."""
        snapshot, now = self._manager.snapshot, self._now
        if now() >= snapshot.fresh_until:
            snapshot = await self._manager.aget()
        return dict(snapshot.headers)

    @property
    def api_url(self) -> str:
        """Where the API is; a token is acquired if it depends on the token.

        Raises:
            keyturn.errors.ConfigurationError: The provider does not know where it is.
            keyturn.errors.KeyturnError: There is no token.
        """
        manager = self._manager
        held = manager.snapshot
        url = self._own(manager.api_url, None if held is EMPTY else held.token)
        if url is None:
            url = self._own(manager.api_url, manager.get().token)
        problem = "is not known" if url is None else url_problem(url)
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
        """Discard `token` here and in the store, if it is still the current one.

        Raises:
            keyturn.errors.ConfigurationError: A secret reference can't be resolved.
        """
        self._manager.check_open()
        self._own(self._manager.invalidate, token)

    async def ainvalidate(self, token: Token) -> None:
        """Discard `token`, without blocking the event loop; see `invalidate`."""
        await run_in_thread(lambda: self.invalidate(token))

    def forget(self) -> None:
        """Discard the current token here and in the store, and a cached error response.

        Raises:
            keyturn.errors.ConfigurationError: A secret reference can't be resolved.
        """
        self._own(self._manager.forget)

    async def aforget(self) -> None:
        """Discard the current token, without blocking the event loop; see `forget`."""
        await run_in_thread(self.forget)

    def revoke(self) -> None:
        """Revoke the current token at the provider (RFC 7009) and discard it.

        Nothing is done when there is no token that may still be used.

        Raises:
            keyturn.errors.ConfigurationError: The provider has no way to revoke a token.
            keyturn.errors.KeyturnError: The provider refused, or did not respond.
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
        """Return the redacted transcript of how this connection gets a token.

        It shows what is sent where and why, and what came back; a token is acquired if there is
        none. A failure is part of the transcript and is not raised.
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
        """Return what `work` returns; its error becomes one of this connection's."""
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
    """Return what keeps a connection's token, for the adapters."""
    return connection._manager  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - of this class


def hand_over(connection: Connection, successor: Connection) -> None:
    """Make a connection do what another does, for all that hold it.

    What is in progress finishes as it was begun.
    """
    vars(connection).update(vars(successor))


make_connection = Connection._made  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - for this package
