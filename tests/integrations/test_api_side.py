"""A declared provider: how an API gets the token, and which API responses reject it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.integrations.conftest import Arrived, Site

import keyturn
from keyturn.errors import ConfigurationError
from keyturn.integrations import RequestAuth

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "made-up-token-canary"
TOKEN = f"{CANARY}-1"


class Api(Site):
    """An API that rejects tokens in its own ways.

    Attributes:
        refusal: The status and the code of a response to an invalid token.
    """

    refusal = 403, "TOKEN_EXPIRED"

    def _token(self) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = super()._token()
        fields = json.loads(body) | {"account": {"id": "a/c 7"}}
        return status, headers, json.dumps(fields).encode()

    def response(self, request: Arrived) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body for a request."""
        url = urlsplit(request.path)
        if url.path == "/token":
            return self._token()
        if url.path == "/redirect":
            return 302, {"Location": parse_qs(url.query)["to"][0]}, b""
        sent = f"{parse_qs(url.query)} {request.headers}"
        if any(token in sent for token in self.valid):
            return 200, {"Content-Type": "application/json"}, b'{"fine": true}'
        status, code = self.refusal
        body = json.dumps({"error": {"code": code}}).encode()
        return status, {"Content-Type": "application/json"}, body


@pytest.fixture
def site() -> Iterator[Api]:
    """Yield the API."""
    with Api() as api:
        yield api


def described(site: Api, **data: Any) -> keyturn.Connection:
    """Return a connection to the API of a provider that is declared with these data."""
    description = {
        "name": "acme",
        "token_url": f"{site.url}/token",
        "api_url": site.url,
        "error_field": "error.code",
        **data,
    }
    return keyturn.connect(
        keyturn.plugins.provider_from_data(description),
        {"client_id": "made-up", "client_secret": "s3cret-for-tests"},
        store=keyturn.stores.from_url("memory://"),
    )


def query_of(request: Arrived) -> dict[str, list[str]]:
    """Return the query of a request."""
    return parse_qs(urlsplit(request.path).query)


@pytest.mark.parametrize(
    ("data", "header"),
    [
        ({"authorization_value": "Bearer {client_id}:{token}"}, f"Bearer made-up:{TOKEN}"),
        ({"authorization_value": "Token {token.account.id}.{token}"}, f"Token a/c 7.{TOKEN}"),
        ({"authorization_value": "{token.access_token}"}, TOKEN),
        ({"authorization_header": "Cookie", "authorization_value": "S={token}"}, f"S={TOKEN}"),
    ],
)
def test_header_value_is_made_of_token_and_settings(site: Api, data: Any, header: str) -> None:
    """An API that takes neither a scheme nor the bare token would reject every request."""
    name = data.get("authorization_header", "Authorization")
    with described(site, **data) as connection:
        assert connection.headers() == {name: header}
        shown = connection.explain()

    assert CANARY not in shown


def test_header_value_with_a_missing_part_is_an_error(site: Api) -> None:
    """The API would get an incomplete value, and reject it with a misleading reason."""
    with (
        described(site, authorization_value="{token.account.name} {token}") as connection,
        pytest.raises(ConfigurationError, match=r"needs token\.account\.name"),
    ):
        connection.headers()


@pytest.mark.parametrize("refusal", [(403, "TOKEN_EXPIRED"), (200, "TOKEN_EXPIRED")])
def test_response_with_a_declared_code_renews_the_token(
    site: Api, client_class: type[Any], refusal: tuple[int, str]
) -> None:
    """A token that was revoked would fail every request until it expires."""
    site.refusal = refusal
    with described(site, rejected_codes=["TOKEN_EXPIRED"]) as connection:
        client = client_class(connection)
        client.send("GET", f"{site.url}/x")
        site.forget_tokens()
        assert client.send("GET", f"{site.url}/x", stream=True).body == b'{"fine": true}'
        site.refusal = refusal[0], "NOT_YOURS"
        site.forget_tokens()
        assert b"NOT_YOURS" in client.send("GET", f"{site.url}/x").body

    assert site.token_requests == 2


def test_response_with_a_declared_status_renews_the_token(
    site: Api, client_class: type[Any]
) -> None:
    """A 403 that rejects the token would never renew it."""
    with described(site, rejected_status=[401, 403]) as connection:
        client = client_class(connection)
        client.send("GET", f"{site.url}/x")
        site.forget_tokens()
        assert client.send("GET", f"{site.url}/x").status == 200

    assert site.token_requests == 2


def test_code_in_the_apis_own_field_renews_the_token() -> None:
    """An API with another error format than the token endpoint would reject every request."""
    data = {"rejected_codes": ["110"], "rejected_field": "fault.code"}
    with Api() as site, described(site, **data) as connection:
        auth = RequestAuth(connection)
        sent = auth.authorize("GET", site.url, {})
        kind = {"Content-Type": "application/json"}

        assert auth.reauthorize(sent, 200, kind, b'{"error":"110"}') is None
        assert auth.reauthorize(sent, 200, kind, b'{"fault":{"code":110}}') is not None


