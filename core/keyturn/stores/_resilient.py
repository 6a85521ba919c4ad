"""A store whose failures cause one warning per outage and extra requests, but no exception."""

import contextlib
import json
import logging
import math
import re
import weakref
from collections.abc import Callable, Generator
from typing import Any

from keyturn._common.names import escaped
from keyturn._common.redaction import MASK, Redaction
from keyturn._secret import Secret
from keyturn.stores._base import TokenStore
from keyturn.stores._memory import MemoryStore

_logger = logging.getLogger("keyturn")

# What `ResilientStore.stored` returns when the store failed.
FAILED = object()
# Before the key of an entry that its store failed to delete; no key has a colon.
_DELETED = "deleted:"
# The user of a URL, and the password.
_USER_PATTERN = r"://[^/\s@]*@"


class _State:
    """The state of a store in this process, for all connections with that store.

    Attributes:
        memory: The entries that the store failed to write, after its first failure.
        failing: The operations whose last call failed, each with the cause.
        fingerprint_key: See `keyturn._tokens.fingerprint`.
        fingerprint_entry: The entry of that key.
    """

    def __init__(self) -> None:
        self.memory: MemoryStore | None = None
        self.failing: dict[str, str] = {}
        self.fingerprint_key: bytes | None = None
        self.fingerprint_entry: object = None


_states: dict[int, _State] = {}
# Stores without weak references are kept, so that no other store gets their id.
_kept: list[TokenStore] = []


class ResilientStore:
    """A token store that never raises: failed operations use this process's memory.

    So a process keeps its tokens, rate limits and negative cache while its store is down, for all
    connections with that store. Entries in memory precede those in the store. An entry that the
    store failed to delete is ignored until the store writes a later entry at that key. keyturn logs
    the beginning and the end of an outage, not each operation.

    Args:
        store: The store that may fail.

    Attributes:
        on_outage: Called with the name of the error's class when an outage begins.
    """

    def __init__(self, store: TokenStore) -> None:
        self.store = store
        self.on_outage: Callable[[str], None] = lambda _: None
        new = _State()
        self.state = _states.setdefault(id(store), new)
        if self.state is new:
            try:
                weakref.finalize(store, _states.pop, id(store), None)
            except TypeError:
                _kept.append(store)

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None if it does not exist or the store fails."""
        stored, memory = self.stored(key), self.state.memory
        # Without a memory, no operation has failed.
        return stored if memory is None else next(iter(_merged(memory, key, stored)), None)

    def entries(self, key: str) -> list[str]:
        """Return the entries at `key`: the one in memory, if the store failed, and the store's."""
        stored, memory = self.stored(key), self.state.memory
        if memory is None:
            return [] if stored is None else [stored]
        return _merged(memory, key, stored)

    def stored(self, key: str) -> Any:
        """Return the store's own entry at `key`: a string, None or `FAILED`."""
        try:
            entry = self.store.read(key)
        except ValueError:
            # The store works, but another program wrote that entry.
            message = "the token store %s has an unreadable entry at %s; ignoring it"
            _logger.warning(message, place(self.store), key)
            return None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as in `_attempt`
            self._report("read", error)
            return FAILED
        if not isinstance(entry, str | None):  # treated like an exception of the store
            self._report("read", TypeError())
            return FAILED
        if "read" in self.state.failing:
            self._recover("read")
        return entry

    def write(self, key: str, entry: str, expires_at: float) -> bool:
        """Keep an entry, in memory if the store fails; return whether the store accepted it."""
        written = self._attempt("write", self.store.write, key, entry, expires_at)
        memory = self.state.memory
        if memory is None:
            return True
        # A store that failed may accept an entry that it can't read.
        if written is FAILED or self.stored(key) is FAILED:
            memory.write(key, entry, expires_at)
            return False
        memory.delete(key)
        memory.delete(_DELETED + key)
        return True

    def delete(self, key: str) -> bool:
        """Remove an entry; return whether the store did. If not, this process doesn't see it."""
        deleted = self._attempt("delete", self.store.delete, key)
        memory = self.state.memory
        if memory is not None:
            memory.delete(key)
            memory.write(_DELETED + key, "", math.inf if deleted is FAILED else 0)
        return deleted is not FAILED

    def problem(self) -> str | None:
        """Return the problem of the store during an outage, or else None."""
        for operation, reason in [*self.state.failing.items()]:
            return f"the token store {place(self.store)} failed to {operation} ({reason})"
        return None

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold the lock of `key` for a `with` block; if the store fails, only among threads."""
        try:
            held = self.store.lock(key, lease)
            held.__enter__()
            if "lock" in self.state.failing:
                self._recover("lock")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as in `_attempt`
            held = self._report("lock", error).lock(key, lease)
            with contextlib.suppress(TimeoutError):
                held.__enter__()
        try:
            yield
        finally:
            self._attempt("unlock", held.__exit__, None, None, None)

    def _attempt(self, operation: str, call: Callable[..., Any], *arguments: object) -> Any:
        """Return the result of a store operation, or `FAILED`."""
        try:
            result = call(*arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a third-party store may raise anything
            self._report(operation, error, *map(str, arguments[1:2]))
            return FAILED
        if operation in self.state.failing:
            self._recover(operation)
        return result

    def _report(self, operation: str, error: BaseException, entry: str = "") -> MemoryStore:
        """Log the beginning of an outage; return the memory that replaces the store."""
        state = self.state
        state.memory = state.memory or MemoryStore()
        reason = cause(error, entry)
        if not state.failing:
            state.failing[operation] = reason
            _logger.warning(
                "%s; continuing without the store. To use another, set `store`, or KEYTURN_STORE "
                "if `store` is not set",
                self.problem(),
            )
            self.on_outage(type(error).__name__)
        state.failing[operation] = reason
        return state.memory

    def _recover(self, operation: str) -> None:
        """Log the end of an outage when each operation that failed works again."""
        self.state.failing.pop(operation, None)
        if not self.state.failing:
            _logger.warning("the token store %s works again", place(self.store))


def _secrets_in(entry: str) -> list[Secret]:
    """Return an entry, and the strings in it, such as a token."""
    values: list[object] = []
    with contextlib.suppress(ValueError, AttributeError):  # not a table
        values += json.loads(entry).values()
    return [Secret(each) for each in (entry, *values) if isinstance(each, str) and each]


def _merged(memory: MemoryStore, key: str, stored: object) -> list[str]:
    found = memory.read(key), stored if memory.read(_DELETED + key) is None else None
    return [entry for entry in found if isinstance(entry, str)]


def place(store: TokenStore) -> str:
    """Return a store's class and its `location`: a directory or a host, without a password."""
    shown = f"{type(store).__name__} {getattr(store, 'location', '')}".rstrip()
    return escaped(re.sub(_USER_PATTERN, f"://{MASK}@", shown))


def cause(error: BaseException, entry: str = "") -> str:
    """Return an error's class and its system message; its own message may contain a secret.

    Args:
        error: The error.
        entry: An entry that must not be shown; a third-party store may have put it into a message.
    """
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError) and found.strerror:
            shown = re.sub(_USER_PATTERN, f"://{MASK}@", str(found.strerror))
            message = Redaction(_secrets_in(entry)).printable(shown)
            return f"{type(error).__name__}: {message}"
        found = found.__cause__ or found.__context__
    return type(error).__name__
