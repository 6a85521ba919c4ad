"""Many connections in one process, each under an id of the application."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any, NoReturn, Self

import attrs

from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn._common.names import escaped
from keyturn._common.once import PerProcess
from keyturn._connection import hand_over, make_connection, manager_of
from keyturn._http.policy import NetworkPolicy
from keyturn._tokens.index import TokenIndex
from keyturn._tokens.options import Specification, option_problem, problems_under, specify
from keyturn._tokens.single_flight import run_in_thread
from keyturn._tokens.status import status_of
from keyturn._tokens.workers import limit_requests
from keyturn.stores._opening import open_store
from keyturn.stores._resilient import ResilientStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyturn._connection import Connection
    from keyturn._plugins.events import Listener
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn._tokens.status import ConnectionStatus
    from keyturn.errors import Problem
    from keyturn.stores._base import TokenStore

# The maximum length of an id, in characters.
_MAX_ID = 256


@attrs.frozen(eq=False, repr=False)
class _Row:
    """The connection of one id.

    Args:
        connection: The connection.
        index: Lists its tokens.
        specification: Provider, settings and options.
        is_isolated: Whether it shares no token with another id.
        earlier: The connections that it has replaced, while the application still has them.
    """

    connection: Connection
    index: TokenIndex
    specification: Specification
    is_isolated: bool
    earlier: tuple[weakref.ref[Connection], ...] = ()

    def replaced_by(self, row: _Row) -> _Row:
        """Let all holders of this row's connections use another row's; return that row."""
        earlier = (*self.earlier, weakref.ref(self.connection))
        held = [found for found in (each() for each in earlier) if found is not None]
        for each in held:
            hand_over(each, row.connection)
        return attrs.evolve(row, earlier=tuple(map(weakref.ref, held)))


class Connections:
    """The connections of a platform, by the platform's ids, such as database keys.

    Any number of threads and tasks may use it at once. A forked child has the same connections.

    A replaced connection stays usable. Its holders, and adapters made from it, use its successor
    from then on. Requests in progress finish with the token that they started with.

    Args:
        store: The token store for all tokens, or its URL; by default `$KEYTURN_STORE`, else the
            memory of this process.
        policy: Restricts the settings, and the hosts that the connections may reach. The default is
            strict, because end users write the settings.
        on_event: Called with each `keyturn.Event`, unless `open` is given another; see
            `keyturn.connect`.
        max_requests: The maximum number of concurrent token requests of this process, for all
            connections together; the others wait. From 1 to 300, one thread each; 256 by default.

    Raises:
        keyturn.errors.ConfigurationError: An argument can't be used.

    Example:
        >>> import keyturn
        >>> connections = keyturn.Connections()
        >>> row = {"url": "https://shop.example", "client_id": "x", "client_secret": "made-up"}
        >>> connections.problems("orocommerce", row)
        []
        >>> connection = connections.open("tenant-17", "orocommerce", row)
        >>> connections["tenant-17"] is connection
        True
    """

    def __init__(
        self,
        *,
        store: str | TokenStore | None = None,
        policy: NetworkPolicy = NetworkPolicy(),  # noqa: B008 - it is frozen
        on_event: Listener | None = None,
        max_requests: int | None = None,
    ) -> None:
        for name, value in (("policy", policy), ("on_event", on_event)):
            if problem := option_problem(name, value):
                raise errors.ConfigurationError(f"{name} {problem}.")
        if max_requests is not None:
            limit_requests(max_requests)
        self._store = open_store(store)
        self._resilient = ResilientStore(self._store)  # for the index
        self._policy = policy
        self._on_event = on_event
        self._is_closed = False
        self._rows: dict[str, _Row] = {}
        # For all ids with a connection, or with a token request in progress of a closed one.
        self._indexes: weakref.WeakValueDictionary[str, TokenIndex] = weakref.WeakValueDictionary()
        self._lock = PerProcess(threading.Lock)

    def open(
        self,
        id: str,
        provider: str | Provider[Any],
        settings: Mapping[str, Any] | Settings,
        *,
        isolate: bool = False,
        **options: Any,
    ) -> Connection:
        """Return the connection of an id; this sends nothing.

        It is the same object while provider, settings and options are the same. When they change,
        keyturn replaces it.

        Args:
            id: The id, of 1 to 256 arbitrary characters.
            provider: The provider's name, or a provider.
            settings: The provider's settings, as `keyturn.connect` takes them.
            isolate: Whether it shares no token, and no error response, with an equal connection
                of another id.
            options: The options of `keyturn.connect`, except `store` and `policy`. `name` is the
                connection's name in messages, by default the id.

        Raises:
            keyturn.errors.ConfigurationError: An argument is wrong, or the policy forbids a
                setting; `problems` lists all mistakes. An earlier connection of the id stays open.
        """
        _check_id(id)
        defaults: dict[str, Any] = {
            "name": escaped(id),
            "on_event": self._on_event,
            "policy": self._policy,
        }
        for name in ("store", "policy"):
            if name in options:
                raise errors.ConfigurationError(
                    f"{name} is the same for all connections: pass it to keyturn.Connections."
                )
        specification = specify(provider, settings, **defaults | options)
        while True:
            self._check_open()
            row = self._rows.get(id)
            if row and (row.specification, row.is_isolated) == (specification, isolate):
                return row.connection
            # A provider's code runs here, without the lock.
            new = self._row(id, specification, isolate)
            with self._lock.get():
                is_current = self._rows.get(id) is row and not new.index.is_removed
                if is_current and not self._is_closed:
                    self._rows[id] = row.replaced_by(new) if row else new
                    return new.connection

    def problems(
        self, provider: str | Provider[Any], settings: Mapping[str, Any] | Settings
    ) -> list[Problem]:
        """Return every mistake in settings, such as a form's, and every violation of the policy.

        This sends nothing, and resolves no name.

        Args:
            provider: The provider's name, or a provider.
            settings: As `open` takes them.

        Raises:
            keyturn.errors.ConfigurationError: The provider can't be used.
        """
        return problems_under(self._policy, provider, settings)

    def status(self) -> list[ConnectionStatus]:
        """Return the state of each connection in this process; this sends and reads nothing."""
        return [
            status_of(id, row.specification.provider.name, manager_of(row.connection))
            for id, row in self._rows.copy().items()
        ]

    def close(self, id: str | None = None) -> None:
        """Close one connection, or all of them permanently; their tokens stay in the store.

        Args:
            id: The connection's id; an id that isn't open is ignored. By default all connections
                are closed, and `open` raises `keyturn.errors.ConfigurationError` from then on.
        """
        with self._lock.get():
            self._is_closed = self._is_closed or id is None
            ids = [*self._rows] if id is None else [id]
            rows = [self._rows.pop(each) for each in ids if each in self._rows]
        for row in rows:
            row.connection.close()  # and those that it has replaced: they have the same manager

    async def aclose(self, id: str | None = None) -> None:
        """Close one connection, or all of them permanently; see `close`."""
        self.close(id)

    def remove(self, id: str, *, revoke: bool = False) -> None:
        """Close a connection, and remove its tokens and error responses from the store.

        It needs only the id, which may never have been open in this process. A token that another
        id shares stays. Other processes keep their tokens in memory until the tokens expire, and
        store tokens again while they have the connection open.

        It waits for a token request for the id that is in progress, also in another process.

        Args:
            id: The connection's id.
            revoke: Whether the current token is also revoked at the provider (RFC 7009), unless
                another id shares it.

        Raises:
            keyturn.errors.ConnectionNotFound: `revoke` is given, and the id isn't open.
            keyturn.errors.ConfigurationError: The provider does not support revocation.
            keyturn.errors.KeyturnError: Revoking failed, and nothing was removed; or the store
                failed.
        """
        if revoke and (connection := self._revocable(id)):
            connection.revoke()
        self._remove(id)

    async def aremove(self, id: str, *, revoke: bool = False) -> None:
        """Close a connection and remove its tokens, without blocking the event loop."""
        if revoke and (connection := await run_in_thread(lambda: self._revocable(id))):
            await connection.arevoke()
        await run_in_thread(lambda: self._remove(id))

    def _revocable(self, id: str) -> Connection | None:
        """Return the connection of an id, unless another id shares its token."""
        _check_id(id)
        index, connection = self._index(id), self[id]
        shared = index.is_shared(connection.token_request().fingerprint)
        return None if shared else connection

    def _remove(self, id: str) -> None:
        _check_id(id)
        index = self._index(id)
        with self._lock.get():
            self._indexes.pop(id, None)
            index.is_removed = True
        self.close(id)
        try:
            index.remove()
        except errors.KeyturnError as error:
            error.connection = escaped(id)
            raise

    def __getitem__(self, id: str) -> Connection:
        row = self._rows.get(id)
        if row is None:
            raise errors.ConnectionNotFound(
                f"no connection with the id {str(id)[:_MAX_ID]!r} is open.",
                hint="Open it with keyturn.Connections.open.",
            )
        return row.connection

    def __contains__(self, id: object) -> bool:
        return id in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter([*self._rows])

    def __len__(self) -> int:
        return len(self._rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("Connections can't be copied or pickled: create them in each process.")

    def __repr__(self) -> str:
        return f"<Connections: {len(self)} open>"

    def _check_open(self) -> None:
        if self._is_closed:
            raise errors.ConfigurationError("the connections are closed.")

    def _index(self, id: str) -> TokenIndex:
        with self._lock.get():
            return self._indexes.setdefault(id, TokenIndex(self._resilient, SYSTEM, id))

    def _row(self, id: str, specification: Specification, isolate: bool) -> _Row:  # noqa: FBT001 - as above
        index = self._index(id)
        connection = make_connection(specification, self._store, index=index, is_isolated=isolate)
        return _Row(connection, index, specification, isolate)


def _check_id(id: object) -> None:
    if not isinstance(id, str) or not 1 <= len(id) <= _MAX_ID:
        raise errors.ConfigurationError(
            f"the id of a connection must be a string of 1 to {_MAX_ID} characters."
        )
