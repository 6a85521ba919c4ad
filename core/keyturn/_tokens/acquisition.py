"""From a token query to a token: the store, the lock, the token request, and the store again."""

from __future__ import annotations

import logging
import os
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import attrs

from keyturn import errors
from keyturn._event import Event, Kind, Reason
from keyturn._http.urls import url_problem
from keyturn._plugins.events import emit
from keyturn._providers import calls
from keyturn._tokens.entries import error_from_entry, from_text
from keyturn._tokens.fingerprint import fingerprint_key
from keyturn._tokens.rate_limiter import count_refused
from keyturn._tokens.snapshot import TokenSnapshot, jitter, plan
from keyturn._tokens.token_request import TokenRequester

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._clock import Clock
    from keyturn._http.request import TokenRequest
    from keyturn._http.response import Response
    from keyturn._http.transport import Transport
    from keyturn._options import Options
    from keyturn._plugins.events import Listener
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn._token import Token
    from keyturn.stores._resilient import ResilientStore

_LEASE_EXTRA = 5.0
# How often a token request starts again because the store's fingerprint key has changed.
_KEY_CHANGES = 3

_logger = logging.getLogger("keyturn")


@attrs.frozen
class TokenQuery:
    """Which token is wanted.

    Args:
        other_than: A token that is of no use: it was refused, or it has expired.
        refused: Whether an API refused it.
        fresh: Whether only a fresh token is of use, as when one is renewed ahead of its expiry.
        reason: Why it is wanted, for events.
        responses: Gets the responses of the token endpoint.
    """

    other_than: Token | None = None
    refused: bool = False
    fresh: bool = False
    reason: Reason = attrs.field(default="cold", eq=False)
    responses: list[Response] = attrs.field(factory=list, eq=False, repr=False)

    def matches(self, snapshot: TokenSnapshot, now: float) -> bool:
        """Return whether a token is of use now (on the monotonic clock)."""
        unwanted = self.other_than is not None and (
            self.other_than.access_token == snapshot.token.access_token
        )
        return not unwanted and now < (
            snapshot.fresh_until if self.fresh else snapshot.usable_until
        )


class Credentials(NamedTuple):
    """A provider, its settings and the token request that they make.

    Args:
        provider: The provider as it behaves for these settings.
        settings: The settings, with their secrets.
        request: The token request, without its fingerprint.
    """

    provider: Provider[Any]
    settings: Settings
    request: TokenRequest


class Account:
    """One account at one provider.

    Args:
        provider: The provider.
        settings: Its settings, which never change; or a function that resolves secret references
            and returns the settings of now.
        connection: The connection's name, for errors and the log.

    Raises:
        keyturn.errors.KeyturnError: The settings make no token request.
    """

    def __init__(
        self, provider: Provider[Any], settings: Settings | Callable[[], Settings], connection: str
    ) -> None:
        self.provider = provider
        self.is_fixed = not callable(settings)
        self._connection = connection
        self._settings = settings
        self.known: Credentials | None = None
        if self.is_fixed:
            self.resolve()

    def resolve(self) -> Credentials:
        """Return the credentials of now: secret references are read again.

        Raises:
            keyturn.errors.KeyturnError: A reference can't be resolved.
        """
        if self.known is not None and self.is_fixed:
            return self.known
        settings = self._settings() if callable(self._settings) else self._settings
        provider = calls.for_settings(self.provider, settings)
        request = calls.token_request(provider, settings)
        problem = url_problem(request.url)
        if problem:
            raise errors.ConfigurationError(f"the token endpoint's address {problem}.")
        if self.known is None:
            for warning in calls.warnings(provider, settings):
                _logger.warning("%s: %s", self._connection, warning)
        self.known = Credentials(provider, settings, request)
        return self.known

    def latest(self) -> Credentials:
        """Return the credentials that were used last; they are resolved if there are none."""
        return self.known or self.resolve()


