"""A hit looks at the wall clock alone, for a moment after both clocks were asked; what that risks.

Here the system's clocks are replaced, since the moment is kept for these alone.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import World

import keyturn
from keyturn import errors
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

# A token for an hour: fresh until 225 to 300 s before its end, usable until 5 s before it.
STALE = 3400
EXPIRED = 3596


class SystemWorld(World):
    """A world whose clocks the system's readings come from."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.second_clock_reads = 0
        clocks = SimpleNamespace(time=lambda: self.clock.now, clock_gettime=self._uptime)
        patch.setattr("keyturn._clock.clocks", clocks)
        patch.setattr("keyturn._connection.time", clocks)

    def open(self) -> keyturn.Connection:
        """Return a connection under the system's clocks."""
        return keyturn.Connection(
            self.plain(),
            self.connect().settings,
            store=MemoryStore(lambda: self.clock.now),
            transport=self.endpoint,  # type: ignore[arg-type]  # it needs `send` alone
        )

    def _uptime(self, _: int) -> float:
        self.second_clock_reads += 1
        return self.clock.uptime


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> SystemWorld:
    """Give a world whose clocks the system's readings come from."""
    return SystemWorld(monkeypatch)


def _sync(connection: keyturn.Connection) -> str:
    return connection.token().access_token


def _async(connection: keyturn.Connection) -> str:
    return asyncio.run(connection.atoken()).access_token


def _adapter(connection: keyturn.Connection) -> str:
    ready = connection.ready()
    token = connection.token() if ready is None else ready.token
    assert token is not None
    return token.access_token


@pytest.fixture(params=[_sync, _async, _adapter], ids=["sync", "async", "adapter"])
def ask(request: pytest.FixtureRequest) -> Callable[[keyturn.Connection], str]:
    """Each way to ask for a token."""
    return request.param


def _hit(system: SystemWorld, connection: keyturn.Connection) -> keyturn.Token:
    """Return the token as a connection hands it out that is in the middle of its work."""
    token = connection.token()
    for _ in range(3):
        system.clock.advance(0.01)
        assert connection.token() is token
    return token


def test_hits_in_a_row_read_one_clock(system: SystemWorld) -> None:
    """A hit would cost half as much again."""
    connection = system.open()
    first = _hit(system, connection)
    reads = system.second_clock_reads
    for _ in range(100):
        system.clock.advance(0.0001)
        assert connection.token() is first

    assert system.second_clock_reads == reads
    system.clock.advance(0.5)
    assert connection.token() is first
    assert system.second_clock_reads == reads + 1


def test_sleeping_machine_ends_a_token(
    system: SystemWorld, ask: Callable[[keyturn.Connection], str]
) -> None:
    """A paused virtual machine would go on with a token that ended meanwhile."""
    connection = system.open()
    _hit(system, connection)
    system.clock.now += EXPIRED

    assert ask(connection) == "token-2"


def test_clock_that_stands_still_ends_a_token(
    system: SystemWorld, ask: Callable[[keyturn.Connection], str]
) -> None:
    """A wall clock that doesn't go, or is read too coarsely, would keep a token for ever."""
    connection = system.open()
    assert connection.token() is connection.token()
    system.clock.uptime += EXPIRED

    assert ask(connection) == "token-2"


@pytest.mark.parametrize("back", [1, 60, 600, 3600, 7200])
def test_clock_set_back_does_not_prolong_a_token(
    system: SystemWorld, ask: Callable[[keyturn.Connection], str], back: float
) -> None:
    """A token would be used for hours after its end."""
    connection = system.open()
    _hit(system, connection)
    system.clock.now -= back
    system.clock.advance(EXPIRED)

    assert ask(connection) == "token-2"


def test_stale_token_is_renewed_ahead(system: SystemWorld) -> None:
    """The glance would keep a stale token from being renewed before its end."""
    connection = system.open()
    first = _hit(system, connection)
    system.clock.advance(STALE)

    assert connection.token() is first
    system.land()
    assert connection.token().access_token == "token-2"


def test_glance_ends_with_what_is_held(system: SystemWorld) -> None:
    """A token would be handed out after it was invalidated, or by a closed connection."""
    connection = system.open()
    connection.invalidate(_hit(system, connection))
    second = _hit(system, connection)
    assert second.access_token == "token-2"

    assert connection.token(stale=second).access_token == "token-3"
    connection.close()
    with pytest.raises(errors.ConfigurationError):
        connection.token()


@given(
    lifetime=st.sampled_from([2, 3, 10]),
    steps=st.lists(st.floats(0.001, 0.1), min_size=40, max_size=120),
    at=st.integers(0, 100),
    jump=st.floats(-7200, 7200) | st.floats(-0.3, 0.3),
)
def test_clock_that_jumps_while_at_work_gets_no_expired_token_out(
    lifetime: int, steps: list[float], at: int, jump: float
) -> None:
    """A correction of the clock would have an API refuse requests."""
    with pytest.MonkeyPatch.context() as patch:
        system = SystemWorld(patch)
        ends: dict[str, float] = {}

        def issue(text: str) -> keyturn.plugins.Response:
            ends[text] = system.clock.uptime + lifetime
            fields = {"access_token": text, "token_type": "Bearer", "expires_in": lifetime}
            return system.endpoint.response(200, fields)

        patch.setattr(system.endpoint, "token", issue)
        connection = system.open()
        for number, seconds in enumerate(steps):
            system.clock.advance(seconds)
            system.clock.now += jump if number == at else 0.0
            assert system.clock.uptime < ends[connection.token().access_token]
            system.land()
