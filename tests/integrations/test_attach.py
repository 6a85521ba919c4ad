"""To which requests an adapter adds the token and the provider's headers."""

from __future__ import annotations

import logging
import traceback
from contextlib import nullcontext
from typing import Any

import pytest
import requests

import keyturn
from keyturn.errors import ForeignOrigin, KeyturnError

CANARY = "made-up-token-canary"


def test_attaches_token_and_provider_headers(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """Else the API would refuse every request, or not know the application."""
    reply = client_class(connect()).send("GET", f"{api.url}/x?a=b")
    headers = api.api_requests[0].headers
    assert (reply.status, api.token_requests) == (200, 1)
    assert headers["authorization"] == f"Bearer {CANARY}-1"
    assert headers["applicationid"] == "1042"


def test_provider_without_headers_of_its_own(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """Else a provider that needs `Authorization` alone, as most do, would be sent without it."""
    given = {"Authorization": "Basic c3RhbGU=", "X-Own": "kept"}
    client_class(connect(application_id=None)).send("GET", api.url, headers=given)
    headers = api.api_requests[0].headers
    assert (headers["authorization"], headers["x-own"]) == (f"Bearer {CANARY}-1", "kept")
    assert "applicationid" not in headers


def test_one_token_serves_many_requests(connect: Any, api: Any, client_class: type[Any]) -> None:
    """Else each API request would cost a token request."""
    client = client_class(connect())
    assert [client.send("GET", api.url).status for _ in range(3)] == [200] * 3
    assert api.token_requests == 1


def test_callers_own_headers(connect: Any, api: Any, client_class: type[Any]) -> None:
    """Else a caller's choice would be lost, or a stale `Authorization` of theirs kept."""
    given = {
        "authorization": "Basic c3RhbGU=",
        "APPLICATIONID": "7",
        "accept": "text/csv",
        "X-Own": "kept",
    }
    client_class(connect()).send("GET", api.url, headers=given)
    headers = api.api_requests[0].headers
    assert headers["authorization"] == f"Bearer {CANARY}-1"
    chosen = (headers["applicationid"], headers["accept"], headers["x-own"])
    assert chosen == ("7", "text/csv", "kept")


@pytest.mark.parametrize("provider", ["orocommerce", "commercelayer"])
def test_accept_replaces_the_clients_default_only(
    connect: Any, api: Any, client_class: type[Any], provider: str
) -> None:
    """Else OroCommerce would use another API type than the documented one, or the caller's."""
    client = client_class(connect(provider))
    client.send("GET", api.url)
    client.send("GET", api.url, headers={"Accept": "application/json"})
    accepted = [request.headers["accept"] for request in api.api_requests]
    assert accepted == ["application/vnd.api+json", "application/json"]


def test_foreign_host_is_refused(
    connect: Any, api: Any, elsewhere: Any, client_class: type[Any]
) -> None:
    """Else a pagination link to another host would carry the token there."""
    client = client_class(connect(name="shop"))
    with pytest.raises(ForeignOrigin) as caught:
        client.send("GET", f"{elsewhere.url}/page/2?secret=hidden")
    assert elsewhere.url in str(caught.value)
    assert str(caught.value).startswith("shop: ")
    assert "hidden" not in str(caught.value)
    assert api.requests == elsewhere.requests == []


OTHER_ORIGINS = [
    "https://{host}/",
    "http://localhost:{port}/",
    "http://127.0.0.1/",
    "http://127.0.0.1:{shorter}/",
    "http://127.0.0.1.evil.example:{port}/",
    "http://{host}@evil.example/",
    "http://127.0.0.2:{port}/",
    "http://under_score.example/",
]


@pytest.mark.parametrize("url", OTHER_ORIGINS)
def test_other_origins_are_refused(
    connect: Any, api: Any, client_class: type[Any], url: str
) -> None:
    """Else another scheme, host or port, or a confusing address, would get the token."""
    host = api.url.removeprefix("http://")
    port = host.rpartition(":")[2]
    client = client_class(connect())
    with pytest.raises(ForeignOrigin) as caught:
        client.send("GET", url.format(host=host, port=port, shorter=port[:-1]))
    assert "hidden" not in str(caught.value)
    assert api.requests == []


def test_other_origins_are_refused_at_any_time(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """Else what an adapter remembers of a request to the API would let the next one go astray."""
    host = api.url.removeprefix("http://")
    port = host.rpartition(":")[2]
    client = client_class(connect())
    for url in OTHER_ORIGINS:
        assert client.send("GET", f"{api.url}/x").status == 200
        with pytest.raises(ForeignOrigin):
            client.send("GET", url.format(host=host, port=port, shorter=port[:-1]))
    assert api.token_requests == 1


@pytest.mark.parametrize("before", [0, 1], ids=["first", "later"])
def test_user_information_never_goes_along(
    connect: Any, api: Any, client_class: type[Any], before: int
) -> None:
    """Else the URL's author would choose whom the API sees, or an error would show it."""
    client = client_class(connect())
    for _ in range(before):
        client.send("GET", f"{api.url}/x")
    host = api.url.removeprefix("http://")
    refused = pytest.raises(ForeignOrigin) if client.sees_user_information else nullcontext()
    with refused as caught:
        client.send("GET", f"http://user:hidden@{host}/")
    assert "hidden" not in str(caught)
    sent = [request.headers["authorization"] for request in api.api_requests][before:]
    assert sent == ([] if client.sees_user_information else [f"Bearer {CANARY}-1"])


def test_api_address_may_have_a_path(connect: Any, api: Any, client_class: type[Any]) -> None:
    """Else an API below a path could not page through addresses of its own host."""
    client = client_class(connect(api_url=f"{api.url}/shop/api"))
    assert client.send("GET", f"{api.url.upper()}/other").status == 200


def test_address_known_by_the_token_only(connect: Any, api: Any, client_class: type[Any]) -> None:
    """Else an API's URL that only the token contains would not be found, or no error raised."""
    client = client_class(connect("commercelayer", organization=None, api_url=None))
    with pytest.raises(KeyturnError, match=r"Set api_url\."):
        client.send("GET", f"{api.url}/x")
    assert (api.token_requests, api.api_requests) == (1, [])


def test_no_token_no_request(connect: Any, api: Any, client_class: type[Any]) -> None:
    """Else a request would go out without a token, or another error than ours come out."""
    api.token_status = 401
    with pytest.raises(keyturn.errors.InvalidClient):
        client_class(connect()).send("GET", api.url)
    assert api.api_requests == []


def test_token_does_not_show(
    connect: Any,
    api: Any,
    client_class: type[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Else the token would be in logs at DEBUG, or in what a debugger or a traceback prints."""
    client = client_class(connect())
    with caplog.at_level(logging.DEBUG):
        client.send("GET", f"{api.url}/x")
        api.forget_tokens()
        client.send("GET", f"{api.url}/x")
        client.send("GET", f"{api.url}/never")
        with pytest.raises(ForeignOrigin) as caught:
            client.send("GET", "http://127.0.0.1:1/")
    error = "".join(traceback.format_exception(caught.value))
    shown = f"{caplog.text}{client.auth!r}{vars(client.auth)}{error}{caught.value!r}"
    # Only asyncio logs what aiohttp does.
    loggers = {record.name.partition(".")[0] for record in caplog.records}
    assert {"httpcore", "httpcore2", "urllib3", "asyncio", "scrapy"} & loggers
    assert CANARY not in shown


def test_discarded_token_is_not_sent_again(connect: Any, api: Any, client_class: type[Any]) -> None:
    """Else an adapter that has sent a token would send it after its expiry too."""
    connection = connect()
    client = client_class(connection)
    client.send("GET", api.url)
    connection.invalidate(connection.token())
    client.send("GET", api.url)
    sent = [request.headers["authorization"] for request in api.api_requests]
    assert sent == [f"Bearer {CANARY}-1", f"Bearer {CANARY}-2"]


def test_httpx_callers_repeated_header_is_replaced(connect: Any, api: Any, library: Any) -> None:
    """Else the second of two `Authorization` headers of the caller would be sent, or an error."""
    auth = getattr(keyturn.integrations, library.__name__).KeyturnAuth(connect())
    given = [("Authorization", "Basic b25l"), ("authorization", "Basic dHdv")]
    with library.Client(auth=auth) as client:
        client.get(api.url, headers=given)
    assert api.api_requests[0].headers["authorization"] == f"Bearer {CANARY}-1"


def test_requests_hook_and_second_use_on_one_request(connect: Any, api: Any) -> None:
    """Else a token that a hook has replaced would be taken for ours, or a response read twice."""
    auth = keyturn.integrations.requests.KeyturnAuth(connect())
    prepared = requests.Request("GET", api.url, auth=auth).prepare()
    prepared.prepare_auth(auth)
    assert len(prepared.hooks["response"]) == 1
    assert prepared.headers["ApplicationId"] == "1042"
    prepared.headers["Authorization"] = "Basic b3du"
    with requests.Session() as session:
        assert session.send(prepared).status_code == 401
    assert prepared.copy().headers["Authorization"] == "Basic b3du"
    assert api.token_requests == 1


def test_requests_response_out_of_a_cache(connect: Any, api: Any) -> None:
    """Else a transport that replays responses, with its own kind of request, would fail."""

    class Cache(requests.adapters.HTTPAdapter):
        def send(self, *given: Any, **options: Any) -> requests.Response:
            response = super().send(*given, **options)
            response.request = requests.Request("GET", api.url).prepare()
            return response

    auth = keyturn.integrations.requests.KeyturnAuth(connect())
    with requests.Session() as session:
        session.mount("http://", Cache())
        assert session.get(f"{api.url}/never", auth=auth).status_code == 401
    assert api.token_requests == 1