@attrs.define(kw_only=True, eq=False, repr=False)
class Acquisition:
    """Acquires the tokens of one connection.

    Args:
        account: What the token requests are made of.
        store: Where entries live.
        transport: Sends the token requests.
        options: How the connection behaves.
        clock: The clocks.
        connection: The connection's name, for events.
        on_event: The application's listener.
    """

    account: Account
    store: ResilientStore
    transport: Transport
    options: Options
    clock: Clock
    connection: str
    on_event: Listener | None = None
    _events: deque[Event] = attrs.field(factory=deque, init=False)

    def acquire(self, query: TokenQuery) -> TokenSnapshot:
        """Return a token, from the store or else from the token endpoint.

        Args:
            query: Which token is wanted.

        Raises:
            keyturn.errors.RateLimited: Besides the token endpoint's own reasons, an API refused
                too many tokens in the last minutes.
            keyturn.errors.KeyturnError: There is no token.
        """
        key = fingerprint_key(self.store, self.clock)
        request = self.account.resolve().request.with_fingerprint(key)
        try:
            return self._acquire_with(key, request, query)
        except errors.InvalidClient as error:
            failure = error
        # The secret may have been replaced since it was read.
        again = self.account.resolve().request.with_fingerprint(key)
        if again.fingerprint == request.fingerprint:
            raise failure
        return self._acquire_with(key, again, query)

    def request(self) -> TokenRequest:
        """Return the token request with its fingerprint, as it would be sent now."""
        self.account.resolve()
        return self.latest_request()

    def latest_request(self) -> TokenRequest:
        """Return the token request with its fingerprint, as it was sent last."""
        key = fingerprint_key(self.store, self.clock)
        return self.account.latest().request.with_fingerprint(key)

    def stored(self, request: TokenRequest) -> TokenSnapshot | None:
        """Return the store's token for a token request, if it may still be used."""
        key = request.fingerprint
        text = self.store.read(key)
        entry = None
        try:
            entry = None if text is None else from_text(text, key)
        except ValueError:
            _logger.warning("the store's entry at %s is no token of that key: ignoring it", key)
        if entry is None:
            return None
        now = self.clock.monotonic()
        age = entry.age(self.clock.id, now, self.clock.time())
        snapshot = self.plan(entry.token, now - age, key)
        return snapshot if now < snapshot.usable_until else None

    def refused(self, request: TokenRequest) -> errors.TokenRequestRefused | None:
        """Return the error response that the store keeps for a token request."""
        entry = self.store.read(f"refused-{request.fingerprint}")
        return None if entry is None else error_from_entry(entry, self.clock.time())

    def plan(self, token: Token, issued_at: float, fingerprint: str) -> TokenSnapshot:
        """Decide when a token is renewed, and until when it is used.

        Args:
            token: The token.
            issued_at: When its token request was sent, on the monotonic clock.
            fingerprint: The key of its token request.
        """
        fresh_until, usable_until = plan(
            issued_at,
            token.lifetime,
            margin=min(self.options.margin, self.account.latest().provider.max_margin),
            # Each process has a moment of its own, so that they do not all renew at once.
            jitter=jitter(f"{fingerprint}:{os.getpid()}"),
        )
        return TokenSnapshot(token, fresh_until, usable_until)

    def note(self, kind: Kind, host: str | None = None, **fields: Any) -> None:
        """Keep an event until `emit_events`; its host is the token endpoint's by default."""
        event = Event(
            kind=kind,
            connection=self.connection,
            provider=self.account.provider.name,
            host=host or urlsplit(self.account.latest().request.url).hostname or "",
            **fields,
        )
        self._events.append(event)

    def emit_events(self) -> None:
        """Report what happened; see `keyturn._plugins.events`."""
        while self._events:
            emit(self._events.popleft(), self.on_event)

    def _acquire_with(
        self, key: bytes, request: TokenRequest, query: TokenQuery, key_changes: int = 0
    ) -> TokenSnapshot:
        found = self.stored(request)
        if found is not None and query.matches(found, self.clock.monotonic()):
            return found
        lease = self.options.timeout + self.options.wait + _LEASE_EXTRA
        with self.store.lock(request.fingerprint, lease):
            current = fingerprint_key(self.store, self.clock, again=True)
            if current == key or key_changes == _KEY_CHANGES:
                return self._fetch_under_lock(request, query)
        request = request.with_fingerprint(current)
        return self._acquire_with(current, request, query, key_changes + 1)

    def _fetch_under_lock(self, request: TokenRequest, query: TokenQuery) -> TokenSnapshot:
        found = self.stored(request)
        if found is not None and query.matches(found, self.clock.monotonic()):
            return found
        error = self.refused(request)
        if error is not None:
            raise error
        if query.refused and found is not None:
            count_refused(self.store, self.clock, request.fingerprint)
            self.store.delete(request.fingerprint)
        return TokenRequester(self, request, query).run()
