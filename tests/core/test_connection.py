"""The public methods of a connection: a token is returned, renewed, refused or forgotten."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn import errors
from keyturn._clock import Clock
from keyturn._connection import manager_of
from keyturn._tokens.prepared import prepared
from keyturn._tokens.snapshot import EMPTY

if TYPE_CHECKING:
    from tests.conftest import World

UNREACHABLE = errors.EndpointUnavailable("the token endpoint failed: No route to host.")
# A token for an hour: fresh until 225 to 300 s before its end, usable until 5 s before it.
STALE = 3400
EXPIRED = 3596


def test_fresh_token_is_returned_again(world: World) -> None:
    """Every call would send a token request."""
    connection = world.connect()
    first = connection.token()
    world.clock.advance(3299)

    assert connection.token() is first
    assert connection.headers() == {"Authorization": "Bearer token-1"}
    assert len(world.endpoint.requests) == 1


def test_token_has_its_type_scope_and_expiry(world: World) -> None:
    """A caller could not read the token's expiry and scope."""
    token = world.connect(scope="read").token()

    assert (token.access_token, token.token_type, token.scope) == ("token-1", "Bearer", "read")
    assert token.expires_at == world.clock.now + 3600
    assert token.extra == {}


def test_stale_token_is_returned_while_one_renewal_runs(world: World) -> None:
    """Callers would wait for a renewal although a valid token is cached."""
    connection = world.connect()
    first = connection.token()
    world.clock.advance(STALE)
    asked = threading.Event()

    def slow() -> keyturn.plugins.Response:
        assert asked.wait(10)
        return world.endpoint.token("token-2")

    world.endpoint.responses.append(slow)
    assert connection.token() is first
    assert connection.token() is first
    asked.set()
    world.land()
    assert connection.token().access_token == "token-2"
    assert len(world.endpoint.requests) == 2


def test_stale_token_of_the_store_does_not_count_as_renewed(world: World) -> None:
    """A stale token would count as renewed, and be renewed again at once."""
    connection, other = world.connect(), world.connect()
    first = connection.token()
    assert other.token(stale=first).access_token == "token-2"
    world.clock.advance(STALE)

    assert connection.token() is first
    world.land()
    assert connection.token().access_token == "token-3"


def test_expired_token_is_never_returned(world: World) -> None:
    """An API request would fail with a token that keyturn knows to be expired."""
    connection = world.connect()
    connection.token()
    world.clock.advance(EXPIRED)

    assert connection.token().access_token == "token-2"


@pytest.mark.parametrize("back", [60, 600, 3600, 7200])
def test_clock_set_back_does_not_prolong_a_token(world: World, back: float) -> None:
    """A token would be used for hours after its expiry."""
    connection = world.connect()
    connection.token()
    world.clock.now -= back
    world.clock.advance(EXPIRED)

    assert connection.token().access_token == "token-2"


def test_token_issued_in_the_future_is_not_used(world: World) -> None:
    """A stored token would be used beyond its expiry after the clock was set back."""
    world.connect().token()
    world.clock.now -= 7200
    other_process = Clock(time=lambda: world.clock.now, monotonic=lambda: world.clock.uptime + 5)
    world.clock.clock = other_process

    assert world.connect().token().access_token == "token-2"


