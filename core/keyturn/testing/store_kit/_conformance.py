"""The base class for the tests of a token store."""

from __future__ import annotations

from keyturn.testing.store_kit._entries import EntryTests
from keyturn.testing.store_kit._locks import LockTests
from keyturn.testing.store_kit._processes import ProcessTests


class StoreConformance(EntryTests, LockTests, ProcessTests):
    """Tests that every token store must pass.

    pytest collects a subclass whose name begins with `Test`. The tests use their own keys,
    leave only expired entries, and take a few seconds. An operation that has not ended after ten
    seconds fails its test. A test whose cause another has reported is skipped. Where there is no
    fork (Windows), the tests of several processes do nothing.

    Attributes:
        takes_over: Whether a waiter takes a lock over when its holder hangs. False for a store
            whose locks belong to the operating system: a waiter then gets a `TimeoutError`.
        shared: Whether processes share the entries and locks. False for a store in memory.

    Example:
        >>> import keyturn
        >>> class TestAcmeStore(StoreConformance):
        ...     def new_store(self):
        ...         return keyturn.stores.from_url("acme://localhost")
    """
