"""The rules of `norce-commerce` and `norce-storm`, from Norce's page on OAuth2 accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import keyturn

if TYPE_CHECKING:
    from tests.conftest import World

COMMERCE: dict[str, Any] = {"client": "acme", "environment": "stage"}
BOTH: list[tuple[str, dict[str, Any]]] = [
    ("norce-commerce", COMMERCE),
    ("norce-storm", {"scope": "lab"}),
]
both = pytest.mark.parametrize(("name", "settings"), BOTH, ids=[name for name, _ in BOTH])


@both
def test_application_id_is_sent_with_api_requests(
    world: World, name: str, settings: dict[str, Any]
) -> None:
    """Norce would refuse every API request."""
    connection = world.connect(name, application_id=1042, **settings)

    assert connection.headers() == {"Authorization": "Bearer token-1", "ApplicationId": "1042"}
    assert world.connect(name, **settings).headers() == {"Authorization": "Bearer token-1"}


@both
def test_application_ids_share_a_token(world: World, name: str, settings: dict[str, Any]) -> None:
    """Each application would use up the three token requests a minute of the whole account."""
    one = world.connect(name, application_id=1, **settings)
    other = world.connect(name, application_id=2, **settings)

    assert one.token_request().fingerprint == other.token_request().fingerprint
    assert one.token() == other.token()
    assert len(world.endpoint.requests) == 1


@pytest.mark.parametrize("wrong", [0, -1, "0", "-1", "1042.0", "0x1", 1.5, True])
def test_application_id_is_a_number_above_0(wrong: object) -> None:
    """A mistyped number would be noticed only when an API request is refused."""
    with pytest.raises(keyturn.errors.ConfigurationError) as caught:
        keyturn.connect(
            "norce-storm", scope="lab", client_id="c", client_secret="s", application_id=wrong
        )

    assert [problem.path for problem in caught.value.problems] == ["application_id"]


@both
def test_token_without_lifetime_has_the_shorter_documented_lifetime(
    world: World, name: str, settings: dict[str, Any]
) -> None:
    """A token that may expire after ten minutes would be used for an hour."""
    world.endpoint.responses.append(world.endpoint.token("t", expires_in=None))
    connection = world.connect(name, **settings)

    assert connection.token().expires_at == world.clock.now + 600


@both
@pytest.mark.parametrize("status", [400, 401])
def test_wrong_secret_is_recognized_by_its_code_at_any_status(
    world: World, name: str, settings: dict[str, Any], status: int
) -> None:
    """A wrong secret would be reported wrongly at status 400 (Norce) or 401 (its test double)."""
    world.endpoint.refuse(status)
    connection = world.connect(name, **settings)

    with pytest.raises(keyturn.errors.InvalidClient) as caught:
        connection.token()
    assert caught.value.status == status
    assert "client_secret" in caught.value.hint


@both
def test_rate_limit_is_three_a_minute_with_a_burst_of_twenty(
    world: World, name: str, settings: dict[str, Any]
) -> None:
    """Norce would respond 429, and block all users of the same IP address."""
    connection = world.connect(name, **settings)
    for _ in range(20):
        connection.forget()
        connection.token()
    connection.forget()

    with pytest.raises(keyturn.errors.RateLimited) as caught:
        connection.token()
    assert caught.value.retry_after == pytest.approx(20)
    assert len(world.endpoint.requests) == 20

    world.clock.advance(20.001)
    assert connection.token().access_token == "token-21"
    connection.forget()
    with pytest.raises(keyturn.errors.RateLimited):
        connection.token()


def test_rate_limit_without_retry_after_pauses_for_one_request(world: World) -> None:
    """A guessed pause would be too short, because Norce documents no Retry-After."""
    world.endpoint.responses.append(
        keyturn.plugins.Response(429, {"content-type": "text/html"}, b"<html>")
    )
    connection = world.connect("norce-storm", scope="lab")

    with pytest.raises(keyturn.errors.RateLimited) as caught:
        connection.token()
    assert caught.value.retry_after == pytest.approx(20)


def test_rate_limit_belongs_to_the_host(world: World) -> None:
    """Two accounts at one host would together exceed its limit for one IP address."""
    for number in range(20):
        world.connect("norce-commerce", **COMMERCE, client_id=f"client-{number}").token()

    with pytest.raises(keyturn.errors.RateLimited):
        world.connect("norce-commerce", **COMMERCE, client_id="one-more").token()
    elsewhere = world.connect("norce-commerce", client="acme", environment="prod")
    assert elsewhere.token().access_token == "token-21"


def test_environments_never_share_a_token(world: World) -> None:
    """A production token would be sent to the staging system, or the reverse."""
    tokens = {
        world.connect("norce-commerce", client="acme", environment=environment).token()
        for environment in ("playground", "stage", "prod")
    }

    assert len(tokens) == 3


def test_scope_in_the_token_is_not_compared(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A valid token would be refused, because Norce's tokens name the environment differently."""
    world.endpoint.responses.append(world.endpoint.token("t", scope="Staging"))
    connection = world.connect("norce-commerce", **COMMERCE, scope="lab")

    assert connection.token().scope == "Staging"
    assert "granted the scope" in caplog.text


