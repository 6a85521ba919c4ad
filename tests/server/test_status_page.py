"""The status page and the metrics of `keyturn serve`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from keyturn._server.status_rows import duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx


def row_of(client: httpx.Client, name: str, query: str = "") -> str:
    """Return the page's row of a connection, without HTML tags."""
    page = client.get(f"/?{query}").text
    rows = re.findall(r"<tr>\n<th scope=\"row\">(.*?)</tr>", page, re.DOTALL)
    [found] = [each for each in rows if each.startswith(f"{name}</th>")]
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", found))


def act(client: httpx.Client, action: str, name: str, back: str = "") -> str:
    """Return the notice of the page after a button was used."""
    form = {"action": action, "name": name, "back": back}
    response = client.post("/-/do", data=form, headers={"Origin": str(client.base_url).rstrip("/")})
    assert response.status_code == 303
    page = client.get(f"/{response.headers['location'].removeprefix('../')}").text
    notice = re.search(r'<p class="notice[^>]*>(.*?)</p>', page)
    return notice[1] if notice else ""


def test_page_shows_each_connection(client: httpx.Client, api: Any) -> None:
    """A user could not see which connection has a token, and for how long."""
    assert "no token" in row_of(client, "shop")
    client.get("/shop/v1/echo")
    row = row_of(client, "shop")
    for shown in ("generic", "fresh", "59 min", "a token", "no token existed", "no limit"):
        assert shown in row
    assert not any(token in client.get("/").text for token in api.valid)


def test_page_needs_no_script(client: httpx.Client, served: Any) -> None:
    """A page with scripts, foreign resources or frames could leak the secret."""
    response = client.get("/")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"<script|https?://| on[a-z]+=", response.text)
    assert response.headers["refresh"].startswith("15;")
    assert served.secret not in response.text
    assert "refresh" not in client.get("/?refresh=off").headers


def test_renew_forget_and_revoke_work(client: httpx.Client, api: Any) -> None:
    """The page could not do what the command line does."""
    client.get("/-/token/a")
    issued = api.issued
    assert act(client, "renew", "a") == "a: renewed the token."
    assert api.issued == issued + 1
    assert "the API refused the token" in row_of(client, "a")
    assert act(client, "forget", "a") == "a: discarded the cached token."
    assert "no token" in row_of(client, "a")
    token = client.get("/-/token/a").json()["access_token"]
    assert act(client, "revoke", "a") == "a: revoked the token."
    assert token not in api.valid
    assert "no token" in row_of(client, "a")


def test_unsupported_revocation_is_reported(tmp_path: Path, serve: Callable[..., Any]) -> None:
    """A user would believe that a valid token was revoked."""
    agent = serve(tmp_path / "keyturn.toml", "shop", revocation_url="")
    with agent.client() as client:
        client.get("/-/token/shop")
        message = act(client, "revoke", "shop")
    assert message.startswith("shop: revoke failed: ConfigurationError: shop: ")
    assert "does not support revocation" in message


