"""Servers that delay requests: after a timeout, a host gets one request at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from keyturn import errors
from keyturn._clock import Clock
from keyturn._rate_limit import from_entry
from keyturn._tokens.host_queue import QUEUED, HostQueue
from keyturn._tokens.rate_limiter import SharedBuckets, shared_key
from keyturn.stores._resilient import ResilientStore

if TYPE_CHECKING:
    from tests.conftest import World

    import keyturn


class DelayingServer:
    """A rate limiter that delays requests instead of refusing them: nginx's default `limit_req`.

    Args:
        world: The world whose clock it uses.
        period: Seconds between two responses.
    """

    def __init__(self, world: World, period: float) -> None:
        self.world = world
        self.period = period
        self.free_at = 0.0
        self.abandoned = 0

    def respond(self) -> keyturn.plugins.Response:
        """Return a token when it is this request's turn; the client leaves at its deadline."""
        clock, endpoint = self.world.clock, self.world.endpoint
        turn = max(self.free_at, clock.uptime)
        # The request of a client that has disconnected stays in the queue.
        self.free_at = turn + self.period
        if turn > clock.uptime + endpoint.seconds[-1]:
            self.abandoned += 1
            clock.advance(endpoint.seconds[-1])
            raise errors.EndpointUnavailable("it did not respond in time.")
        clock.advance(turn - clock.uptime)
        return endpoint.token(f"token-{len(endpoint.requests)}")


@pytest.fixture
def server(world: World) -> DelayingServer:
    """Give a server that takes a request every 20 seconds, with 5 queued already."""
    server = DelayingServer(world, 20)
    server.free_at = world.clock.uptime + 5 * 20
    return server


def ask(world: World, server: DelayingServer, **options: float) -> keyturn.Token:
    """Return a token of the server, for a client that only this call uses."""
    world.endpoint.responses = [server.respond] * 9
    client_id = f"client-{len(world.endpoint.requests)}"
    return world.connect(client_id=client_id, token_url=URL, options=options).token()


URL = "https://login.acme.example/token"
KEY = shared_key(URL)


def test_wait_option_also_waits_for_a_response(world: World, server: DelayingServer) -> None:
    """A request that is queued at the server would be abandoned, and lose its place."""
    for _ in range(6):
        assert ask(world, server, wait=150)

    assert server.abandoned == 0
    assert world.clock.uptime == 1_000 + 100 + 5 * 20


def test_timed_out_request_names_the_option(world: World, server: DelayingServer) -> None:
    """A user would look for a network failure."""
    with pytest.raises(errors.EndpointUnavailable) as caught:
        ask(world, server)

    assert caught.value.hint.endswith("raise timeout or wait.")
    assert world.endpoint.seconds == [30]


def test_host_gets_one_request_at_a_time_after_a_timeout(
    world: World, server: DelayingServer
) -> None:
    """Each caller would queue another request behind the abandoned ones."""
    with pytest.raises(errors.EndpointUnavailable):
        ask(world, server)
    in_progress, may_end = threading.Event(), threading.Event()
    refused: list[errors.KeyturnError] = []

    def probe() -> keyturn.plugins.Response:
        in_progress.set()
        assert may_end.wait(20)
        return server.respond()

    world.endpoint.responses = [probe]
    first = world.connect(client_id="first", token_url=URL, options={"wait": 150})
    thread = threading.Thread(target=first.token)
    thread.start()
    assert in_progress.wait(20)
    other = world.connect(client_id="other", token_url=URL)
    sent, before = len(world.endpoint.requests), world.clock.uptime
    try:
        other.token()
    except errors.EndpointUnavailable as error:
        refused.append(error)
    finally:
        may_end.set()
        thread.join(20)

    assert "one request at a time" in refused[0].message
    assert "timeout" in refused[0].hint
    assert len(world.endpoint.requests) == sent
    assert world.clock.uptime - before >= 15  # it waited for its turn
    # When the first request has its token, the next one is sent.
    assert other.token()


def test_another_host_is_not_affected(world: World, server: DelayingServer) -> None:
    """A hanging host would slow down the tenants of another host."""
    with pytest.raises(errors.EndpointUnavailable):
        ask(world, server)
    world.endpoint.responses = []

    assert world.connect(tenant="elsewhere").token()


def is_queued(world: World) -> bool:
    """Return whether the store limits the host to one request at a time."""
    entry = world.store.read(KEY)
    return QUEUED in from_entry(entry) if entry else False


