"""The tests of all adapters, for Scrapy's downloader middleware; each request is a crawl.

`test_scrapy.py` runs this in its own environment.
"""

from __future__ import annotations

import asyncio
import gzip
import pickle
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag

import pytest
from scrapy import Request, Spider
from scrapy.core.downloader.middleware import DownloaderMiddlewareManager
from scrapy.crawler import AsyncCrawlerRunner
from scrapy.exceptions import CannotResolveHostError, IgnoreRequest
from scrapy.http import Response
from scrapy.utils.test import get_crawler
from tests.integrated.shared import MODULES, shared_tests
from tests.integrations import test_api_side, test_request_auth, walkers
from tests.integrations.conftest import CANARY, Client, Reply, Site
from twisted.internet import asyncioreactor
from twisted.web.client import URI

import keyturn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

LOOP = asyncio.new_event_loop()
asyncioreactor.install(LOOP)
globals().update(
    shared_tests(test_api_side, *(each for each in MODULES if each is not test_request_auth))
)

# Scrapy keeps a body in memory, and Twisted resolves names in its own way.
for name in (
    *("test_upload_of_a_stream_returns_its_response", "test_request_is_signed_over_its_parts"),
    "test_api_at_a_forbidden_address_is_not_dialled",
):
    del globals()[name]
MIDDLEWARE = "keyturn.integrations.scrapy.KeyturnMiddleware"
# Must not be found where Scrapy stores requests and responses.
OURS = CANARY.encode(), b"Applicationid"
SETTINGS: dict[str, Any] = {
    "DOWNLOADER_MIDDLEWARES": {MIDDLEWARE: 1000},
    "HTTPERROR_ALLOW_ALL": True,
    "RETRY_ENABLED": False,
    "TELNETCONSOLE_ENABLED": False,
}


@pytest.fixture(scope="session", autouse=True)
def _reactor() -> Iterator[None]:
    """Run the reactor, which a process can start only once, in a thread."""
    from twisted.internet import reactor

    running: Any = reactor
    thread = threading.Thread(target=running.run, args=(False,))
    thread.start()
    yield
    running.callFromThread(running.stop)
    thread.join()


class OneRequest(Spider):
    """Sends requests, and keeps their results."""

    name = "one"

    def __init__(self, requests: list[Request], outcomes: list[Any]) -> None:
        super().__init__()
        self.requests, self.outcomes = requests, outcomes

    async def start(self) -> AsyncIterator[Any]:
        """Send all of them."""
        for each in self.requests:
            yield each.replace(callback=self.keep, errback=self.fail, dont_filter=True)

    def keep(self, response: Any) -> None:
        """Keep a response."""
        self.outcomes.append(response)

    def fail(self, failure: Any) -> None:
        """Keep an error."""
        self.outcomes.append(failure.value)


def crawl(*requests: Request, **settings: Any) -> list[Any]:
    """Run a crawl; return its responses and errors."""
    outcomes: list[Any] = []

    async def run() -> None:
        runner = AsyncCrawlerRunner(SETTINGS | settings)
        await runner.crawl(OneRequest, requests=list(requests), outcomes=outcomes)

    asyncio.run_coroutine_threadsafe(run(), LOOP).result(30)
    return outcomes


class Scrapy(Client):
    """A crawl of one request."""

    name = "scrapy"
    failures = (CannotResolveHostError, IgnoreRequest, ValueError)

    def __init__(self, connection: keyturn.Connection | str) -> None:
        self.auth: Any = SimpleNamespace(connection=connection)

    def send(self, method: str, url: str, *, stream: bool = False, **options: Any) -> Reply:
        """Send a request."""
        meta = {"keyturn_connection": self.auth.connection}
        body = options.pop("content", None)
        (outcome,) = crawl(Request(url, method=method, body=body, meta=meta, **options))
        if isinstance(outcome, Exception):
            raise outcome
        assert CANARY not in f"{outcome.request.headers}{outcome.request.url}{outcome.url}"
        return Reply(outcome.status, outcome.body, outcome.url)


@pytest.fixture(params=[Scrapy], ids=["scrapy"])
def client_class(request: pytest.FixtureRequest) -> type[Client]:
    """Return the only client."""
    return request.param


