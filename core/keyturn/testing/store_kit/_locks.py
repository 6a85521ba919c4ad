"""The tests of a store's locks: one holder at a time, and only for a lease."""

from __future__ import annotations

import contextlib
import itertools
import time
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

from keyturn.testing.store_kit._base import StoreTests, once
from keyturn.testing.store_kit._bounded import WatchedStore, require, start, together
from keyturn.testing.store_kit._helpers import LONG, SHORT, in_seconds
from keyturn.testing.store_kit._peers import count, hold, is_free, use

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


# In seconds; a store may take another lease than that which is asked for.
_LEASE = 1.0


class LockTests(StoreTests):
    """The tests of locks across threads and processes."""

    @once
    def test_lock_excludes(self) -> None:
        """Two holders of one lock make a token request each."""
        stores = [self._open(), self._open()] * 2
        self._require_exclusive(
            "two threads",
            [partial(count, store, self._key, 5) for store in stores],
            "let `lock` exclude the threads of a process, whichever object of the store they use",
        )

    @once
    def test_lock_excludes_processes(self) -> None:
        """Each worker process would make its own token request."""
        store = self._open()
        with store.lock(self._key, LONG):  # the store stays open
            pass
        other, peers = self._open(), self._sharing_peers(store)
        advice = "keep locks where all processes see them, as `flock` or a row does"
        # A lock that existed before the others were forked, and one that did not.
        for key in (self._key, f"{self._key}-late"):
            self._key = key
            for peer in peers:
                peer.send(partial(count, key=key, rounds=5))
            works = [peer.receive for peer in peers]
            self._require_exclusive(
                "two processes",
                [partial(count, store, key, 5), *works] if works else [],
                advice,
            )
        with store.lock(self._key, LONG):
            self._is_held(other)
            free = [peer for peer in peers if peer.ask(partial(is_free, key=self._key))]
        message = "a waiter that gives up frees the lock of another thread: lock by `flock`, whose "
        require(not free, message + "locks end with their own descriptor, not by `lockf`")

    @once
    def test_locks_of_other_keys_are_free(self) -> None:
        """Unrelated connections would wait for each other."""
        store, other = self._open(), self._open()
        keys = [
            f"rate-limit-{self._key}",
            *(self._key + end for end in ("-lock", "lock", "-", "0")),
        ]
        several = [*keys, *(f"{self._key}-{number}" for number in range(10))]
        with store.lock(self._key, LONG):
            held = [key for key in several if self._is_held(other, key)]
            held += [key for key in keys if self._is_held(store, key)]
            is_left = not self._is_held(other)
            for key in (self._key, *keys):
                store.write(key, key, in_seconds(LONG))
            lost = [key for key in (self._key, *keys) if other.read(key) != key]
            for key in keys:
                other.delete(key)
            store.delete(self._key)
            is_free = not self._is_held(other)
        message = "the lock of one key is held with that of another: give each key its own"
        require(not held, message)
        require(not is_left, "leaving a lock frees that of another key: free each by itself")
        message = "an entry can't be used while a lock is held: locks and entries share no names"
        require(not lost, message)
        require(not is_free, "writing or deleting an entry frees the lock of its key: part them")

    @once
    def test_waiting_for_a_lock_ends(self) -> None:
        """A waiter would wait forever, or get an unexpected error."""
        store, other = self._open(), self._open()
        unused = store.store.lock(self._key, LONG)
        message = "`lock` takes the lock before its block begins: take it in `__enter__`"
        require(not self._is_held(other), message)
        del unused
        waits: list[float] = []
        with store.lock(self._key, LONG):
            for each in (store, other):
                start = time.monotonic()
                require(
                    self._is_held(each),
                    "entering a lock that is held did not raise: wait for `lease` seconds, then "
                    "raise a TimeoutError",
                )
                waits.append(time.monotonic() - start)
        # The shorter one: the machine may have been busy.
        message = "a waiter raised a TimeoutError late: wait for no longer than `lease` seconds"
        require(min(waits) < SHORT + self._patience / 5, message)
        require(not self._is_held(other), "a lock is still held after its block")

    @once
    def test_lock_lasts_for_its_lease(self) -> None:
        """A slow token request would be made a second time, while the first still runs."""
        store, other = self._open(), self._open()
        end, held = time.monotonic() + _LEASE, True
        with store.lock(self._key, _LEASE):
            while held and time.monotonic() + 2 * SHORT < end:
                held = self._is_held(other)
        # A machine that is busy may have come to it only after the lease.
        is_early = not held and time.monotonic() < end
        require(not is_early, "a lock ends before its lease: hold it for `lease` seconds")

    @once
    def test_lock_is_freed_by_an_error(self) -> None:
        """A failed token request would block all others."""
        store = self._open()
        for error in (KeyError, KeyboardInterrupt):
            with contextlib.suppress(error), store.lock(self._key, LONG):
                raise error
            message = "a lock is still held after its block raised: free it in a `finally`"
            require(not self._is_held(store), message)

    @once
    def test_lock_of_a_hanging_holder_is_taken_over(self) -> None:
        """A hanging holder would block all others, or free another's lock when it resumes."""
        late, store, other = self._open(), self._open(), self._open()
        entered, resumes = Event(), Event()

        def hang() -> None:
            with late.lock(self._key, SHORT):
                entered.set()
                resumes.wait(6 * LONG)

        hanging = start(hang)
        hanging.add_done_callback(lambda _: entered.set())
        entered.wait()
        time.sleep(2 * SHORT)
        try:
            if not self.takes_over:
                held = self._is_held(store)
                require(held, "a lock was taken over from its holder: remove `takes_over = False`")
                return
            begun = time.monotonic()
            lock = self._taken(
                store, "hangs", "set `takes_over = False`, or let a lock end with its lease"
            )
            is_late = time.monotonic() - begun > LONG / 4
        finally:
            resumes.set()
            hanging.result()
        still = self._is_held(other)
        lock.__exit__(None, None, None)
        require(
            still,
            "a holder whose lease had ended freed another's lock: store the holder with the lock",
        )
        message = "a lock is taken over long after its lease: let it end after `lease` seconds"
        require(not is_late, message)

    @once
    def test_lock_of_a_killed_holder_is_taken_over(self) -> None:
        """A worker killed during a request would block all others."""
        store = self._open()
        for peer in self._sharing_peers(store):
            peer.ask(partial(hold, key=self._key, lease=4 * SHORT))
            peer.kill()
            advice = "let a lock end with its lease, or with the process"
            self._taken(store, "was killed", advice).__exit__(None, None, None)
            self._peer(self._open).ask(partial(use, key=self._key))

    def _require_exclusive(
        self, holders: str, works: Sequence[Callable[[], list[tuple[float, float]]]], advice: str
    ) -> None:
        """Require that workers who count under a lock never hold it at once."""
        try:
            held = sorted(each for found in together(*works) for each in found)
        except TimeoutError:
            raise AssertionError(
                "a lock was not acquired, although each holder frees it soon: wait for it."
            ) from None
        overlaps = any(after < end for (_, end), (after, _) in itertools.pairwise(held))
        require(not overlaps, "{} hold the lock of one key at once: {}", holders, advice)
        message = "an entry that was written under a lock is not what the next holder reads"
        require(not held or self._open().read(self._key) == str(len(held)), message)

    def _taken(self, store: WatchedStore, holder: str, advice: str) -> Any:
        lock = store.lock(self._key, LONG)
        try:
            lock.__enter__()
        except TimeoutError:
            message = (
                f"a lock can't be taken over after its lease when its holder {holder}: {advice}."
            )
            raise AssertionError(message) from None
        return lock