def keep_turn(world: World, seconds: float) -> None:
    """Take the turn for some seconds, as a process that is killed meanwhile."""
    queue = HostQueue(SharedBuckets(ResilientStore(world.store), world.clock.clock, KEY), URL, 30)
    with queue.shared.locked() as buckets:
        queue._keep_turn(buckets, seconds)  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001


def test_prompt_response_ends_the_queue(world: World, server: DelayingServer) -> None:
    """A host that has recovered would get one request at a time for an hour."""
    with pytest.raises(errors.EndpointUnavailable):
        ask(world, server)
    assert is_queued(world)

    assert ask(world, server, timeout=200)  # a response within half of it is prompt
    assert not is_queued(world)


def test_late_response_does_not_end_the_queue(world: World, server: DelayingServer) -> None:
    """All waiting requests would be sent at once, and be queued at the server again."""
    with pytest.raises(errors.EndpointUnavailable):
        ask(world, server)

    assert ask(world, server, timeout=100)
    assert is_queued(world)
    world.endpoint.responses = []
    assert world.connect(client_id="next", token_url=URL).token()
    assert not is_queued(world)


def test_failed_probe_gives_up_its_turn(world: World, server: DelayingServer) -> None:
    """After a refused connection, no request would be sent to the host for minutes."""
    with pytest.raises(errors.EndpointUnavailable):
        ask(world, server)
    sent = len(world.endpoint.requests)
    world.endpoint.responses = [errors.EndpointUnavailable("refused.")] * 3
    with pytest.raises(errors.EndpointUnavailable, match="refused"):
        world.connect(client_id="a", token_url=URL).token()

    assert len(world.endpoint.requests) == sent + 3
    assert world.connect(client_id="b", token_url=URL).token()


def test_turn_of_a_killed_process_expires(world: World, server: DelayingServer) -> None:
    """A process that the system kills would block all others for an hour."""
    with pytest.raises(errors.EndpointUnavailable):
        ask(world, server)
    keep_turn(world, 10)
    world.endpoint.responses = []
    before = world.clock.uptime

    assert world.connect(client_id="next", token_url=URL).token()
    assert 10 <= world.clock.uptime - before < 11


def test_earlier_request_does_not_end_the_turn_of_another(
    world: World, server: DelayingServer
) -> None:
    """After two requests time out together, two requests would be sent at a time."""
    in_progress, may_end = threading.Event(), threading.Event()

    def late() -> keyturn.plugins.Response:
        in_progress.set()
        assert may_end.wait(20)
        world.clock.advance(31)
        raise errors.EndpointUnavailable("it did not respond in time.")

    def first() -> None:
        with pytest.raises(errors.EndpointUnavailable):
            world.connect(client_id="first", token_url=URL).token()

    world.endpoint.responses = [late]
    thread = threading.Thread(target=first)
    thread.start()
    assert in_progress.wait(20)
    with pytest.raises(errors.EndpointUnavailable):
        ask(world, server)
    keep_turn(world, 60)
    may_end.set()
    thread.join(20)
    world.land()
    world.endpoint.responses = []

    # The turn lasts 29 s more, and a caller waits 15 s.
    with pytest.raises(errors.EndpointUnavailable, match="one request at a time"):
        world.connect(client_id="other", token_url=URL).token()


def test_recovered_host_gets_all_waiting_requests(world: World, server: DelayingServer) -> None:
    """The requests of a hundred callers would still be sent one after another."""
    with pytest.raises(errors.EndpointUnavailable):
        ask(world, server)
    keep_turn(world, 60)

    def recover(_: float) -> None:
        world.store.delete(KEY)  # as a prompt response does

    clock = Clock(world.clock.clock.time, world.clock.clock.monotonic, recover)
    queue = HostQueue(SharedBuckets(ResilientStore(world.store), clock, KEY), URL, 30)
    queue.enter(0.0)
    assert not is_queued(world)

    queue.leave(29.0, is_late=False)
    assert not is_queued(world)


def test_many_callers_without_wait_get_their_tokens(world: World) -> None:
    """Callers that retry after each failure would starve, because the queue never gets shorter."""
    server, missing = DelayingServer(world, 20), 6
    # Of six requests at once, two get tokens. Four time out, and stay in the server's queue.
    server.free_at = world.clock.uptime + 4 * 20
    with pytest.raises(errors.EndpointUnavailable):
        ask(world, server)
    while missing:
        try:
            ask(world, server)
        except errors.EndpointUnavailable:
            continue
        missing -= 1

    assert server.abandoned <= 3
    assert world.clock.uptime - 1_000 <= 300
