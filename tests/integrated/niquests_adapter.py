"""The tests of all adapters, for niquests' two kinds of session.

niquests installs another urllib3 than requests, so `test_niquests.py` runs this in an environment
of its own.
"""

from __future__ import annotations

import asyncio
import gc
import io
from typing import TYPE_CHECKING, Any

import niquests
import pytest
import requests
from niquests.adapters import AsyncHTTPAdapter, HTTPAdapter
from tests.integrated.shared import shared_tests
from tests.integrations import walkers
from tests.integrations.conftest import Client, Reply

import keyturn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

globals().update(shared_tests())


class Niquests(Client):
    """`niquests.Session`."""

    name = "niquests"
    failures = (niquests.RequestException,)

    def send(self, method: str, url: str, *, stream: bool = False, **options: Any) -> Reply:
        """Send a request."""
        if "content" in options:
            options["data"] = options.pop("content")
        with niquests.Session() as session:
            session.trust_env = False
            session.auth = self.auth
            response = session.request(method, url, stream=stream, timeout=10, **options)
            return Reply(response.status_code, response.content or b"", response.url)


class AsyncNiquests(Client):
    """`niquests.AsyncSession`."""

    name = "niquests"
    failures = (niquests.RequestException,)

    def __init__(self, connection: keyturn.Connection | str) -> None:
        self.auth = keyturn.integrations.niquests.AsyncKeyturnAuth(connection)

    def send(self, method: str, url: str, *, stream: bool = False, **options: Any) -> Reply:
        """Send a request."""
        if "content" in options:
            options["data"] = options.pop("content")

        async def talk() -> Reply:
            async with niquests.AsyncSession() as session:
                session.trust_env = False
                session.auth = self.auth
                response: Any = await session.request(
                    method, url, stream=stream, timeout=10, **options
                )
                body = await response.content if stream else response.content
                return Reply(response.status_code, body or b"", response.url)

        return asyncio.run(talk())

    def upload(self, body: bytes) -> Any:
        """Return a body that can be sent only once."""

        async def chunks() -> Any:
            yield body

        return chunks()


@pytest.fixture(params=[Niquests, AsyncNiquests], ids=["niquests", "niquests-async"])
def client_class(request: pytest.FixtureRequest) -> type[Client]:
    """Return each kind of session."""
    return request.param


class Recorder:
    """Sends nothing, and records the addresses that niquests would connect to."""

    def __init__(self, walker: walkers.Walker) -> None:
        self._walker = walker

    def response(self, request: Any) -> Any:
        """Record a request, and return its response."""
        pool = niquests.packages.urllib3.PoolManager().connection_from_url(request.url)
        origin = pool.scheme, pool.host, pool.port or walkers.PORTS[pool.scheme]
        flat = walkers.flat(request.headers.items())
        step = self._walker.response(walkers.Hop(origin, request.url, flat))
        response = niquests.Response()
        response.url, response.request, response.raw = request.url, request, io.BytesIO()
        response.__dict__["_content"] = b""
        response.status_code = step.status
        response.headers[step.header] = step.location.encode().decode("latin-1")
        return response


class Walked(walkers.Walker):
    """`niquests.Session`."""

    adapter = "niquests"
    failures = niquests.RequestException, ValueError

    def __init__(self) -> None:
        recorder = Recorder(self)

        class Adapter(HTTPAdapter):
            def send(self, request: Any, *_: Any, **__: Any) -> Any:
                response = recorder.response(request)
                response.connection = self
                return response

        self._session = niquests.Session()
        self._session.trust_env = False
        for scheme in walkers.PORTS:
            self._session.mount(f"{scheme}://", Adapter())

    def send(self, auth: Any, method: str, url: str) -> None:
        """Send a request with a body, and follow redirects."""
        self._session.request(method, url, auth=auth, data=b"body")

    def close(self) -> None:
        """Close the session."""
        self._session.close()


class AsyncWalked(walkers.Walker):
    """`niquests.AsyncSession`."""

    adapter = "niquests"
    failures = niquests.RequestException, ValueError

    def __init__(self) -> None:
        recorder = Recorder(self)

        class Adapter(AsyncHTTPAdapter):
            async def send(self, request: Any, *_: Any, **__: Any) -> Any:
                response = recorder.response(request)
                response.connection = self
                return response

        self._runner = asyncio.Runner()
        self._session = niquests.AsyncSession()
        self._session.trust_env = False
        for scheme in walkers.PORTS:
            self._session.mount(f"{scheme}://", Adapter())

    def auth(self, connection: keyturn.Connection) -> Any:
        """Return the client's adapter for a connection."""
        return keyturn.integrations.niquests.AsyncKeyturnAuth(connection)

    def send(self, auth: Any, method: str, url: str) -> None:
        """Send a request with a body, and follow redirects."""
        self._runner.run(self._session.request(method, url, auth=auth, data=b"body"))

    def close(self) -> None:
        """Close session and event loop."""
        self._runner.run(self._session.close())
        self._runner.close()