API_URLS = [
    ("norce-commerce", {"client": "acme", "environment": "playground"},
     "https://acme.api-se.playground.norce.tech"),
    ("norce-commerce", {"client": "acme", "region": "de", "environment": "prod"},
     "https://acme.api-de.norce.tech"),
    ("norce-commerce", COMMERCE | {"api_url": "https://proxy.example/norce"},
     "https://proxy.example/norce"),
    ("norce-storm", {"scope": "lab"}, "https://api.lab.storm.io"),
    ("norce-storm", {"scope": "production"}, "https://api.storm.io"),
    ("norce-storm", {"scope": "qa", "api_url": "https://api.qa.example"}, "https://api.qa.example"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings", "address"), API_URLS)
def test_api_url_is_derived_from_the_settings(
    world: World, name: str, settings: dict[str, Any], address: str
) -> None:
    """A token of one environment would be sent to the API of another."""
    connection = world.connect(name, **settings)

    assert connection.api_url == address
    assert world.endpoint.requests == []


@pytest.mark.parametrize("scope", ["qa", "lab production"])
def test_undocumented_api_host_must_be_set(world: World, scope: str) -> None:
    """A guessed host would get a token that is not meant for it."""
    connection = world.connect("norce-storm", scope=scope)

    with pytest.raises(keyturn.errors.ConfigurationError, match=r"Set api_url\."):
        _ = connection.api_url


@pytest.mark.parametrize("scope", ["stage", "lab stage", [], ["lab", "LAB"]])
def test_storm_accepts_only_three_environments(scope: object) -> None:
    """A mistyped environment would be noticed only when a token request is refused."""
    with pytest.raises(keyturn.errors.ConfigurationError) as caught:
        keyturn.connect("norce-storm", scope=scope, client_id="c", client_secret="s")

    (problem,) = map(str, caught.value.problems)
    assert problem.startswith("scope: must ")


def test_secret_is_required() -> None:
    """A request without a secret would be refused, and use one of three requests a minute."""
    with pytest.raises(keyturn.errors.ConfigurationError) as caught:
        keyturn.connect("norce-commerce", client="acme", environment="live", client_id="c")

    assert tuple(map(str, caught.value.problems)) == (
        "client_secret: is required",
        "environment: must be one of playground, stage, prod.",
    )


def test_region_too_long_for_its_label_is_named() -> None:
    """The error would name an invalid host instead of the setting."""
    with pytest.raises(keyturn.errors.ConfigurationError) as caught:
        keyturn.connect(
            "norce-commerce", **COMMERCE | {"region": "r" * 60}, client_id="c", client_secret="s"
        )

    assert tuple(map(str, caught.value.problems)) == (
        "region: must be one host label: 1 to 59 of a-z, 0-9 and inner hyphens",
    )
