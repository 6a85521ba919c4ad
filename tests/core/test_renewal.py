"""Refusals, rate limits, budgets and retries: polite, and honest about how long it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import keyturn
from keyturn import errors

if TYPE_CHECKING:
    from tests.conftest import World

UNREACHABLE = errors.EndpointUnavailable("the token endpoint failed: No route to host.")


def test_refusal_is_remembered_for_half_a_minute(world: World) -> None:
    """A wrong secret would hammer the token endpoint."""
    world.endpoint.refuse()
    for _ in range(10):
        with pytest.raises(errors.InvalidClient) as caught:
            world.connect().token()
        world.clock.advance(2.9)
    assert len(world.endpoint.requests) == 1
    assert "asked again in" in caught.value.hint
    assert (caught.value.error, caught.value.status) == ("invalid_client", 401)

    world.clock.advance(2)
    assert world.connect().token().access_token == "token-2"


def test_new_secret_is_not_refused_for_the_old_one(world: World) -> None:
    """Who has mended the secret would still be told that it is wrong."""
    world.endpoint.refuse()
    with pytest.raises(errors.InvalidClient):
        world.connect().token()

    assert world.connect(client_secret="the right one").token().access_token == "token-2"


def test_forgetting_forgets_a_refusal_too(world: World) -> None:
    """Who has mended the account at the provider would have to wait."""
    connection = world.connect()
    world.endpoint.refuse()
    with pytest.raises(errors.InvalidClient):
        connection.token()
    connection.forget()

    assert connection.token().access_token == "token-2"


def test_remembered_refusal_does_not_hide_a_token(world: World) -> None:
    """A token that others obtained meanwhile would not be used."""
    connection = world.connect()
    first = connection.token()
    world.endpoint.refuse()
    with pytest.raises(errors.InvalidClient):
        connection.token(stale=first)
    with pytest.raises(errors.InvalidClient, match="a moment ago"):
        connection.token(stale=first)
    assert len(world.endpoint.requests) == 2


def test_rate_limit_by_the_server_is_obeyed_by_all(world: World) -> None:
    """Another connection would go on asking the host that asked for silence."""
    world.endpoint.answers.append(world.endpoint.answer(429, {}, retry_after="90"))
    with pytest.raises(errors.RateLimited) as caught:
        world.connect().token()
    assert caught.value.retry_after == 90

    world.clock.advance(30)
    with pytest.raises(errors.RateLimited) as caught:
        world.connect(client_id="other").token()
    assert caught.value.retry_after == pytest.approx(60)
    assert len(world.endpoint.requests) == 1
    world.clock.advance(60.01)
    assert world.connect(client_id="other").token().access_token == "token-2"


@pytest.mark.parametrize("asked", [1, 5, 30])
def test_rate_limited_error_names_the_time_after_which_asking_is_sent(
    world: World, asked: int
) -> None:
    """Who waits as long as the error says would be told to wait again."""
    provider = world.changed(budget=keyturn.Budget(per_minute=3, burst=20))
    world.endpoint.answers.append(world.endpoint.answer(429, {}, retry_after=str(asked)))
    connection = world.connect(provider)
    with pytest.raises(errors.RateLimited) as caught:
        connection.token()
    world.clock.advance(caught.value.retry_after + 0.01)

    assert connection.token().access_token == "token-2"


def test_budget_is_kept_before_anything_is_sent(world: World) -> None:
    """The provider's limit would be found by running into it."""
    provider = world.changed(budget=keyturn.Budget(per_minute=6, burst=2))
    connection = world.connect(provider)
    for _ in range(2):
        connection.token()
        connection.forget()

    with pytest.raises(errors.RateLimited, match="no room for a token request now") as caught:
        connection.token()
    assert caught.value.retry_after == pytest.approx(10)
    assert len(world.endpoint.requests) == 2


def test_budget_belongs_to_the_host(world: World) -> None:
    """Thirty connections to one host would send thirty times what it allows."""
    provider = world.changed(budget=keyturn.Budget(per_minute=6, burst=1))
    world.connect(provider, token_url="https://one.example/a").token()

    with pytest.raises(errors.RateLimited):
        world.connect(provider, token_url="https://one.example/b").token()
    assert world.connect(provider, token_url="https://two.example/a").token()


def test_wait_option_waits_for_the_budget(world: World) -> None:
    """A job that would rather wait than fail had to write its own loop."""
    provider = world.changed(budget=keyturn.Budget(per_minute=6, burst=1))
    connection = world.connect(provider, options={"wait": 25.0})
    connection.token()
    connection.forget()

    assert connection.token().access_token == "token-2"
    assert world.clock.slept == [pytest.approx(10)]


def test_wait_option_does_not_wait_longer_than_told(world: World) -> None:
    """A web request would hang for as long as a server likes."""
    connection = world.connect(options={"wait": 25.0})
    world.endpoint.answers.append(world.endpoint.answer(429, {}, retry_after="26"))
    with pytest.raises(errors.RateLimited):
        connection.token()
    with pytest.raises(errors.RateLimited):
        connection.token()

    assert world.clock.slept == []
    assert len(world.endpoint.requests) == 1


@pytest.mark.parametrize("failure", [UNREACHABLE, 500, 503, 408])
def test_passing_failures_are_tried_again(world: World, failure: int | errors.KeyturnError) -> None:
    """A hiccup of the token endpoint would reach every caller."""
    answer = world.endpoint.answer(failure, {}) if isinstance(failure, int) else failure
    world.endpoint.answers += [answer, answer]

    assert world.connect().token().access_token == "token-3"
    assert 0.25 <= world.clock.slept[0] <= 0.5
    assert 0.5 <= world.clock.slept[1] <= 1


def test_retries_come_at_random_moments(world: World) -> None:
    """All the processes that an outage hit would come back at the same moment."""
    for _ in range(5):
        world.endpoint.answers += [UNREACHABLE]
        connection = world.connect()
        connection.token()
        connection.forget()

    assert len(set(world.clock.slept)) == 5


def test_lasting_failure_is_given_up_after_three_attempts(world: World) -> None:
    """A dead token endpoint would be hammered, and the caller kept waiting."""
    world.endpoint.answers += [UNREACHABLE] * 10

    with pytest.raises(errors.EndpointUnavailable):
        world.connect().token()
    assert len(world.endpoint.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 429, 302])
def test_refusals_are_not_tried_again(world: World, status: int) -> None:
    """An answer that cannot change would be asked for three times."""
    world.endpoint.answers += [world.endpoint.answer(status, {})] * 3

    with pytest.raises(errors.KeyturnError):
        world.connect().token()
    assert len(world.endpoint.requests) == 1


def test_retries_stay_within_the_timeout(world: World) -> None:
    """A caller would wait three times as long as it allowed."""

    def hang() -> keyturn.Answer:
        world.clock.advance(9)
        raise UNREACHABLE

    world.endpoint.answers += [hang] * 3
    with pytest.raises(errors.EndpointUnavailable):
        world.connect(options={"timeout": 10.0}).token()

    assert len(world.endpoint.requests) == 2
    assert world.endpoint.seconds[0] == 10
    assert world.endpoint.seconds[1] < 1