def test_failing_renewal_of_a_valid_token_is_logged_and_retried_later(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """An outage of the token endpoint would break callers whose token still works."""
    connection = world.connect(name="shop")
    first = connection.token()
    world.clock.advance(STALE)
    world.endpoint.responses += [world.endpoint.response(400, {"error": "invalid_request"})]

    assert connection.token() is first
    world.land()
    assert "shop: the renewal before expiry failed" in caplog.text
    for _ in range(5):
        assert connection.token() is first
        world.land()
    assert len(world.endpoint.requests) == 2

    world.clock.advance(35)
    assert connection.token() is first
    world.land()
    assert connection.token().access_token == "token-3"


def test_failing_renewal_of_an_expired_token_is_raised(world: World) -> None:
    """A caller would get an expired token, or wait forever."""
    connection = world.connect(name="shop")
    connection.token()
    world.clock.advance(EXPIRED)
    world.endpoint.responses += [UNREACHABLE] * 3

    with pytest.raises(errors.EndpointUnavailable, match=r"^shop: .*No route to host"):
        connection.token()
    assert connection.token().access_token == "token-5"


def test_rate_limited_renewal_waits_as_long_as_the_server_asked(world: World) -> None:
    """Renewing a valid token would overload a server that asked for a pause."""
    connection = world.connect()
    first = connection.token()
    world.clock.advance(3301 + 75)
    world.endpoint.responses.append(world.endpoint.response(429, {}, retry_after="40"))
    connection.token()
    world.land()
    for _ in range(39):
        world.clock.advance(1)
        assert connection.token() is first
        world.land()
    assert len(world.endpoint.requests) == 2
    world.clock.advance(20)
    connection.token()
    world.land()
    assert connection.token().access_token == "token-3"


@pytest.mark.parametrize("lifetime", [1, 2, 10, 60, 600])
def test_short_lived_token_is_renewed_shortly_before_its_expiry(
    world: World, lifetime: float
) -> None:
    """A margin longer than the lifetime would renew on every call."""
    connection = world.connect()
    for number in range(1, 20):
        world.endpoint.responses = [world.endpoint.token(f"t-{number}", expires_in=lifetime)]
        token = connection.token()
        world.land()
        assert world.clock.now < token.expires_at
        world.clock.advance(lifetime / 5)

    assert 3 < len(world.endpoint.requests) < 9


def test_token_that_has_expired_already_is_refused(world: World) -> None:
    """A token that expired before it was received would be returned."""

    def expired(*_: object) -> keyturn.Token:
        now = world.clock.now
        return keyturn.Token("late", "Bearer", now, issued_at=now)

    with pytest.raises(errors.InvalidTokenResponse, match="expired already"):
        world.connect(world.changed(read_token=expired)).token()


def test_connections_with_the_same_settings_share_a_token(world: World) -> None:
    """Each object would send its own token request."""
    tokens = {world.connect(name=str(number)).token() for number in range(10)}

    assert len(tokens) == 1
    assert len(world.endpoint.requests) == 1


DIFFERENCES: list[dict[str, Any]] = [
    {},
    {"client_id": "other"},
    {"client_secret": "new s3cret"},
    {"tenant": "other"},
    {"scope": "read"},
    {"scope": "read write"},
    {"token_url": "https://shop.acme.example/oauth/token2"},
]


def test_different_settings_never_share_a_token(world: World) -> None:
    """A caller would use a token with another account's permissions."""
    tokens = [world.connect(**settings).token() for settings in DIFFERENCES]

    assert len({token.access_token for token in tokens}) == len(DIFFERENCES)
    again = [world.connect(**settings).token() for settings in DIFFERENCES]
    assert again == tokens


def test_order_of_scopes_makes_no_difference(world: World) -> None:
    """One account would have several tokens for different orders of the same scopes."""
    world.connect(scope="read write").token()
    world.connect(scope=["write", "read"]).token()

    assert len(world.endpoint.requests) == 1


def test_entry_of_another_key_is_a_miss(world: World) -> None:
    """An attacker who can write to the store could swap two accounts' tokens."""
    one, other = world.connect(client_id="one"), world.connect(client_id="other")
    one.token()
    entry = world.store.read(one.token_request().fingerprint)
    assert entry is not None
    world.store.write(other.token_request().fingerprint, entry, world.clock.now + 3600)

    assert other.token().access_token == "token-2"


def test_token_request_is_the_one_that_would_be_sent(world: World) -> None:
    """The shown request would differ from the request that is sent."""
    connection = world.connect()
    connection.token()

    assert world.endpoint.requests == [connection.token_request()]


def test_stale_argument_renews_only_the_current_token(world: World) -> None:
    """A hundred requests with one bad token would cause a hundred renewals."""
    connection = world.connect()
    first = connection.token()
    second = connection.token(stale=first)

    assert second.access_token == "token-2"
    assert connection.token(stale=first) is second
    assert connection.token() is second
    assert len(world.endpoint.requests) == 2


def test_stale_argument_returns_the_token_that_others_renewed(world: World) -> None:
    """Each process would renew a token although the store already has a newer one."""
    one, other = world.connect(), world.connect()
    first = one.token()
    other.token()
    one.token(stale=first)

    assert other.token(stale=first).access_token == "token-2"
    assert len(world.endpoint.requests) == 2


def test_stale_argument_works_without_a_cached_token(world: World) -> None:
    """A new process would read the refused token from the store again."""
    first = world.connect().token()

    assert world.connect().token(stale=first).access_token == "token-2"


def test_api_that_refuses_every_token_does_not_use_up_the_rate_limit(world: World) -> None:
    """A broken API would cause so many token requests that the server blocks the client."""
    connection = world.connect()
    token = connection.token()
    limited = 0
    for _ in range(100):
        try:
            token = connection.token(stale=token)
        except errors.RateLimited:
            limited += 1
        world.clock.advance(1)

    assert len(world.endpoint.requests) <= 1 + 5 + 100 * 2 / 60 + 1
    assert limited > 90
    with pytest.raises(errors.RateLimited, match="the API keeps refusing new tokens") as caught:
        connection.token(stale=token)
    assert 0 < caught.value.retry_after <= 30


def test_refused_token_of_another_connection_is_never_returned(world: World) -> None:
    """A token of another account, or an expired one, would be sent to this API."""
    connection = world.connect()
    token = connection.token()
    foreign = keyturn.Token("somebody-elses", "Bearer", world.clock.now + 1000)
    with contextlib.suppress(errors.RateLimited):
        for _ in range(10):
            token = connection.token(stale=token)
    assert connection.token(stale=foreign).access_token == token.access_token
    connection.invalidate(token)
    assert connection.token(stale=foreign).access_token not in {
        foreign.access_token,
        token.access_token,
    }


def test_closed_connection_does_nothing(world: World) -> None:
    """A closed connection would continue sending token requests."""
    connection = world.connect()
    connection.close()
    uses = (connection.token, connection.revoke, connection.explain, connection.forget)
    for use in (*uses, lambda: connection.invalidate(keyturn.Token("t0ken", "Bearer", 2e9))):
        with pytest.raises(errors.ConfigurationError, match="the connection is closed"):
            use()
    assert world.endpoint.requests == []


def test_stale_must_be_a_token(world: World) -> None:
    """A string instead of a token would raise an exception that is not a KeyturnError."""
    with pytest.raises(errors.ConfigurationError, match="stale must be a Token"):
        world.connect().token(stale="text")  # type: ignore[arg-type]


def test_token_requests_are_hashable(world: World) -> None:
    """A frozen value could not be kept in a set."""
    one, other = world.connect().token_request(), world.connect().token_request()
    assert {one} == {other}


def test_invalidated_token_is_forgotten_everywhere(world: World) -> None:
    """A refused token would be read from the store again."""
    connection = world.connect()
    first = connection.token()
    connection.invalidate(first)
    second = world.connect().token()
    assert second.access_token == "token-2"
    assert connection.token() == second
    connection.invalidate(first)

    assert connection.token() == second
    assert len(world.endpoint.requests) == 2


def test_current_token_comes_from_memory_or_the_store_and_sends_nothing(world: World) -> None:
    """Reading the current token would send a token request."""
    manager = manager_of(world.connect())
    assert manager.peek() is EMPTY
    first = manager.get().token

    assert manager.peek().token is first
    assert manager_of(world.connect()).peek().token == first
    assert len(world.endpoint.requests) == 1


def test_providers_own_headers_do_not_replace_the_tokens(world: World) -> None:
    """A header of the provider would replace the header that carries the token."""
    own_headers = {"Authorization": "made-up", "X-Shop": "5"}
    connection = world.connect(world.changed(api_request_headers=lambda *_: own_headers))

    assert connection.headers() == {"Authorization": "Bearer token-1", "X-Shop": "5"}


def test_invalidating_a_token_keeps_a_newer_one(world: World) -> None:
    """A newer valid token would be discarded together with the invalid one."""
    connection, other = world.connect(), world.connect()
    first = connection.token()
    second = other.token(stale=first)

    connection.invalidate(first)
    assert world.connect().token() == second
    assert len(world.endpoint.requests) == 2


def test_headers_are_those_of_the_given_token(world: World) -> None:
    """An adapter would send another token than the one it compares after a 401."""
    connection = world.connect()
    first = connection.token()
    connection.token(stale=first)

    headers, _ = prepared(manager_of(connection).acquisition, first)
    assert headers == (("Authorization", "Bearer token-1"),)
    current = connection.headers()
    assert current == {"Authorization": "Bearer token-2"}
    current.clear()
    assert connection.headers() == {"Authorization": "Bearer token-2"}
