"""What users hold: one account at one provider."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

from keyturn import errors
from keyturn._clock import SYSTEM, Clock
from keyturn._http.transport import Transport
from keyturn._http.urls import origin, url_problem
from keyturn._once import cached_once
from keyturn._providers import calls
from keyturn._providers.calls import translate_errors
from keyturn._tokens import lifetime
from keyturn._tokens.acquisition import Options, Renewal
from keyturn._tokens.keyfile import fingerprint_key
from keyturn._tokens.manager import TokenManager
from keyturn.stores._resilient import ResilientStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._http.request import TokenRequest
    from keyturn._http.response import Response
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn._token import Token
    from keyturn._tokens.snapshot import Headers, TokenSnapshot
    from keyturn.stores._base import TokenStore


T = TypeVar("T")

_logger = logging.getLogger("keyturn._connection")
_transport = cached_once(Transport)


class Connection:
    """One account at one provider: a provider, its settings and a token store.

    Any number of threads and tasks may use it at once. `keyturn.connect` and
    `keyturn.load_connection` make them.

    Args:
        provider: The provider.
        settings: Its settings.
        store: Where tokens live.
        name: What messages call the connection; by default the provider's name.
        options: How it behaves, whatever the provider.
        clock: The clocks.
        transport: Sends its token requests; by default the one of this process.
    """

    def __init__(
        self,
        provider: Provider[Any],
        settings: Settings,
        *,
        store: TokenStore,
        name: str | None = None,
        options: Options | None = None,
        clock: Clock = SYSTEM,
        transport: Transport | None = None,
    ) -> None:
        self.name = name or provider.name
        self.settings = settings
        self.provider = provider
        self.provider = provider = self._own(lambda: calls.for_settings(self.provider, settings))
        request = self._own(lambda: calls.token_request(provider, settings))
        request = request.with_fingerprint(fingerprint_key())
        problem = url_problem(request.url)
        if problem:
            message = f"the token endpoint's address {problem}."
            raise errors.ConfigurationError(message, connection=self.name)
        self.renewal = Renewal(
            provider=provider,
            settings=settings,
            request=request,
            store=ResilientStore(store),
            transport=transport or _transport(),
            options=options or Options(),
            clock=clock,
        )
        self._manager = TokenManager(self.renewal, self.name, self._headers)
        for warning in self._own(lambda: calls.warnings(provider, settings)):
            _logger.warning("%s: %s", self.name, warning)

    def token(self, stale: Token | None = None) -> Token:
        """Return a token that may be used now.

        Args:
            stale: A token that an API refused; if it is still the current one, it is renewed.

        Raises:
            keyturn.errors.KeyturnError: There is no token to be had.
        """
        since, until, token = self._manager.held.glance
        if stale is None and since < time.time() < until:
            return token  # type: ignore[return-value]  # nothing held is never fresh
        return self._manager.token(stale)

    async def atoken(self, stale: Token | None = None) -> Token:
        """Return a token that may be used now, without blocking the event loop; see `token`."""
        since, until, token = self._manager.held.glance
        if stale is None and since < time.time() < until:
            return token  # type: ignore[return-value]  # nothing held is never fresh
        return await self._manager.atoken(stale)

    def headers(self) -> dict[str, str]:
        """Return what an API request needs: `Authorization`, and the provider's own headers.

        Raises:
            keyturn.errors.KeyturnError: There is no token to be had.
        """
        return self.headers_for(self.token())

    async def aheaders(self) -> dict[str, str]:
        """Return what an API request needs, without blocking the event loop; see `headers`."""
        return self.headers_for(await self.atoken())

    def headers_for(self, token: Token) -> dict[str, str]:
        """Return what an API request with this very token needs; a new dict each time."""
        return dict(self.header_items(token))

    def ready(self) -> TokenSnapshot | None:
        """Return the token with its headers, if that takes no more than a look at the clock.

        For an adapter, to which a token and its headers in two steps would be twice as dear.
        """
        held = self._manager.held
        since, until, _ = held.glance
        return held if since < time.time() < until else None

    def header_items(self, token: Token) -> Headers:
        """Return the same as `headers_for`, as pairs that are ready-made for the current token."""
        held = self._manager.held
        return held.headers if held.token is token else self._headers(token)

    @property
    def api_url(self) -> str:
        """Where the API is; a token is obtained if only that tells.

        Raises:
            keyturn.errors.ConfigurationError: The provider can't tell where it is.
            keyturn.errors.KeyturnError: There is no token to be had.
        """
        address = self.api_url_for(self._manager.held.token)
        if address is None:
            address = self.api_url_for(self.token())
        problem = "is not known" if address is None else url_problem(address)
        if problem:
            raise errors.ConfigurationError(
                f"the API's address {problem}.", connection=self.name, hint="Set api_url."
            )
        return address or ""

    def api_url_for(self, token: Token | None) -> str | None:
        """Return the provider's word on where the API is, as far as settings and token tell."""
        return self._own(lambda: calls.api_url_for(self.provider, self.settings, token))

    def token_rejected(self, response: Response) -> bool:
        """Return the provider's word on whether an API's 401 response means the token."""
        return self._own(lambda: calls.token_rejected(self.provider, self.settings, response))

    @property
    def api_origin(self) -> str:
        """The one origin (RFC 6454) to which an adapter attaches the token."""
        return origin(self.api_url)

    def token_request(self) -> TokenRequest:
        """Return the token request that would be sent."""
        return self.renewal.request

    def invalidate(self, token: Token) -> None:
        """Forget `token` here and in the store, if it is still the current one."""
        self._manager.invalidate(token)

    def forget(self) -> None:
        """Forget the current token here and in the store, and a refusal that was remembered."""
        self._manager.check_open()
        self._manager.discard()
        self.renewal.forget()

    def revoke(self) -> None:
        """Revoke the current token at the provider (RFC 7009) and forget it.

        Raises:
            keyturn.errors.ConfigurationError: The provider has no way to revoke a token.
            keyturn.errors.KeyturnError: The provider refused, or did not respond.
        """
        token = self.current()
        if token is None:
            return
        request = self._own(lambda: calls.revocation_request(self.provider, self.settings, token))
        if request is None:
            raise errors.ConfigurationError(
                f"{self.provider.name} has no way to revoke a token.",
                connection=self.name,
                hint="It can be forgotten on this side; it ends by itself.",
            )
        try:
            translate_errors(self.provider.name, lambda: self.renewal.revoke(request))
        except errors.KeyturnError as error:
            failure = error
        else:
            self.invalidate(token)
            return
        raise self._manager.own(failure)

    def current(self) -> Token | None:
        """Return the token held here or in the store, if it may still be used; sends nothing."""
        self._manager.check_open()
        token = self._manager.held.token
        if token is not None and self.renewal.state(token) is not lifetime.State.EXPIRED:
            return token
        return self.renewal.stored()

    def explain(self) -> str:
        """Return the redacted transcript of how this connection gets a token.

        It tells what is sent where, why, and what came back; a token is obtained if there is none.
        A failure is part of the transcript and is not raised.
        """
        from keyturn._explain import explain

        self._manager.check_open()
        return explain(self.renewal, self.name, self.headers_for)

    def close(self) -> None:
        """Let go of the token; further calls raise `keyturn.errors.ConfigurationError`."""
        self._manager.close()

    async def aclose(self) -> None:
        """Let go of the token; see `close`."""
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

    def _headers(self, token: Token) -> Headers:
        provider, settings = self.provider, self.settings
        name, value = self._own(lambda: calls.authorization(provider, settings, token))
        decoration = self._own(lambda: calls.api_request_headers(provider, settings, token))
        decoration.pop(name, None)
        return ((name, value), *decoration.items())

    def _own(self, work: Callable[[], T]) -> T:
        """Return what `work` returns; its error becomes one of this connection's."""
        try:
            return work()
        except errors.KeyturnError as error:
            failure = error
        failure.connection = self.name
        raise failure.with_traceback(None)
