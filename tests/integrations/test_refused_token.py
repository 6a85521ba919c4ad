"""How an adapter handles a 401."""

from __future__ import annotations

import asyncio
import io
import threading
from typing import TYPE_CHECKING, Any

import aiohttp
import requests
import urllib3

import keyturn

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CANARY = "made-up-token-canary"


def test_rejected_token_is_renewed_once(connect: Any, api: Any, client_class: type[Any]) -> None:
    """A revoked token would make every request fail until it expires."""
    client = client_class(connect())
    client.send("GET", api.url)
    api.forget_tokens()
    reply = client.send("POST", f"{api.url}/x", content=b"body")
    assert (reply.status, reply.body, api.token_requests) == (200, b"fine: body", 2)
    first, second = api.api_requests[1:]
    assert (first.headers["authorization"], first.body) == (f"Bearer {CANARY}-1", b"body")
    assert (second.headers["authorization"], second.body) == (f"Bearer {CANARY}-2", b"body")
    assert second.headers["applicationid"] == "1042"


def test_token_of_a_streamed_request_is_renewed_too(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """A download would fail with a 401, where the same request without streaming succeeds."""
    client = client_class(connect())
    client.send("GET", api.url)
    api.forget_tokens()
    assert client.send("GET", api.url, stream=True).body == b"fine: "


def test_api_that_always_rejects_does_not_use_up_the_rate_limit(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """An API that rejects all tokens would use up the token endpoint's rate limit."""
    client = client_class(connect())
    replies = [client.send("GET", f"{api.url}/never") for _ in range(8)]
    assert [reply.status for reply in replies] == [401] * 8
    assert all(b"INVALID_TOKEN" in reply.body for reply in replies)
    assert api.token_requests == 1 + 5
    assert len(api.api_requests) == 8 + 5


def test_missing_permission_renews_nothing(connect: Any, api: Any, client_class: type[Any]) -> None:
    """A missing permission, which a new token does not change, would cost token requests."""
    reply = client_class(connect("commercelayer")).send("GET", f"{api.url}/forbidden")
    assert (reply.status, b"UNAUTHORIZED" in reply.body) == (401, True)
    assert (api.token_requests, len(api.api_requests)) == (1, 1)


def test_same_token_again_returns_the_response(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """A server that returns the same token again would get two useless requests."""
    client = client_class(connect())
    client.send("GET", api.url)
    api.same_token = True
    reply = client.send("GET", f"{api.url}/never")
    assert (reply.status, api.token_requests, len(api.api_requests)) == (401, 2, 2)


def test_failed_renewal_returns_the_response(
    connect: Any, api: Any, client_class: type[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the token endpoint would hide the API's own response."""
    client = client_class(connect(name="shop"))
    client.send("GET", api.url)
    api.forget_tokens()
    api.token_status = 400
    reply = client.send("GET", api.url)
    assert (reply.status, b"INVALID_TOKEN" in reply.body) == (401, True)
    assert "shop: the API refused the token, and no other could be acquired" in caplog.text


def test_failing_token_rejected_returns_the_response(
    connect: Any,
    api: Any,
    client_class: type[Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A plugin's exception would be raised by every request that an API rejects."""

    def judge(*_: object) -> bool:
        message = "hidden"
        raise ZeroDivisionError(message)

    connection = connect(name="shop")
    monkeypatch.setattr(connection.provider, "token_rejected", judge)
    reply = client_class(connection).send("GET", f"{api.url}/never")
    assert (reply.status, b"INVALID_TOKEN" in reply.body, api.token_requests) == (401, True, 1)
    assert "norce-commerce failed with ZeroDivisionError in judge" in caplog.text
    assert "hidden" not in caplog.text


def test_upload_of_a_stream_returns_its_response(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """A body that is used up would raise StreamConsumed, or would be sent empty."""
    client = client_class(connect())
    client.send("GET", api.url)
    api.forget_tokens()
    reply = client.send("POST", f"{api.url}/x", content=client.upload(b"once"))
    assert (reply.status, b"INVALID_TOKEN" in reply.body) == (401, True)
    # The token is renewed for later requests.
    assert (api.token_requests, api.api_requests[-1].body) == (2, b"once")


def test_many_clients_renew_a_token_once(connect: Any, api: Any, client_class: type[Any]) -> None:
    """All requests in progress with the old token would each renew it."""
    connection = connect()
    clients = [client_class(connection) for _ in range(4)]
    clients[0].send("GET", api.url)
    api.forget_tokens()
    replies: list[Any] = []
    threads = [
        threading.Thread(target=lambda client=client: replies.append(client.send("GET", api.url)))
        for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply.status for reply in replies] == [200] * 4
    assert api.token_requests == 2


def test_token_renewed_by_another_process_is_used(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """A token that another process has just renewed would be renewed again."""
    store, client_id = keyturn.stores.from_url("memory://"), "shared"
    first, second = (connect(store=store, client_id=client_id) for _ in range(2))
    clients = [client_class(connection) for connection in (first, second)]
    assert [client.send("GET", api.url).status for client in clients] == [200, 200]
    api.forget_tokens()
    assert [client.send("GET", api.url).status for client in clients] == [200, 200]
    assert api.token_requests == 2


def test_requests_sends_a_file_again(connect: Any, api: Any, tmp_path: Path) -> None:
    """An uploaded file would be empty, or start in the middle, the second time."""
    path = tmp_path / "upload"
    path.write_bytes(b"skipped|sent")
    auth = keyturn.integrations.requests.KeyturnAuth(connect())
    requests.get(api.url, auth=auth, timeout=10)
    api.forget_tokens()
    with path.open("rb") as file:
        file.seek(8)
        reply = requests.post(api.url, data=file, auth=auth, timeout=10)
    assert (reply.status_code, reply.content) == (200, b"fine: sent")
    assert [response.status_code for response in reply.history] == [401]


def test_requests_history_carries_no_token(connect: Any, api: Any) -> None:
    """A cache of responses, which redacts only the last request, would store a valid token."""
    auth = keyturn.integrations.requests.KeyturnAuth(connect("orocommerce"))
    requests.get(api.url, auth=auth, timeout=10)
    api.forget_tokens()
    reply = requests.get(f"{api.url}/x", auth=auth, headers={"X-Own": "kept"}, timeout=10)
    (refused,) = reply.history
    assert refused.request.url == f"{api.url}/x"
    assert refused.request.headers["X-Own"] == "kept"
    assert "made-up-token-canary" not in "".join(map(str.__str__, refused.request.headers.values()))
    assert reply.request.headers["Authorization"] == "Bearer made-up-token-canary-2"


def test_requests_prepared_request_may_be_sent_often(connect: Any, api: Any) -> None:
    """A prepared request that is sent again would keep its first token."""
    auth = keyturn.integrations.requests.KeyturnAuth(connect())
    with requests.Session() as session:
        prepared = session.prepare_request(requests.Request("GET", api.url, auth=auth))
        for _ in range(3):
            assert session.send(prepared).status_code == 200
            api.forget_tokens()
    assert api.token_requests == 3


def test_requests_returns_connections_to_its_pool(connect: Any, api: Any) -> None:
    """Each 401 would leave a connection open."""
    auth = keyturn.integrations.requests.KeyturnAuth(connect())
    with requests.Session() as session:
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=1, pool_block=True)
        session.mount("http://", adapter)
        for _ in range(3):
            with session.get(f"{api.url}/never", auth=auth, stream=True, timeout=5) as reply:
                assert reply.status_code == 401


def test_urllib3_sends_a_file_again(connect: Any, api: Any, tmp_path: Path) -> None:
    """An uploaded file would be empty, or start in the middle, the second time."""
    path = tmp_path / "upload"
    path.write_bytes(b"skipped|sent")
    with keyturn.integrations.urllib3.KeyturnPoolManager(connect()) as manager:
        manager.request("GET", api.url)
        api.forget_tokens()
        with path.open("rb") as file:
            file.seek(8)
            reply = manager.request("POST", api.url, body=file, chunked=True)
    assert (reply.status, reply.data) == (200, b"fine: sent")


def test_urllib3_returns_connections_to_its_pool(connect: Any, api: Any) -> None:
    """Each 401 would block the only connection, or its response could not be read."""
    manager = keyturn.integrations.urllib3.KeyturnPoolManager(
        connect(), maxsize=1, block=True, timeout=5
    )
    with manager:
        for _ in range(3):
            reply = manager.request("GET", f"{api.url}/never", preload_content=False)
            assert (reply.status, reply.reason) == (401, "Unauthorized")
            assert b"".join(reply.stream(5)).startswith(b'{"errors"')
        for decoded in (True, False):
            reply = manager.request(
                "GET", f"{api.url}/never", preload_content=False, decode_content=decoded
            )
            assert b"INVALID_TOKEN" in reply.read()


def test_urllib3_retries_carry_the_token(
    connect: Any, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that urllib3 retries by itself would be sent without a token."""
    usual, statuses = api.response, iter([503])

    def response(arrived: Any) -> Any:
        status = next(statuses, None) if arrived.path == "/x" else None
        return (status, {}, b"") if status else usual(arrived)

    monkeypatch.setattr(api, "response", response)
    retries = urllib3.Retry(3, status_forcelist=[503], backoff_factor=0)
    with keyturn.integrations.urllib3.KeyturnPoolManager(connect(), retries=retries) as manager:
        assert manager.request("GET", f"{api.url}/x", headers=None).status == 200
    sent = [each.headers["authorization"] for each in api.api_requests]
    assert sent == [f"Bearer {CANARY}-1"] * 2


def test_httpx_returns_connections_to_its_pool(connect: Any, api: Any, library: Any) -> None:
    """Each 401 would use up a connection of the pool until none is left."""
    auth = getattr(keyturn.integrations, library.__name__).KeyturnAuth(connect())
    limits = library.Limits(max_connections=1)
    with library.Client(auth=auth, limits=limits, timeout=5) as client:
        for _ in range(3):
            with client.stream("GET", f"{api.url}/never") as reply:
                assert reply.status_code == 401
                assert b"INVALID_TOKEN" in reply.read()


def test_httpx_form_with_files_returns_its_response(connect: Any, api: Any, library: Any) -> None:
    """A file that httpx streams would be sent again without its content."""
    auth = getattr(keyturn.integrations, library.__name__).KeyturnAuth(connect())
    with library.Client(auth=auth) as client:
        client.get(api.url)
        api.forget_tokens()
        reply = client.post(api.url, files={"file": io.BytesIO(b"content")})
    assert (reply.status_code, api.token_requests) == (401, 2)


def test_header_derived_from_the_token_is_renewed_too(
    connect: Any, api: Any, client_class: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second request would carry a header derived from the rejected token."""
    connection = connect()
    monkeypatch.setattr(
        connection.provider,
        "api_request_headers",
        lambda _, token: {"X-Token-Number": token.access_token[-1], "ApplicationId": "1042"},
    )
    client = client_class(connection)
    client.send("GET", api.url)
    api.forget_tokens()
    client.send("GET", api.url, headers={"ApplicationId": "7"})
    sent = [(r.headers["x-token-number"], r.headers["applicationid"]) for r in api.api_requests]
    assert sent == [("1", "1042"), ("1", "7"), ("2", "7")]


def post_with_refused_tokens(
    connection: keyturn.Connection, api: Any, bodies: list[dict[str, Any]]
) -> list[int]:
    """Post bodies with aiohttp, each with a revoked token; return the statuses."""

    async def status(session: aiohttp.ClientSession, body: dict[str, Any]) -> int:
        api.forget_tokens()
        async with session.post(api.url, **body) as response:
            return response.status

    async def talk() -> list[int]:
        auth = keyturn.integrations.aiohttp.KeyturnAuth(connection)
        async with aiohttp.ClientSession(middlewares=[auth]) as session:
            return [await status(session, body) for body in bodies]

    connection.token()
    return asyncio.run(talk())


def test_aiohttp_sends_a_body_in_memory_again(connect: Any, api: Any) -> None:
    """A revoked token would fail a request although it can be sent again."""
    bodies = [{}, {"data": "text"}, {"json": ["value"]}, {"data": {"field": "value"}}]
    assert post_with_refused_tokens(connect(), api, bodies) == [200] * 4
    sent = [request.body for request in api.api_requests]
    assert sent[::2] == sent[1::2] == [b"", b"text", b'["value"]', b"field=value"]


def test_aiohttp_does_not_send_a_file_again(connect: Any, api: Any, tmp_path: Path) -> None:
    """A file that aiohttp has closed would be sent empty, or raise an error."""
    path = tmp_path / "upload"
    path.write_bytes(b"sent")
    form = aiohttp.FormData({"file": io.BytesIO(b"sent")})
    with path.open("rb") as file:
        bodies = [{"data": file}, {"data": form}, {"data": io.BytesIO(b"sent")}]
        assert post_with_refused_tokens(connect(), api, bodies) == [401] * 3
    assert [b"sent" in request.body for request in api.api_requests] == [True] * 3


def test_aiohttp_returns_connections_to_its_pool(connect: Any, api: Any) -> None:
    """Each 401 would use up a connection of the pool until none is left."""
    auth = keyturn.integrations.aiohttp.KeyturnAuth(connect())

    async def talk() -> list[bytes]:
        connector = aiohttp.TCPConnector(limit=1)
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(
            connector=connector, middlewares=[auth], timeout=timeout
        ) as session:
            bodies: list[bytes] = []
            for _ in range(3):
                async with session.get(f"{api.url}/never") as response:
                    assert response.status == 401
                    bodies.append(await response.read())
            return bodies

    assert all(b"INVALID_TOKEN" in body for body in asyncio.run(talk()))