def test_large_and_binary_responses_are_not_read() -> None:
    """A large download would be held in memory to search it for an error code."""
    with Api() as site, described(site, rejected_codes=["TOKEN_EXPIRED"]) as connection:
        auth = RequestAuth(connection)
        sent = auth.authorize("GET", site.url, {})
        json_type = {"Content-Type": "application/json"}

        assert auth.needs_body(sent, 200, json_type)
        assert auth.needs_body(sent, 401, {})
        assert not auth.needs_body(sent, 200, {"Content-Type": "video/mp4"})
        assert not auth.needs_body(sent, 200, json_type | {"Content-Length": "1000001"})


def test_token_is_sent_in_the_query(
    site: Api, client_class: type[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The API would get no token or two, or the caller's query would be lost."""
    data = {"authorization_query": "key", "api_query": {"who": "{client_id}"}}
    site.refusal = 401, ""
    with described(site, **data) as connection:
        client = client_class(connection)
        with caplog.at_level(logging.DEBUG):
            logging.getLogger("client").debug("/x?key=%s", TOKEN)
            assert CANARY in caplog.text  # the log does capture tokens
            caplog.clear()
            client.send("GET", f"{site.url}/x?a=b%20c&key=old")
            site.forget_tokens()
            reply = client.send("POST", f"{site.url}/x?a=b", content=b"body")
        assert connection.headers() == {}
        shown = connection.explain()

    assert reply.status == 200
    first, refused, second = site.api_requests
    assert query_of(first) == {"a": ["b c"], "key": [TOKEN], "who": ["made-up"]}
    assert [query_of(each)["key"] for each in (refused, second)] == [[TOKEN], [f"{CANARY}-2"]]
    assert second.body == b"body"
    assert not any(CANARY in str(each.headers) for each in site.api_requests)
    assert CANARY not in caplog.text + shown
    assert "?key=" in shown


def test_redirect_to_another_host_carries_no_token_in_the_query(
    site: Api, client_class: type[Any]
) -> None:
    """Another host would get the token; or the API's own redirect would lack it."""
    with Site() as elsewhere, described(site, authorization_query="key") as connection:
        client = client_class(connection)
        client.send("GET", f"{site.url}/redirect?to={elsewhere.url}/open")
        reply = client.send("GET", f"{site.url}/redirect?to=/x%3Fa%3Db")

    assert reply.status == 200
    assert CANARY not in str(elsewhere.requests)
    assert query_of(site.api_requests[-1]) == {"a": ["b"], "key": [TOKEN]}


def test_request_is_signed_over_its_parts(site: Api, client_class: type[Any]) -> None:
    """An API that checks the signature would reject every request."""
    headers = {"X-Sign": "{request.method} {request.path}?{request.query} {request.body} {token}"}
    with described(site, api_headers=headers) as connection:
        client = client_class(connection)
        client.send("POST", f"{site.url}/x?a=b", content=b"body")
        site.refusal = 401, ""
        site.forget_tokens()
        client.send("GET", f"{site.url}/y")
        assert connection.headers() == {"Authorization": f"Bearer {CANARY}-2"}
        with pytest.raises(ConfigurationError, match="can't be signed"):
            client.send("POST", f"{site.url}/x", content=client.upload(b"body"))

    assert [each.headers["x-sign"] for each in site.api_requests] == [
        f"POST /x?a=b body {TOKEN}",
        f"GET /y?  {TOKEN}",
        f"GET /y?  {CANARY}-2",
    ]


def test_invalid_log_call_raises_nothing(
    site: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake in a client's log call would raise in the caller."""
    logger = logging.getLogger("httpx2")
    monkeypatch.setattr(logger, "propagate", False)  # pytest's handler raises for invalid arguments
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler()])
    with described(site, authorization_query="key") as connection:
        RequestAuth(connection).authorize("GET", f"{site.url}/x", {})
        logger.warning("%d requests", "no")

    assert "Logging error" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"authorization_value": "fixed"}, "authorization_value: must name the token"),
        (
            {"authorization_query": "key", "api_query": {"key": "x"}},
            "api_query: key carries the token",
        ),
        ({"authorization_value": "{tokens}"}, "'{tokens}' names {tokens}"),
        ({"api_headers": {"X": "{request.cookies}"}}, "api_headers: names {request.cookies}"),
        ({"parameters": {"x": "{token}"}}, "names {token}, which is not a setting"),
        ({"rejected_status": [200]}, "rejected_status: must be from 400 to 599"),
        ({"rejected_status": "x"}, "must be an integer or a list of integers"),
    ],
)
def test_invalid_declarations_are_reported(site: Api, data: dict[str, Any], problem: str) -> None:
    """The author would see only an API that rejects all requests."""
    with pytest.raises(ConfigurationError) as caught:
        described(site, **data)

    assert problem in str(caught.value)