class Walked(walkers.Walker):
    """Calls the downloader middlewares of a crawl, and records what they would download."""

    adapter = "scrapy"
    failures = IgnoreRequest, ValueError

    def __init__(self) -> None:
        crawler = get_crawler(OneRequest, SETTINGS)
        crawler.spider = OneRequest([], [])
        self._middlewares = DownloaderMiddlewareManager.from_crawler(crawler)

    def auth(self, connection: keyturn.Connection) -> Any:
        """Return the connection, which is set in the request."""
        return connection

    def send(self, auth: Any, method: str, url: str) -> None:
        """Send a request with a body, and follow redirects."""
        request = Request(url, method=method, body=b"body", meta={"keyturn_connection": auth})
        asyncio.run_coroutine_threadsafe(self._follow(request), LOOP).result(30)

    async def _follow(self, request: Request) -> None:
        result: Any = request
        while isinstance(result, Request):
            result = await self._middlewares.download_async(self._download, result)

    async def _download(self, request: Request) -> Response:
        uri = URI.fromBytes(urldefrag(request.url)[0].encode())
        origin = uri.scheme.decode(), uri.host.decode(), uri.port
        items = [
            (name.decode(), b", ".join(each).decode()) for name, each in request.headers.items()
        ]
        step = self.response(walkers.Hop(origin, request.url, walkers.flat(items)))
        return Response(request.url, step.status, {step.header: step.location})


@pytest.fixture(params=[Walked], ids=["scrapy"])
def walker(request: pytest.FixtureRequest) -> walkers.Walker:
    """Return the only client."""
    made: walkers.Walker = request.param()
    return made


