"""Requests to which an adapter adds the token and the provider's headers."""

from __future__ import annotations

import logging
import traceback
from contextlib import nullcontext
from typing import Any

import pytest
import requests
from tests.conftest import for_each

import keyturn
from keyturn.errors import ForeignOrigin, KeyturnError

CANARY = "made-up-token-canary"


def test_attaches_token_and_provider_headers(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """The API would reject every request, or not know the application."""
    reply = client_class(connect()).send("GET", f"{api.url}/x?a=b")
    headers = api.api_requests[0].headers
    assert (reply.status, api.token_requests) == (200, 1)
    assert headers["authorization"] == f"Bearer {CANARY}-1"
    assert headers["applicationid"] == "1042"


def test_provider_without_headers_sends_authorization_only(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """A provider that needs only `Authorization`, as most do, would get a request without it."""
    given = {"Authorization": "Basic c3RhbGU=", "X-Own": "kept"}
    client_class(connect(application_id=None)).send("GET", api.url, headers=given)
    headers = api.api_requests[0].headers
    assert (headers["authorization"], headers["x-own"]) == (f"Bearer {CANARY}-1", "kept")
    assert "applicationid" not in headers


def test_one_token_serves_many_requests(connect: Any, api: Any, client_class: type[Any]) -> None:
    """Each API request would cost a token request."""
    client = client_class(connect())
    assert [client.send("GET", api.url).status for _ in range(3)] == [200] * 3
    assert api.token_requests == 1


def test_callers_own_headers_are_kept_except_for_authorization(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """A caller's header would be lost, or their outdated `Authorization` would be sent."""
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
def test_accept_header_replaces_the_clients_default_only(
    connect: Any, api: Any, client_class: type[Any], provider: str
) -> None:
    """OroCommerce would select the wrong API type, or the caller's choice would be lost."""
    client = client_class(connect(provider))
    client.send("GET", api.url)
    client.send("GET", api.url, headers={"Accept": "application/json"})
    accepted = [request.headers["accept"] for request in api.api_requests]
    assert accepted == ["application/vnd.api+json", "application/json"]


def test_foreign_host_is_rejected(
    connect: Any, api: Any, elsewhere: Any, client_class: type[Any]
) -> None:
    """A pagination link to another host would take the token there."""
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


@for_each("url", OTHER_ORIGINS)
def test_other_origins_are_rejected(
    connect: Any, api: Any, client_class: type[Any], url: str
) -> None:
    """Another scheme, host or port, or a URL that parsers read differently, would get the token."""
    host = api.url.removeprefix("http://")
    port = host.rpartition(":")[2]
    client = client_class(connect())
    with pytest.raises(ForeignOrigin) as caught:
        client.send("GET", url.format(host=host, port=port, shorter=port[:-1]))
    assert "hidden" not in str(caught.value)
    assert api.requests == []


def test_other_origins_are_rejected_after_a_request_to_the_api(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """An adapter that caches the API's origin could send a later token to another host."""
    host = api.url.removeprefix("http://")
    port = host.rpartition(":")[2]
    client = client_class(connect())
    for url in OTHER_ORIGINS:
        assert client.send("GET", f"{api.url}/x").status == 200
        with pytest.raises(ForeignOrigin):
            client.send("GET", url.format(host=host, port=port, shorter=port[:-1]))
    assert api.token_requests == 1


@pytest.mark.parametrize("before", [0, 1], ids=["first", "later"])
def test_user_information_of_a_url_is_never_sent(
    connect: Any, api: Any, client_class: type[Any], before: int
) -> None:
    """The author of a URL could choose the user that the API sees, or an error would show it."""
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
    """An API below a path could not have pages at other paths of its host."""
    client = client_class(connect(api_url=f"{api.url}/shop/api"))
    assert client.send("GET", f"{api.url.upper()}/other").status == 200


def test_api_address_may_come_from_the_token(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """The URL of an API that only the token contains would not be found."""
    client = client_class(connect("commercelayer", organization=None, api_url=None))
    with pytest.raises(KeyturnError, match=r"Set api_url\."):
        client.send("GET", f"{api.url}/x")
    assert (api.token_requests, api.api_requests) == (1, [])


def test_request_without_a_token_is_not_sent(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """A request would be sent without a token, or the caller would get another library's error."""
    api.token_status = 401
    with pytest.raises(keyturn.errors.InvalidClient):
        client_class(connect()).send("GET", api.url)
    assert api.api_requests == []


def test_token_is_not_in_logs_and_representations(
    connect: Any,
    api: Any,
    client_class: type[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The token would be in DEBUG logs, or in the output of a debugger or a traceback."""
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
    # Only asyncio logs the traffic of aiohttp.
    loggers = {record.name.partition(".")[0] for record in caplog.records}
    assert {"httpcore", "httpcore2", "urllib3", "asyncio", "scrapy"} & loggers
    assert CANARY not in shown


def test_expired_token_is_not_sent_again(connect: Any, api: Any, client_class: type[Any]) -> None:
    """An adapter that has sent a token would send it after its expiry too."""
    connection = connect()
    client = client_class(connection)
    client.send("GET", api.url)
    connection.invalidate(connection.token())
    client.send("GET", api.url)
    sent = [request.headers["authorization"] for request in api.api_requests]
    assert sent == [f"Bearer {CANARY}-1", f"Bearer {CANARY}-2"]


def test_httpx_callers_repeated_header_is_replaced(connect: Any, api: Any, library: Any) -> None:
    """The caller's second `Authorization` header would be sent, or would raise an error."""
    auth = getattr(keyturn.integrations, library.__name__).KeyturnAuth(connect())
    given = [("Authorization", "Basic b25l"), ("authorization", "Basic dHdv")]
    with library.Client(auth=auth) as client:
        client.get(api.url, headers=given)
    assert api.api_requests[0].headers["authorization"] == f"Bearer {CANARY}-1"


def test_requests_hook_and_second_use_of_one_request(connect: Any, api: Any) -> None:
    """A token set by a hook would be replaced, or a response would be read twice."""
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


def test_requests_response_from_a_cache(connect: Any, api: Any) -> None:
    """A transport that replays responses, with its own request class, would fail."""

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
