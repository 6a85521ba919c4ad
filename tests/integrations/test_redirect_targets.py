"""For any `Location`, only the API gets keyturn's headers, wherever the client goes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.integrations.locations import steps
from tests.integrations.walkers import WALKERS, Hop, Step, Walker

import keyturn

if TYPE_CHECKING:
    from collections.abc import Iterator

# The number of redirects for each client; KEYTURN_LOCATIONS=20000 runs longer.
COUNT = int(os.environ.get("KEYTURN_LOCATIONS", "150"))
SEED = int(os.environ.get("KEYTURN_SEED", "13"))
OURS = ("made-up-token-canary", "applicationid: 7", "accept: application/vnd.made-up+json")
METHODS = ("GET", "POST", "PUT", "HEAD")


class Plain(keyturn.plugins.Provider[keyturn.plugins.ConfidentialSettings]):
    """A platform with the token in its own header, and two more required headers."""

    name = "plain"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://replaced.example"
    authorization_header = "X-Access-Token"
    authorization_scheme = ""

    def api_request_headers(self, _: Any, __: Any) -> dict[str, str]:
        """Return two more headers."""
        return {"ApplicationId": "7", "Accept": "application/vnd.made-up+json"}


class Usual(Plain):
    """The same platform with the usual header."""

    authorization_header = "Authorization"
    authorization_scheme = "Bearer"


def ours(hop: Hop) -> list[str]:
    """Return which of keyturn's headers are in a request."""
    return [each for each in OURS if each in hop.headers]


@pytest.fixture(params=WALKERS.values(), ids=WALKERS)
def walker(request: pytest.FixtureRequest) -> Iterator[Walker]:
    """Return each client."""
    made: Walker = request.param()
    yield made
    made.close()


def auth_for(walker: Walker, api: Any, provider: Plain, origin: str) -> Any:
    """Return a client's adapter with tokens of the `api` fixture, for an API at an origin."""
    chosen = keyturn.plugins.ConfidentialSettings(
        client_id="made-up",
        client_secret=keyturn.Secret("s3cret-for-tests"),
        token_url=f"{api.url}/token",
        api_url=origin,
    )
    connection = keyturn.Connection(
        provider, chosen, store=keyturn.stores.from_url("memory://"), name="shop"
    )
    return walker.auth(connection)


@pytest.mark.parametrize(
    ("provider", "home"),
    [(Plain(), "localhost:8080"), (Usual(), "127.0.0.1:80")],
    ids=["own header", "usual header"],
)
def test_only_the_api_gets_the_added_headers(
    api: Any, walker: Walker, provider: Plain, home: str
) -> None:
    """A `Location` that the client and keyturn read differently would take the token elsewhere."""
    host, port = home.split(":")
    origin = f"http://{home}".removesuffix(":80")
    auth = auth_for(walker, api, provider, origin)
    reached: set[bool] = set()
    for number, moves in enumerate(steps(SEED, COUNT, home)):
        method = METHODS[number % 4] if number % 3 else "GET"
        url = f"{origin}/first"
        bare = walker.walk(None, method, url, *moves)
        # The request that is sent again after a redirect has an ordinary response.
        sent = walker.walk(auth, method, url, *moves[: len(bare)])
        try:
            check(walker, ("http", host, int(port)), method, bare, sent)
        except AssertionError as error:
            error.add_note(f"seed {SEED}, number {number}: {method} {moves}")
            raise
        reached |= {hop.origin == ("http", host, int(port)) for hop in sent[1:]}
    assert reached == {True, False}
    assert api.token_requests == 1


def check(
    walker: Walker, home: tuple[str, str, int], method: str, bare: list[Hop], sent: list[Hop]
) -> None:
    """Compare a client's requests with an adapter to those without one."""
    assert [hop.origin for hop in sent[: len(bare)]] == [hop.origin for hop in bare]
    assert [hop.url for hop in sent[: len(bare)]] == [hop.url for hop in bare]
    assert ours(sent[0]) == list(OURS)
    has_left, is_plain = False, not walker.follows_bare
    for hop in sent[1 : len(bare)]:
        has_left |= hop.origin != home
        is_plain &= hop.is_plainly_at(home)
        assert not (has_left and ours(hop))
        assert not is_plain or ours(hop) == list(OURS)
    again = sent[len(bare) :]
    at_home = all(hop.is_plainly_at(home) for hop in sent)
    if walker.follows_bare and at_home and len(bare) > 1 and method in {"GET", "HEAD"}:
        assert len(again) == (not walker.has_failed)
    for hop in again:
        assert walker.follows_bare
        assert (hop.origin, hop.url, ours(hop)) == (home, bare[-1].url, list(OURS))


def test_check_finds_a_leak(api: Any, walker: Walker) -> None:
    """The test above would pass even if an adapter leaks the token."""
    home = "http", "localhost", 8080
    auth = auth_for(walker, api, Plain(), "http://localhost:8080")
    moves = Step(307, "/x"), Step(307, "http://evil.example/")
    bare = walker.walk(None, "GET", "http://localhost:8080/", *moves)
    sent = walker.walk(auth, "GET", "http://localhost:8080/", *moves)
    check(walker, home, "GET", bare, sent)
    leak = [*sent[:2], Hop(sent[2].origin, sent[2].url, sent[0].headers)]
    lost = [Hop(sent[0].origin, sent[0].url, sent[2].headers), *sent[1:]]
    for wrong in (leak, lost):
        with pytest.raises(AssertionError):
            check(walker, home, "GET", bare, wrong)
