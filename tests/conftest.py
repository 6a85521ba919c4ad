"""Fixtures of all tests: a neutral environment, a clock, token endpoints, and processes."""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import gc
import inspect
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import trustme
from _pytest.faulthandler import fault_handler_stderr_fd_key
from tests.hidden.traced_threads import trace_threads_in_turn
from tests.reports import FewerReports
from tests.sampling import keep_sample, use_fewer_examples

import keyturn
from keyturn._clock import Clock
from keyturn._connection import Connection, make_connection
from keyturn._http.kept import kept_connections
from keyturn._http.policy import PERMISSIVE, NetworkPolicy
from keyturn._providers.settings import read
from keyturn._tokens import token_request
from keyturn._tokens.options import Options, Specification
from keyturn._tokens.workers import pool
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

# No test depends on a duration, because machines differ in speed.
hypothesis.settings.register_profile("keyturn", deadline=None, max_examples=25)
hypothesis.settings.load_profile("keyturn")

trace_threads_in_turn()

# Most objects of a test are freed when it ends, without the garbage collector.
gc.set_threshold(10_000, 20, 20)

# Modules are compiled once, not again in each of the processes that tests start.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


# The files that take longest, in this order.
SLOWEST = (
    "docs/test_examples.py",
    "conformance/test_builtin.py",
    "threats/test_canary_commands.py",
    "cli/test_new_provider.py",
    "threats/test_adapters.py",
    "conformance/test_broken_by_kind.py",
    "stores/test_every_store.py",
    "core/test_single_flight.py",
    "core/test_plugins.py",
    "conformance/test_platforms_conform.py",
    "platforms/test_platforms.py",
    "threats/test_responses.py",
    "core/test_process_models.py",
    "stores/test_store_conformance.py",
    "integrations/test_redirects.py",
    "threats/test_files_damage.py",
    "core/test_forms.py",
    "threats/test_canary_requests.py",
    "conformance/test_kit_lines_d.py",
    "core/test_rate_limit_processes.py",
    "core/test_description.py",
    "threats/test_keys.py",
    "threats/test_networks.py",
    "registry/test_removal.py",
    "threats/test_files_limits.py",
    "registry/test_many.py",
    "stores_redis/test_redis_store.py",
)


@hypothesis.settings(database=None, max_examples=1)
@hypothesis.given(hypothesis.strategies.text())
def draw_text(_: str) -> None:
    """Draw a string; for the first one, hypothesis makes and stores a table of all characters."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the only switch between a part and all of the tests."""
    about = "of the tests marked `sweep`, run one row in four of each kind; draw fewer examples"
    parser.addoption("--sample", action="store_true", help=about)