@pytest.fixture(params=[Walked, AsyncWalked], ids=["niquests", "niquests-async"])
def walker(request: pytest.FixtureRequest) -> Iterator[walkers.Walker]:
    """Return each kind of session."""
    made: walkers.Walker = request.param()
    yield made
    made.close()


# niquests leaves the connection open when a hook raises an error.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_adapter_for_requests_rejects_niquests(connect: Any, api: Any) -> None:
    """The adapter would work until the first 401, and then raise an AttributeError."""
    auth = keyturn.integrations.requests.KeyturnAuth(connect())
    with niquests.Session() as session, pytest.raises(keyturn.errors.ConfigurationError) as caught:
        session.get(api.url, auth=auth)
    assert "is for requests, not for niquests" in str(caught.value)
    assert "named after the client" in str(caught.value)

    async def use(given: Any) -> None:
        async with niquests.AsyncSession() as session:
            await session.get(api.url, auth=given)

    for given in (auth, keyturn.integrations.niquests.KeyturnAuth(connect())):
        with pytest.raises(keyturn.errors.ConfigurationError, match="not for"):
            asyncio.run(use(given))
    gc.collect()


def test_niquests_multiplexed_renews_the_token_and_leaks_nothing(
    connect: Any, api: Any, elsewhere: Any
) -> None:
    """The caller would get the 401 as a lazy response, or its redirect would carry the token."""
    auth = keyturn.integrations.niquests.KeyturnAuth(connect())
    with niquests.Session(multiplexed=True) as session:
        session.auth = auth
        assert session.get(api.url).status_code == 200
        api.forget_tokens()
        assert session.get(api.url).status_code == 200
        target = f"{api.url}/redirect?status=307&to={elsewhere.url}/open"
        assert session.get(target).status_code == 200
    assert "made-up-token-canary" not in str(elsewhere.requests)


class AsyncFile:
    """An asynchronous file, which is read from its current position."""

    def __init__(self, *, can_seek: bool) -> None:
        self.can_seek, self.at, self.content = can_seek, 1, b"-body"

    async def tell(self) -> int:
        """Return the current position."""
        return self.at

    async def seek(self, to: int) -> None:
        """Set the position."""
        if not self.can_seek:
            raise OSError("this is a pipe")
        self.at = to

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunk, self.at = self.content[self.at :], len(self.content)
        yield chunk


@pytest.mark.parametrize(("can_seek", "status"), [(True, 200), (False, 401)])
def test_a_file_of_asyncio_is_sent_again_from_where_it_began(
    can_seek: bool, status: int, connect: Any, api: Any
) -> None:
    """An empty body would be sent again, or a pipe would raise another error."""
    auth = keyturn.integrations.niquests.AsyncKeyturnAuth(connect())

    async def upload() -> Any:
        async with niquests.AsyncSession() as session:
            session.auth = auth
            await session.get(api.url)
            api.forget_tokens()
            return await session.post(f"{api.url}/x", data=AsyncFile(can_seek=can_seek))

    assert asyncio.run(upload()).status_code == status
    assert api.api_requests[-1].body == b"body"


def test_another_library_is_rejected(connect: Any, api: Any) -> None:
    """A session of requests would pass its first 401 to code that can't read it."""
    auth = keyturn.integrations.niquests.KeyturnAuth(connect())
    with (
        requests.Session() as session,
        pytest.raises(keyturn.errors.ConfigurationError, match="is for niquests, not for requests"),
    ):
        session.get(api.url, auth=auth)


def test_a_prepared_request_can_be_sent_twice(connect: Any, api: Any) -> None:
    """It would be handled twice, or a header that the caller replaced would be removed."""
    auth = keyturn.integrations.niquests.KeyturnAuth(connect())
    with niquests.Session() as session:
        prepared = auth(session.prepare_request(niquests.Request("GET", api.url, auth=auth)))
        for _ in range(2):
            assert session.send(prepared).status_code == 200
            api.forget_tokens()
        assert api.token_requests == 2
        prepared.headers["Authorization"] = "Bearer of-the-caller"
        prepared.url = f"{api.url}/x"
        assert prepared.headers["Authorization"] == "Bearer of-the-caller"
