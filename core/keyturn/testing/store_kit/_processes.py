"""The tests of several processes: entries, concurrent and interrupted writes, and files."""

from __future__ import annotations

import contextlib
import secrets
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from keyturn.testing.store_kit._base import StoreTests, once
from keyturn.testing.store_kit._bounded import require, start, together
from keyturn.testing.store_kit._damage import damage, remains
from keyturn.testing.store_kit._files import ROUNDS, leftovers, observe
from keyturn.testing.store_kit._helpers import LONG, SHORT, in_seconds
from keyturn.testing.store_kit._peers import (
    delete_each,
    in_another_directory,
    in_another_time_zone,
    read_when,
    use,
    with_another_hash_seed,
    write_each,
    write_in_turns,
    write_steps,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from keyturn.testing.store_kit._bounded import WatchedStore
    from keyturn.testing.store_kit._peers import Peer

_TURNS = ["a" * 100_000, "b" * 70_000, "c"]
# The number of operations, each of which may leave one open.
_LEFTOVERS = ROUNDS // 2
_TORN_AT_MOST = 12
# The number of locks held while a process is forked.
_LOCKS = 16


class ProcessTests(StoreTests):
    """The tests of a store used by several processes, and of access by other users."""

    @once
    def test_files_are_private(self) -> None:
        """Other users of the host would read tokens, or take locks."""
        self._require_none(observe, "{}", "; ")

    @once
    def test_leaves_nothing_open(self) -> None:
        """A process that runs for days would have no more files or threads to open."""
        if self._has_fork():
            left = self._peer(self._open).ask(partial(leftovers, key=self._key))
            message = "operations leave files, connections or threads open: close them, also after"
            require(left < _LEFTOVERS, f"{message} a lock that was not acquired")

    @once
    def test_damaged_files(self) -> None:
        """A truncated file would stop the store, or a file of another user would run code."""
        self._require_none(damage, "{}", "; ")

    @once
    def test_deletes_from_files(self) -> None:
        """A backup of the files would have tokens that were revoked."""
        message = "the file {} still has an entry after its deletion: remove it there, too"
        self._require_none(remains, message, " and ")

    @once
    def test_fork_with_locks_held(self) -> None:
        """A forked process would wait for a lock whose holder it does not have."""
        if not (self.shared and self._has_fork()):
            return
        store = self._open()
        with contextlib.ExitStack() as held:
            for number in range(_LOCKS):
                with contextlib.suppress(TimeoutError):  # it is the same as that of another key
                    held.enter_context(store.lock(f"{self._key}-{number}", SHORT))
            peer = self._peer(lambda: store)
        try:
            peer.ask(partial(use, key=self._key, lease=1.0))
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(
                "a process that is forked while others hold locks can't take a free one: make "
                "new locks of threads when os.getpid() has changed, or with "
                f"`os.register_at_fork`. There, {str(error) or 'it was not acquired in 1 s'}"
            ) from error

    @once
    def test_writes_of_other_keys(self) -> None:
        """An entry would be lost, or a deleted one come back, while another is written."""
        store, other = self._open(), self._open()
        keys = [[f"{self._key}-{who}-{number}" for number in range(8)] for who in "ab"]
        peers = self._sharing_peers(store)
        users: list[Callable[[Any], object]] = [peer.ask for peer in peers] or [
            _applied_to(each) for each in (store, other)
        ]

        def found(work: Callable[..., None]) -> list[str]:
            works = [
                partial(user, partial(work, keys=own))
                for user, own in zip(users, keys, strict=True)
            ]
            together(*works)
            return [key for own in keys for key in own if store.read(key) == key]

        message = "while entries of other keys are {}, {}: change one entry alone, or all under a "
        message += "lock of processes and threads"
        try:
            is_whole = len(found(write_each)) == sum(map(len, keys))
            require(is_whole, message, "written", "an entry is lost")
            require(not found(delete_each), message, "deleted", "a deleted entry comes back")
        finally:
            for key in (key for own in keys for key in own):
                with contextlib.suppress(AssertionError):
                    store.delete(key)

    @once
    def test_processes_share_entries(self) -> None:
        """Each process would request its own tokens, or use those that another revoked."""
        store, end = self._open(), float(round(in_seconds(6 * LONG)))
        read = methodcaller("read", self._key)
        old = "a process reads an old entry after another has written: keep no copies"
        deleted = "a process reads an entry that another has deleted: keep no copies"
        missed = "a process does not find an entry that it has missed before: keep no copies"
        for peer in self._sharing_peers(store):
            for step in ("entry 1", "entry 2"):  # of one size and one expiry
                store.write(self._key, step, end)
                require(peer.ask(read) == step, old)
            for step in ("entry 3", "entry 4"):
                peer.ask(methodcaller("write", self._key, step, end))
                require(store.read(self._key) == step, old)
            store.delete(self._key)
            require(peer.ask(read) is None, deleted)
            store.write(self._key, "entry 5", end)
            require(peer.ask(read) == "entry 5", missed)
            peer.ask(methodcaller("delete", self._key))
            require(store.read(self._key) is None, deleted)

    @once
    def test_processes_may_differ(self) -> None:
        """A process that was started in another way would find no entries."""
        if not (self.shared and self._has_fork()):
            return
        store = self._open()
        store.write(self._key, "entry", in_seconds(6 * LONG))
        peer = self._peer(self._open)
        for change, message in (
            (
                with_another_hash_seed,
                "name entries by keys or with `hashlib`, not by `hash`",
            ),
            (in_another_time_zone, "keep an expiry in epoch seconds, or with its time zone"),
            (in_another_directory, "make a path absolute when the store is opened"),
        ):
            found = peer.ask(partial(read_when, key=self._key, change=change))
            how = change.__name__.replace("_", " ")
            require(found == "entry", "a process {} does not find an entry: {}", how, message)

    @once
    def test_concurrent_writes(self) -> None:
        """A reader would get half an entry, or none, while others write."""
        store, other = self._open(), self._open()
        work = partial(write_in_turns, key=self._key, entries=_TURNS, rounds=15)
        peers = self._sharing_peers(store)[1:]
        store.write(self._key, _TURNS[0], in_seconds(6 * LONG))
        for peer in peers:
            peer.send(work)
        writers = [start(peer.receive) for peer in peers] or [start(partial(work, store))]
        with _torn("while several write"):
            while not all(each.done() for each in writers):
                _require_whole(other.read(self._key))
            for each in writers:
                each.result()

    @once
    def test_interrupted_write(self) -> None:
        """A process that is killed while it writes would leave half an entry, or block others."""
        store = self._open()
        peers = self._sharing_peers(store)[1:]
        steps = self._steps(peers)
        store.write(self._key, _TURNS[0], in_seconds(6 * LONG))
        with _torn("after a kill while writing"):
            for number in steps:
                peer = self._peer(self._open)
                peer.send(partial(write_steps, key=self._key, entry=_TURNS[1], last=number))
                peer.wait()
                peer.kill()
                _require_whole(store.read(self._key))
                store.write(self._key, _TURNS[0], in_seconds(6 * LONG))

    def _require_none(self, look: Callable[..., list[str]], message: str, joint: str) -> None:
        """Require that a peer, which opens the store itself, finds no entry."""
        if self._has_fork():
            peer = self._peer(lambda: self._open)
            found = peer.ask(partial(look, key=self._key, entry=secrets.token_hex(16)))
            require(not found, message, joint.join(found))

    def _steps(self, peers: Sequence[Peer]) -> list[int]:
        """Return the numbers of some calls after which a write is interrupted."""
        for peer in peers:
            found: list[int] = peer.ask(partial(write_steps, key=self._key, entry=_TURNS[1]))
            return found[:: -(-len(found) // _TORN_AT_MOST) or 1]
        return []


@contextlib.contextmanager
def _torn(when: str) -> Generator[None]:
    """Add to the failures of a `with` block their situation, and what to change."""
    try:
        yield
    except AssertionError as error:
        failure = str(error).rpartition(": ")[0] or error
        raise AssertionError(
            f"{when}, {failure}: replace an entry in one step, as `os.replace` does with a draft "
            "whose name no other writer uses."
        ) from error


def _applied_to(store: WatchedStore) -> Callable[[Callable[[Any], object]], object]:
    return lambda work: work(store)


def _require_whole(entry: str | None) -> None:
    message = "`read` returns {!r:.20}, which was never written: replace it"
    require(entry in _TURNS, message, entry)