@pytest.fixture
def shop(api: Site, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a connection that the environment defines."""
    settings = {
        "provider": "norce-commerce",
        "client": "acme",
        "environment": "stage",
        "client_id": "made-up",
        "client_secret": "s3cret-for-tests",
        "application_id": "1042",
        "token_url": f"{api.url}/token",
        "api_url": api.url,
        "store": "memory://",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"KEYTURN_CONNECTIONS__SHOP__{name.upper()}", value)
    return "shop"


def test_setting_is_for_requests_to_the_api(api: Site, elsewhere: Site, shop: str) -> None:
    """A spider that follows links to other sites would fail at each, or send the token there."""
    off = Request(f"{api.url}/open", meta={"keyturn_connection": None})
    requests = (Request(f"{api.url}/x"), Request(f"{elsewhere.url}/open"), off)
    outcomes = crawl(*requests, KEYTURN_CONNECTION=shop)

    assert [outcome.status for outcome in outcomes] == [200] * 3
    headers = {request.path: request.headers for request in api.api_requests}
    assert headers["/x"]["authorization"] == f"Bearer {CANARY}-1"
    assert "authorization" not in headers["/open"]
    assert not {"authorization", "applicationid"} & elsewhere.requests[0].headers.keys()


def test_a_redirect_of_a_site_into_the_api_carries_no_token(
    api: Site, elsewhere: Site, shop: str
) -> None:
    """A site that a spider visits could choose what is done at the API with the token."""
    start = f"{elsewhere.url}/open/redirect?status=307&to={api.url}/x"
    (outcome,) = crawl(Request(start), KEYTURN_CONNECTION=shop)

    assert (outcome.status, api.token_requests) == (401, 0)


def test_nothing_without_a_connection(api: Site) -> None:
    """A project that lists the middleware for one spider would stop all other spiders."""
    assert [outcome.status for outcome in crawl(Request(f"{api.url}/open"))] == [200]
    assert "authorization" not in api.api_requests[0].headers


def test_parallel_requests_are_renewed_once(api: Site, shop: str) -> None:
    """Each of eight requests with a revoked token would cost a token request."""
    requests = [Request(f"{api.url}/{number}") for number in range(8)]
    middle = Request(f"{api.url}/open", priority=-1)
    usual = api.response

    def response(arrived: Any) -> Any:
        result = usual(arrived)
        if arrived.path == "/0" and api.issued == 1:
            api.forget_tokens()
        return result

    api.response = response  # type: ignore[method-assign]
    outcomes = crawl(*requests, middle, KEYTURN_CONNECTION=shop)

    assert [outcome.status for outcome in outcomes] == [200] * 9
    assert api.token_requests == 2


def test_compressed_error_rejects_the_token(api: Site, connect: Any) -> None:
    """A compressed 401 would not be read, and the token would not be renewed."""
    usual, refused = api.response, [401]

    def response(arrived: Any) -> Any:
        if arrived.path == "/x" and refused:
            refused.clear()
            body = gzip.compress(b'{"errors": [{"code": "INVALID_TOKEN"}]}')
            kind = {"Content-Type": "application/vnd.api+json", "Content-Encoding": "gzip"}
            return 401, kind, body
        return usual(arrived)

    api.response = response  # type: ignore[method-assign]
    meta = {"keyturn_connection": connect("commercelayer")}
    (outcome,) = crawl(Request(f"{api.url}/x", meta=meta))

    assert (outcome.status, api.token_requests) == (200, 2)
    assert "keyturn_is_renewed" not in outcome.meta


def test_disk_holds_no_token(api: Site, shop: str, tmp_path: Path) -> None:
    """The job directory or the HTTP cache would contain tokens in request headers."""
    settings = {
        "KEYTURN_CONNECTION": shop,
        "HTTPCACHE_ENABLED": True,
        "HTTPCACHE_DIR": str(tmp_path / "cache"),
        "JOBDIR": str(tmp_path / "job"),
        "RETRY_ENABLED": True,
        "RETRY_TIMES": 1,
    }
    usual, kept = api.response, []

    def response(arrived: Any) -> Any:
        kept.extend(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        return (503, {}, b"") if arrived.path == "/busy" else usual(arrived)

    api.response = response  # type: ignore[method-assign]
    urls = (f"{api.url}/redirect?status=307&to=/x", f"{api.url}/busy", "http://127.0.0.1:9/")
    crawl(*map(Request, urls), **settings)
    kept.extend(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

    assert any(f"{api.url}/x".encode() in each for each in kept)
    assert not any(ours in each for each in kept for ours in OURS)
    before = len(api.api_requests)
    (cached,) = crawl(Request(urls[0]), **settings)
    assert (cached.status, "cached" in cached.flags) == (200, True)
    assert len(api.api_requests) == before


def test_request_with_a_name_can_be_written(api: Site, shop: str) -> None:
    """A paused crawl would lose its requests when it is resumed."""
    request = Request(f"{api.url}/x", meta={"keyturn_connection": shop})
    copied = pickle.loads(pickle.dumps(request.to_dict()))  # noqa: S301 - pickled here
    (outcome,) = crawl(Request(copied["url"], meta=copied["meta"]))

    assert (outcome.status, copied["meta"]) == (200, {"keyturn_connection": "shop"})


def test_unsent_request_holds_no_token(connect: Any, api: Site) -> None:
    """A failed request, which the spider may log or send again, would contain the token."""
    with Site() as gone:
        url = gone.url
    request = Request(url, meta={"keyturn_connection": connect(api_url=url)})
    failed: list[Request] = []

    class Keeper:
        def process_exception(self, request: Request, exception: Exception) -> None:
            failed.append(request)

    added = {**SETTINGS["DOWNLOADER_MIDDLEWARES"], Keeper: 1}
    (outcome,) = crawl(request, DOWNLOADER_MIDDLEWARES=added)

    assert isinstance(outcome, Exception)
    assert api.token_requests == 1
    assert CANARY not in str(failed[0].headers)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"DOWNLOADER_MIDDLEWARES": {MIDDLEWARE: 800}}, "HttpCacheMiddleware comes after"),
        ({"KEYTURN_CONNECTION": 7}, "not a int"),
    ],
)
def test_invalid_settings_stop_the_crawl(settings: dict[str, Any], problem: str) -> None:
    """The HTTP cache would contain tokens, or all requests would fail without a reason."""
    with pytest.raises(keyturn.errors.ConfigurationError) as caught:
        crawl(Request("http://127.0.0.1:9/"), **settings)

    assert problem in str(caught.value)


def test_other_reactors_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request would fail with an error of asyncio."""
    monkeypatch.setattr("keyturn.integrations.scrapy.is_asyncio_available", lambda: False)
    with pytest.raises(keyturn.errors.ConfigurationError, match="needs asyncio"):
        crawl(Request("http://127.0.0.1:9/"))
