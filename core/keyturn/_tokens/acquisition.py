"""Acquiring a token: read the store, take the lock, send the token request, write the store."""

from __future__ import annotations

import contextvars
import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs

from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn._common import log_lines  # pyright: ignore[reportUnusedImport]  # noqa: F401 - its filter
from keyturn._common.once import cached_once, importing
from keyturn._http.urls import url_problem
from keyturn._providers import calls
from keyturn._secret import Secret
from keyturn._tokens.entries import entry_from_json, error_from_entry
from keyturn._tokens.fingerprint import fingerprint_key
from keyturn._tokens.options import STORE_PATIENCE
from keyturn._tokens.snapshot import TokenSnapshot, jitter, plan
from keyturn._tokens.token_query import Credentials
from keyturn.stores._resilient import place

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._clock import Clock
    from keyturn._http.request import TokenRequest
    from keyturn._http.transport import Transport
    from keyturn._plugins.events import Event, Kind, Listener
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn._token import Token
    from keyturn._tokens.index import TokenIndex
    from keyturn._tokens.options import Options
    from keyturn._tokens.token_query import TokenQuery
    from keyturn.stores._resilient import ResilientStore

_LEASE_EXTRA = 5.0
# The most restarts of a token request because the store's fingerprint key has changed.
_KEY_CHANGES = 3
# The number of tokens in two renewals of a chain of three steps.
_KEPT_TOKENS = 8

_logger = logging.getLogger("keyturn")
# The module that sends token requests; it is imported when the store has no token.
_sending: Any = None


@cached_once
def _load() -> Any:
    """Import the modules that send token requests; a token in the store needs none of them."""
    global _sending  # noqa: PLW0603 - saves later calls of this function
    with importing:
        from keyturn._tokens import sending
    _sending = sending
    return sending