def pytest_configure(config: pytest.Config) -> None:
    """Let the processes of a parallel run send fewer reports, unless durations are asked for."""
    if config.option.sample:
        use_fewer_examples()
    if hasattr(config, "workerinput") and config.option.durations is None:
        config.pluginmanager.register(FewerReports)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """In a new checkout, compile the tests before the workers start, and not in each of them."""
    config, tests = session.config, Path(__file__).parent
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    compiled = (tests / "core" / "__pycache__").glob(f"*.{sys.implementation.cache_tag}-pytest-*")
    if not (is_whole and getattr(config.option, "numprocesses", None)) or any(compiled):
        return
    directories = sorted({each.parent for each in tests.glob("*/test_*.py")})
    collect = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "--numprocesses", "0"]
    halves = [
        subprocess.Popen([*collect, *some], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for some in (directories[::2], directories[1::2])
    ]
    for half in halves:
        half.wait()  # the workers report what can't be collected


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Make hypothesis's table once, before the workers need it, instead of once in each worker."""
    if getattr(session.config.option, "numprocesses", None):
        draw_text()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the slowest files, so that no worker runs one of them last while others wait."""
    if config.option.sample:
        keep_sample(config, items)
    places = {Path(__file__).parent / name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path, len(SLOWEST)))


def pytest_collection_finish() -> None:
    """Exclude the collected tests from garbage collection, because they stay until the end."""
    gc.freeze()


# Seconds after the test's own timeout. pytest-timeout's signal ends a test at the timeout, unless
# the interpreter waits in C, or the test catches the signal's exception. Setting this timer waits
# for the end of a thread, so it is not set for each test.
HUNG, HUNG_AGAIN = 90, 10
hung_since = -float("inf")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """End the process of a test that ignores its timeout, and print the stack of each thread."""
    global hung_since  # noqa: PLW0603 - a hook has no object
    stderr = item.config.stash[fault_handler_stderr_fd_key]  # pytest does not capture it
    mark = item.get_closest_marker("timeout")
    if mark or time.monotonic() - hung_since > HUNG_AGAIN:
        hung_since = -float("inf") if mark else time.monotonic()
        seconds = float(mark.args[0] if mark else item.config.getini("timeout"))
        faulthandler.dump_traceback_later(seconds + HUNG + HUNG_AGAIN, exit=True, file=stderr)
    try:
        return (yield)
    finally:
        if nextitem is None:  # the process now waits for other workers
            faulthandler.cancel_dump_traceback_later()


# What the environment of the developer has, users rarely do, and takes half the time of a process.
HIDDEN = Path(__file__).with_name("hidden")
FORKING = Path(__file__).with_name("forking")
FORK_SERVER = pytest.StashKey[str]()
SECRET = "s3cret-for-tests"
# The pause before a token request is sent again: tests make it short where it would take time.
BACKOFF = token_request._BACKOFF  # noqa: SLF001 - a user would wait for it
JSON = {"content-type": "application/json"}


@pytest.fixture(autouse=True, scope="session")
def _neutral_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the developer's settings, stores, keys and proxies out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("KEYTURN_", "SSL_CERT_")) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        home = tmp_path_factory.mktemp("home")
        for kind in ("CACHE", "CONFIG", "DATA"):
            patch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
        patch.setenv("KEYTURN_FINGERPRINT_KEY", "made-up-key-for-tests")
        # Reading certifi's 150 authorities takes 25 ms for each client of an HTTP library.
        authority = tmp_path_factory.mktemp("authority") / "authority.pem"
        trustme.CA().cert_pem.write_to_path(str(authority))
        patch.setenv("SSL_CERT_FILE", str(authority))
        patch.setenv("PYTHONPATH", str(HIDDEN))
        patch.setenv("HYPOTHESIS_NO_PLUGINS", "1")  # trio has one
        patch.setattr(token_request, "_BACKOFF", BACKOFF / 100)
        yield


def for_each(
    names: str | tuple[str, ...], rows: Iterable[Any] | Callable[[], Iterable[Any]]
) -> Callable[[Callable[..., None]], Any]:
    """Run one test with all rows; `parametrize` would make one test for each row.

    This is for many rows that are faster than pytest's work for a test; they share the fixtures.
    Every row is run, and all failures are reported. Rows that take long to make come from a
    function: each process collects all tests, and runs a fifth of them.
    """
    parameters = (names,) if isinstance(names, str) else names
    known = rows if callable(rows) else tuple(rows)
    assert known, "there is no row"

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(test)

        @functools.wraps(test)
        def run(*arguments: Any, **fixtures: Any) -> None:
            failures, number = list[BaseException](), 0
            for number, row in enumerate(known() if callable(known) else known, 1):  # noqa: B007 - used below
                given = dict(
                    zip(parameters, (row,) if isinstance(names, str) else row, strict=True)
                )
                try:
                    test(*arguments, **given, **fixtures)
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - all are reported
                    error.add_note(f"with {given}")
                    failures.append(error)
            assert number, "there is no row"
            if failures:
                raise BaseExceptionGroup(f"of {number} rows", failures)

        rest = [each for name, each in signature.parameters.items() if name not in parameters]
        run.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
        return run

    return decorate


class FakeClock:
    """Clocks that only the test advances; a token's expiry is on the wall clock."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.uptime = 1_000.0
        self.slept: list[float] = []
        self.clock = Clock(time=lambda: self.now, monotonic=lambda: self.uptime, sleep=self.sleep)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.uptime += seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass, and record the seconds."""
        self.slept.append(seconds)
        self.advance(seconds)


class FakeEndpoint:
    """A transport without network: it returns the given responses, or else new tokens."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.requests: list[keyturn.plugins.TokenRequest] = []
        self.seconds: list[float] = []
        self.responses: list[
            keyturn.plugins.Response | BaseException | Callable[[], keyturn.plugins.Response]
        ] = []

    def send(
        self,
        request: keyturn.plugins.TokenRequest,
        seconds: float,
        clock: Clock,
        policy: NetworkPolicy = PERMISSIVE,
    ) -> keyturn.plugins.Response:
        """Return the next response."""
        self.requests.append(request)
        self.seconds.append(seconds)
        response = (
            self.responses.pop(0) if self.responses else self.token(f"token-{len(self.requests)}")
        )
        if isinstance(response, BaseException):
            raise response
        return response if isinstance(response, keyturn.plugins.Response) else response()

    def response(self, status: int, fields: object, **headers: str) -> keyturn.plugins.Response:
        """Return a JSON response of this time; `retry_after` sets the header Retry-After."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return keyturn.plugins.Response(
            status, JSON | named, json.dumps(fields).encode(), self.clock.now
        )

    def token(self, text: str, **fields: object) -> keyturn.plugins.Response:
        """Return a response with a token for an hour, with other or changed fields."""
        usual = {"access_token": text, "token_type": "Bearer", "expires_in": 3600}
        return self.response(200, usual | fields)

    def refuse(self, status: int = 401, code: str = "invalid_client") -> None:
        """Refuse the next token request."""
        self.responses.append(self.response(status, {"error": code}))


class AcmeSettings(keyturn.plugins.ConfidentialSettings):
    """The settings of a platform that doesn't exist."""

    tenant: str = keyturn.plugins.label("Tenant", default="shop")
    scope: tuple[str, ...] | None = keyturn.plugins.setting("Scope", default=None)


class Acme(keyturn.plugins.Provider[AcmeSettings]):
    """A plain RFC 6749 platform that doesn't exist."""

    name = "acme"
    settings = AcmeSettings
    token_url = "https://{tenant}.acme.example/oauth/token"
    api_url = "https://{tenant}.acme.example/api"


class World:
    """Connections without network, with a clock that only the test advances."""

    plain = Acme

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.endpoint = FakeEndpoint(self.clock)
        self.store = MemoryStore(lambda: self.clock.now)

    def connect(
        self,
        provider: str | keyturn.plugins.Provider[Any] = "",
        /,
        *,
        store: object = None,
        name: str | None = None,
        options: dict[str, float] | None = None,
        **settings: Any,
    ) -> Connection:
        """Return a connection to a provider or its name; by default to Acme."""
        if isinstance(provider, str):
            provider = keyturn.provider(provider) if provider else self.plain()
        usual = {"client_id": "cid", "client_secret": SECRET}
        values, problems = read(provider.settings, usual | settings)
        assert values is not None, problems
        return make_connection(
            Specification(provider, values, name=name, options=Options(**options or {})),
            store or self.store,
            clock=self.clock.clock,
            transport=self.endpoint,
        )

    def changed(self, **data: object) -> keyturn.plugins.Provider[Any]:
        """Return Acme with other data or methods."""
        provider: keyturn.plugins.Provider[Any] = type("Changed", (self.plain,), data)()
        return provider

    @staticmethod
    def land() -> None:
        """Wait until no background work is left, for ten seconds at most."""
        end = time.monotonic() + 10
        while pool.get().load():
            assert time.monotonic() < end, "a worker is still busy"
            time.sleep(0.001)


@pytest.fixture
def world() -> Iterator[World]:
    """Give connections without network, with a stopped clock, on which pauses cost nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_request, "_BACKOFF", BACKOFF)
        yield World()


def close_kept_connections() -> None:
    """Close the idle connections to token endpoints that keyturn would keep for some seconds."""
    idle = kept_connections.get()._idle  # noqa: SLF001 - users need no public function for it
    while idle:
        idle.pop().network.close()


@pytest.fixture
def refused_port() -> Iterator[int]:
    """Give a port that refuses connections; it is bound, so that no other test listens there."""
    with socket.socket() as taken:
        taken.bind(("", 0))
        yield taken.getsockname()[1]


class RawServer:
    """A TCP server on loopback; a function of the test handles each connection.

    Args:
        handle: Called with each connection's socket, on a separate thread; exceptions after the
            client has disconnected are ignored.
    """

    def __init__(self, handle: Callable[[socket.socket], None]) -> None:
        self.handle = handle
        self.received: list[bytes] = []
        self.ended = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/token"
        self._start(self._accept)

    def read_request(self, connection: socket.socket) -> bytes:
        """Return the bytes of a complete request, and record them."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._some(connection)
        head, _, _ = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        while len(data) < len(head) + 4 + length:
            data += self._some(connection)
        self.received.append(data)
        return data

    def close(self) -> None:
        """End every connection and thread."""
        self.ended.set()
        # A thread may read from a TLS connection, which closing the sockets here does not end.
        close_kept_connections()
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self.ended.is_set():
            connection, _ = self._listener.accept()
            self._sockets.append(connection)
            self._start(functools.partial(self._serve, connection))

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            self.handle(connection)

    def _start(self, work: Callable[[], None]) -> None:
        def run() -> None:
            with contextlib.suppress(OSError):
                work()

        thread = threading.Thread(target=run, name="raw-server", daemon=True)
        self._threads.append(thread)
        thread.start()

    @staticmethod
    def _some(connection: socket.socket) -> bytes:
        data = connection.recv(65_536)
        if not data:
            raise ConnectionResetError
        return data


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    """Give a function that starts a server on loopback, which ends with the test.

    Its argument is a function that handles a connection, or the bytes of each response.
    """
    servers: list[RawServer] = []

    def start(behaviour: bytes | Callable[[RawServer, socket.socket], None]) -> RawServer:
        def handle(connection: socket.socket) -> None:
            if callable(behaviour):
                behaviour(server, connection)
                return
            server.read_request(connection)
            connection.sendall(behaviour)

        server = RawServer(handle)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def http_response() -> Callable[..., bytes]:
    """Give a function that returns the bytes of an HTTP response."""

    def response(body: bytes | object, status: int = 200, **headers: str) -> bytes:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"content-type": "application/json", "content-length": str(len(content))}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + content

    return response


