"""The tests of what processes share: entries, writes that meet or are interrupted, and files."""

from __future__ import annotations

import contextlib
import secrets
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING

from keyturn.testing.store_kit._base import StoreTests, once
from keyturn.testing.store_kit._bounded import require, start
from keyturn.testing.store_kit._files import ROUNDS, leftovers, observe
from keyturn.testing.store_kit._helpers import LONG, in_seconds
from keyturn.testing.store_kit._peers import write_in_turns, write_steps

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from keyturn.testing.store_kit._peers import Peer

_TURNS = ["a" * 100_000, "b" * 70_000, "c"]
# Of as many operations, each of which may leave one.
_LEFTOVERS = ROUNDS // 2
_TORN_AT_MOST = 12


class ProcessTests(StoreTests):
    """What several processes, and other users, see of a store."""

    @once
    def test_files_are_private(self) -> None:
        """Other users of the host would read tokens, or take locks."""
        if self._has_fork():
            peer = self._peer(lambda: self._open)
            findings = peer.ask(partial(observe, key=self._key, entry=secrets.token_hex(16)))
            require(not findings, "{}", "; ".join(findings))

    @once
    def test_leaves_nothing_open(self) -> None:
        """A process that runs for days would have no more files or threads to open."""
        if self._has_fork():
            left = self._peer(self._open).ask(partial(leftovers, key=self._key))
            message = "operations leave files, connections or threads open: close them, also after"
            require(left < _LEFTOVERS, f"{message} a lock that did not come")

    @once
    def test_processes_share_entries(self) -> None:
        """Each process would request tokens of its own, or use those that another revoked."""
        store = self._open()
        for peer in self._sharing_peers(store):
            for step in ("first", "second"):
                store.write(self._key, step, in_seconds(LONG))
                same = peer.ask(methodcaller("read", self._key)) == step
                message = "a process reads an old entry after another has written: keep no copies"
                require(same, message)
                peer.ask(methodcaller("write", self._key, "of a peer", in_seconds(LONG)))
                require(store.read(self._key) == "of a peer", message)
            store.delete(self._key)
            message = "a process reads an entry that another has deleted: keep no copies"
            require(peer.ask(methodcaller("read", self._key)) is None, message)
            store.write(self._key, "entry", in_seconds(LONG))
            peer.ask(methodcaller("delete", self._key))
            require(store.read(self._key) is None, message)

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

    def _steps(self, peers: Sequence[Peer]) -> list[int]:
        """Return the numbers of some calls after which a write is interrupted."""
        for peer in peers:
            found: list[int] = peer.ask(partial(write_steps, key=self._key, entry=_TURNS[1]))
            return found[:: -(-len(found) // _TORN_AT_MOST) or 1]
        return []


@contextlib.contextmanager
def _torn(when: str) -> Generator[None]:
    """Add to the failures of a `with` block when they occur, and what to change."""
    try:
        yield
    except AssertionError as error:
        failure = str(error).rpartition(": ")[0] or error
        raise AssertionError(
            f"{when}, {failure}: replace an entry in one step, as `os.replace` does with a draft "
            "whose name no other writer uses."
        ) from error


def _require_whole(entry: str | None) -> None:
    message = "`read` returns {!r:.20}, which was never written: replace it"
    require(entry in _TURNS, message, entry)