def test_server_that_issues_the_same_token_again_is_reported(
    client: httpx.Client, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user would believe that the token is a new one."""
    monkeypatch.setattr(api, "new_token", lambda: "made-up-token-0")
    assert act(client, "renew", "b") == "b: the server returned the same token again."


def test_failing_connection_comes_first(client: httpx.Client, api: Any) -> None:
    """A user would have to search for the failure, and could not see what to do."""
    api.token_failure = 400, b'{"error": "invalid_client"}'
    try:
        assert "renew failed: InvalidClient" in act(client, "renew", "h")
    finally:
        api.token_failure = None
    page = client.get("/").text
    assert re.findall(r'<th scope="row">(.*?)</th>', page)[0] == "h"
    assert "1 failing" in page
    row = row_of(client, "h")
    assert "InvalidClient" in row
    assert "client_secret" in row
    assert row_of(client, "h", "state=failing") == row


def test_invalid_actions_are_rejected(client: httpx.Client) -> None:
    """A form could do what no button does, or its response could show that a name is unknown."""
    own = {"Origin": str(client.base_url).rstrip("/")}
    other = {"action": "other", "name": "shop"}
    assert client.post("/-/do", data=other, headers=own).status_code == 400
    unknown = {"action": "renew", "name": "nothing"}
    assert client.post("/-/do", data=unknown, headers=own).status_code == 404


def test_search_and_state_are_in_the_url(client: httpx.Client) -> None:
    """A user could not find one connection among many, or return to the same view."""
    found = client.get("/?q=SHOP+generic").text
    assert re.findall(r'<th scope="row">(.*?)</th>', found) == ["shop"]
    assert "No connection found." in client.get("/?q=nothing").text
    hostile = client.get("/?q=%3Cscript%3E&state=x&page=999999999&refresh=off").text
    assert "<script>" not in hostile
    response = client.post(
        "/-/do",
        data={"action": "forget", "name": "shop", "back": "q=shop&page=2&refresh=off&x=//evil"},
        headers={"Origin": str(client.base_url).rstrip("/")},
    )
    assert re.fullmatch(
        r"\.\./\?q=shop&page=2&refresh=off&notice=\w+", response.headers["location"]
    )


def test_number_of_notices_is_limited(client: httpx.Client) -> None:
    """Old notices would fill the memory."""
    first = client.post("/-/do", data={"action": "forget", "name": "shop"}).headers["location"]
    for _ in range(64):
        client.post("/-/do", data={"action": "forget", "name": "shop"})
    assert 'class="notice' not in client.get(f"/{first.removeprefix('../')}").text


def test_metrics_are_exported(client: httpx.Client) -> None:
    """Prometheus could not read the results of requests and token requests."""
    client.get("/shop/v1/echo")
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in (
        r'keyturn_proxy_requests_total{connection="shop",status="200"} \d',
        r'keyturn_proxy_request_seconds_count{connection="shop"} \d',
        r'keyturn_token_seconds_left{connection="shop",provider="generic"} 3\d\d\d',
        r'keyturn_connection_failing{connection="shop",provider="generic"} 0.0',
        r'keyturn_events_total{connection="shop",error="",kind="token_request",.*reason="cold"} \d',
    ):
        assert re.search(line, response.text)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0 s"),
        (59.9, "59 s"),
        (61, "1 min"),
        (3600, "1 h"),
        (12_000, "3 h 20 min"),
        (86_400, "1 d"),
        (100_000, "1 d 3 h"),
    ],
)
def test_durations_are_in_words(seconds: float, shown: str) -> None:
    """A user would have to convert seconds."""
    assert duration(seconds) == shown


def test_many_connections_are_on_several_pages(tmp_path: Path, serve: Callable[..., Any]) -> None:
    """The page of a platform with many connections would be slow, or too long."""
    names = [f"tenant-{number:04}" for number in range(250)]
    agent = serve(tmp_path / "keyturn.toml", *names, per_minute=60, burst=7)
    with agent.client() as client:
        first = client.get("/").text
        assert first.count('<th scope="row">') == 100
        assert "page 1 of 3" in first
        last = client.get("/?page=3").text
        assert "tenant-0249" in last
        assert "Next page" not in last
        client.get("/-/token/tenant-0123")
        assert "6 of 7" in row_of(client, "tenant-0123", "q=0123")


def test_one_invalid_connection_disables_no_other(
    tmp_path: Path, serve: Callable[..., Any]
) -> None:
    """A connection whose provider is not installed would disable all others."""
    config = tmp_path / "keyturn.toml"
    agent = serve(config, "good", extra='[connections.bad]\nprovider = "not-installed"\n')
    with agent.client() as client:
        assert client.get("/-/token/good").status_code == 200
        assert client.get("/-/token/bad").status_code == 500
        assert "not-installed" in row_of(client, "bad")