@pytest.fixture
def token_response(http_response: Callable[..., bytes]) -> bytes:
    """Give the bytes of a response with a token for an hour."""
    return http_response({"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600})


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Give a function that starts a command with text pipes; the command ends with the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(command: Sequence[object], **options: Any) -> subprocess.Popen[str]:
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen([*map(str, command)], text=True, **(pipes | options))
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def fork_server(path: Path) -> Iterator[None]:
    """Run a server at this path that forks processes which have already imported keyturn."""
    # Coverage is measured separately in each forked process, which gets its own variables.
    own = ("COVERAGE", "KEYTURN_")
    variables = {k: v for k, v in os.environ.items() if not k.startswith(own)}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(100)
        server = subprocess.Popen(
            [sys.executable, FORKING / "server.py", str(listener.fileno())],
            env=variables | {"PYTHONPATH": str(HIDDEN)},
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    yield
    server.communicate(timeout=30)  # it ends at the end of its input


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let all processes of a parallel run use one fork server: its imports take half a second."""
    if FORK_SERVER not in node.config.stash:
        ending = contextlib.ExitStack()
        directory = Path(ending.enter_context(tempfile.TemporaryDirectory()))
        ending.enter_context(fork_server(directory / "socket"))
        node.config.add_cleanup(ending.close)
        node.config.stash[FORK_SERVER] = str(directory / "socket")
    node.workerinput["fork_server"] = node.config.stash[FORK_SERVER]


@pytest.fixture(scope="session")
def forking_python(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[object]]:
    """Give a command that replaces `sys.executable`; its processes have already imported keyturn.

    It is for code and modules (`-c` and `-m`) for which Python's startup and imports don't matter.
    """
    shared = getattr(pytestconfig, "workerinput", {}).get("fork_server")
    path = Path(shared) if shared else tmp_path_factory.mktemp("forking") / "socket"
    with contextlib.nullcontext() if shared else fork_server(path):
        yield [sys.executable, "-IS", FORKING / "python.py", path]


def with_variables(variables: dict[str, str | None]) -> dict[str, str]:
    """Return the environment with these variables, and without those that are None."""
    return {k: v for k, v in (os.environ | variables).items() if v is not None}


@pytest.fixture
def python(
    spawn: Callable[..., subprocess.Popen[str]], forking_python: list[object]
) -> Callable[..., subprocess.Popen[str]]:
    """Give a function that starts Python code in a process, which ends with the test.

    The process is forked from one that has imported keyturn; if that matters, use `new_python`.
    """

    def start(code: str, *arguments: object, **environment: str | None) -> subprocess.Popen[str]:
        command = [*forking_python, "-c", code, *arguments]
        return spawn(command, env=with_variables(environment), stdin=subprocess.DEVNULL)

    return start


@pytest.fixture
def new_python(spawn: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.Popen[str]]:
    """Give a function that starts Python code in a new interpreter, which ends with the test."""

    def start(code: str, *arguments: object, **environment: str | None) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, *arguments]
        return spawn(command, env=with_variables(environment), stdin=subprocess.DEVNULL)

    return start


def runner(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """Return a function that runs Python code and returns its output; a failure fails the test."""

    def run(code: str, *arguments: object, **environment: str | None) -> str:
        process = start(code, *arguments, **environment)
        output, trouble = process.communicate(timeout=40)
        assert process.returncode == 0, trouble
        return output.strip()

    return run


@pytest.fixture
def run_python(python: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """Give a function that runs Python code and returns its output; a failure fails the test."""
    return runner(python)


@pytest.fixture
def run_new_python(new_python: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """Give a function that runs Python code in a new interpreter and returns its output."""
    return runner(new_python)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object]], None]:
    """Give a function that waits until a condition is true, for ten seconds at most."""

    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end, "it never came to hold"
            time.sleep(0.005)

    return wait


@pytest.fixture
def redis_url() -> Iterator[str]:
    """Give the URL of an empty server that replaces Redis."""
    from fakeredis import TcpFakeServer  # only some tests need to import it

    server = TcpFakeServer(("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    server.shutdown()
    server.server_close()
    thread.join()