@attrs.define(kw_only=True, eq=False, repr=False)
class Acquisition:
    """Acquires the tokens of one connection.

    Args:
        provider: The provider.
        settings: Its settings, which never change; or a function that resolves secret references
            and returns the current settings.
        store: The token store.
        transport: Sends the token requests.
        options: The options of the connection.
        clock: The clocks.
        connection: The connection's name, for errors, events and the log.
        on_event: The application's listener.
        index: Lists the tokens of the connection's id, if it has one.
        is_isolated: Whether it shares no token with an equal connection of another id.

    Attributes:
        known: The last used credentials; None if settings were not resolved yet.
        events: Its events that were not yet emitted, each with the context of its caller.
        host: The token endpoint's host and port; the connection's name until they are known.
        tokens: The last access tokens, which a server may still quote.

    Raises:
        keyturn.errors.KeyturnError: The settings do not give a valid token request.
    """

    provider: Provider[Any]
    settings: Settings | Callable[[], Settings]
    store: ResilientStore
    transport: Transport
    options: Options
    clock: Clock
    connection: str
    on_event: Listener | None = None
    index: TokenIndex | None = None
    is_isolated: bool = False
    known: Credentials | None = attrs.field(default=None, init=False)
    # Not a deque, because an empty one would be a fifth of an idle connection's memory.
    events: list[tuple[contextvars.Context, Event]] = attrs.field(factory=list, init=False)
    host: str = attrs.field(default="", init=False)
    # The last tokens: a server may quote an earlier one.
    tokens: tuple[str, ...] = attrs.field(default=(), init=False)

    def __attrs_post_init__(self) -> None:
        self.host = self.connection
        self.store.on_outage = lambda error: self.note(
            "store_outage", place(self.store.store), error=error
        )
        if "uwsgi" in sys.modules:  # see `Transport`
            _load().chains()
        if not callable(self.settings):
            self.resolve()

    def resolve(self) -> Credentials:
        """Return the current credentials; this reads secret references again.

        Raises:
            keyturn.errors.KeyturnError: A reference can't be resolved.
        """
        settings = self.settings
        if callable(settings):
            settings = settings()
        elif self.known is not None:
            return self.known
        provider = calls.for_settings(self.provider, settings)
        request = calls.token_request(provider, settings)
        if self.index and self.is_isolated:
            partition = json.dumps([request.partition, self.index.id])
            request = attrs.evolve(request, partition=partition)
        address = request.url
        if provider.previous is not None or provider.discovery is not None:
            credentials = Credentials(provider, settings, request)
            request, address = _load().chains().with_steps(self, credentials)
        problem = url_problem(address)
        if problem:
            raise errors.ConfigurationError(f"the token endpoint's address {problem}.")
        if self.known is None:
            for warning in calls.warnings(provider, settings):
                _logger.warning("%s: %s", self.connection, warning)
        self.host = urlsplit(address).netloc
        self.known = Credentials(provider, settings, request)
        return self.known

    def latest(self) -> Credentials:
        """Return the last used credentials, or resolve them."""
        return self.known or self.resolve()

    def acquire(self, query: TokenQuery) -> TokenSnapshot:
        """Return a token, from the store or else from the token endpoint.

        Args:
            query: The token query.

        Raises:
            keyturn.errors.RateLimited: Besides the token endpoint's own reasons, an API refused
                too many tokens in the last minutes.
            keyturn.errors.KeyturnError: No token could be acquired.
        """
        key = fingerprint_key(self.store, self.clock)
        query.progress.step = "settings", SYSTEM.monotonic() + self.options.timeout
        credentials = self.resolve()
        try:
            return self._acquire_with(key, credentials, query)
        except errors.InvalidClient:
            # The secret may have been replaced since it was read.
            query.progress.step = "settings", SYSTEM.monotonic() + self.options.timeout
            again = self.resolve()
            requests = (each.request.with_fingerprint(key) for each in (credentials, again))
            if len({each.fingerprint for each in requests}) == 1:
                raise
        return self._acquire_with(key, again, query)

    def request(self) -> TokenRequest:
        """Return the token request with its fingerprint, as it would be sent now."""
        self.resolve()
        return self.latest_request()

    def latest_request(self) -> TokenRequest:
        """Return the token request with its fingerprint, as it was sent last."""
        key = fingerprint_key(self.store, self.clock)
        return self.latest().request.with_fingerprint(key)

    def fingerprints(self) -> list[str]:
        """Return the fingerprint of the token request, and of each step before it."""
        key = fingerprint_key(self.store, self.clock)
        requests = [self.latest().request]
        for each in requests:  # it grows
            requests += [step for _, step in each.steps]
        return [each.with_fingerprint(key).fingerprint for each in requests]

    def secrets(self, *more: object) -> list[Secret]:
        """Return the secrets of the connection, and those from `calls.secrets_in`."""
        provider, settings, request = self.latest()
        known = calls.secrets_in(provider, settings, request, *more)
        return [*known, *map(Secret, self.tokens)]

    def stored(self, request: TokenRequest) -> TokenSnapshot | None:
        """Return the store's token for a token request, if it is usable."""
        key = request.fingerprint
        stored = self.store.read(key)
        entry = None if stored is None else entry_from_json(stored, key)
        if entry is None:
            return None
        now = self.clock.monotonic()
        age = entry.age(self.clock.id, now, self.clock.time())
        snapshot = self.plan(entry.token, now - age, key)
        return snapshot if now < snapshot.usable_until else None

    def refused(self, request: TokenRequest) -> errors.TokenRequestRefused | None:
        """Return the cached error response for a token request."""
        entry = self.store.read(f"refused-{request.fingerprint}")
        return None if entry is None else error_from_entry(entry, self.clock.time())

    def plan(self, token: Token, issued_at: float, fingerprint: str) -> TokenSnapshot:
        """Compute the renewal time and the last time of use of a token.

        Args:
            token: The token.
            issued_at: The time of its token request, on the monotonic clock.
            fingerprint: The key of its token request.
        """
        fresh_until, usable_until = plan(
            issued_at,
            token.expires_at - token.issued_at,
            margin=min(self.options.margin, (self.known or self.resolve()).provider.max_margin),
            # Each process has a different renewal time, so that they do not all renew at once.
            jitter=jitter(f"{fingerprint}:{os.getpid()}"),
        )
        if token.access_token not in self.tokens:
            self.tokens = (*self.tokens[1 - _KEPT_TOKENS :], token.access_token)
        return TokenSnapshot(token, fresh_until, usable_until)

    def keep_tokens(self, *tokens: str) -> None:
        """Keep tokens of an earlier step, so that messages hide them later."""
        new = [each for each in tokens if each not in self.tokens]
        self.tokens = (*self.tokens, *new)[-_KEPT_TOKENS:]

    def note(self, kind: Kind, where: str, **fields: Any) -> None:
        """Log an event, and keep it until `emit_events`.

        Args:
            kind: The kind of event.
            where: The token endpoint's URL, or the store's location.
            fields: The event's other fields.
        """
        events = (_sending or _load()).events
        event = events.Event(
            kind=kind,
            connection=self.connection,
            provider=self.provider.name,
            host=urlsplit(where).hostname or where,
            at=self.clock.time(),
            **fields,
        )
        events.log(event)
        self.events.append((contextvars.copy_context(), event))

    def emit_events(self) -> None:
        """Report the kept events; see `keyturn._plugins.events`."""
        while self.events:
            # Another worker of this connection may have kept it, with its caller's context.
            context, event = self.events.pop(0)
            context.run(_sending.events.emit, event, self.on_event)

    def _logged(self, found: TokenSnapshot) -> TokenSnapshot:
        where = place(self.store.store)
        _logger.debug("%s: using the token from the token store %s", self.connection, where)
        return found

    def _acquire_with(
        self, key: bytes, credentials: Credentials, query: TokenQuery, key_changes: int = 0
    ) -> TokenSnapshot:
        request = credentials.request.with_fingerprint(key)
        seconds = self.options.timeout + self.options.wait
        lease = seconds + _LEASE_EXTRA
        query.progress.step = "store", SYSTEM.monotonic() + lease + STORE_PATIENCE
        found = self.stored(request)
        if found is not None and query.matches(found, self.clock.monotonic()):
            index, until = self.index, found.token.expires_at
            if index is None or index.lists(request.fingerprint, until):
                return self._logged(found)
        with self.store.lock(request.fingerprint, lease):
            query.progress.step = "store", SYSTEM.monotonic() + seconds + STORE_PATIENCE
            current = fingerprint_key(self.store, self.clock, again=True)
            if current == key or key_changes == _KEY_CHANGES:
                found = self.stored(request)
                if found is not None and query.matches(found, self.clock.monotonic()):
                    if self.index:
                        self.index.add(request.fingerprint, found.token.expires_at)
                    return self._logged(found)
                error = self.refused(request)
                if error is not None:
                    _logger.debug("%s: using a cached error response", self.connection)
                    raise error
                sending = _sending or _load()
                if query.refused and found is not None:
                    sending.count_refused(self.store, self.clock, request.fingerprint)
                    self.store.delete(request.fingerprint)
                steps = request.steps
                send = sending.chains().request_after_steps if steps else sending.request_token
                snapshot: TokenSnapshot = send(self, credentials._replace(request=request), query)
                return snapshot
        return self._acquire_with(current, credentials, query, key_changes + 1)
