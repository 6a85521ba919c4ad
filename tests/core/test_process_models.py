"""Process models: forks without Python's hooks, no threads, and stopped processes."""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.core.bare_fork import BARE_FORK
from tests.keys import RSA

import keyturn
from keyturn import errors
from keyturn._http.transport import Transport
from keyturn.plugins import TokenRequest

if TYPE_CHECKING:
    import socket
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RawServer

    RunPython = Callable[..., str]

# The first lines of each process.
BEGIN = f"""{BARE_FORK}
import asyncio, os, resource, sys, threading, time
import keyturn

url, where = sys.argv[1:3]

def connect(store="memory://", client_id="cid", **options):
    return keyturn.connect(
        "orocommerce", url=url, client_id=client_id, client_secret="s3cret-for-tests",
        store=store, **options,
    )

forked = threading.Event()

def in_child(fork, work):
    "Return the exit status of a child that does this work, ended when it hangs."
    child = fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    forked.set()
    for _ in range(2000):
        if (done := os.waitpid(child, os.WNOHANG))[0]:
            return done[1]
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "hangs"
"""


class Endpoint:
    """A token endpoint with a new token for each request; the first few wait until released.

    Args:
        serve: Starts a server.
        http_response: Makes a response.
        held: How many requests wait until they are released.
    """

    def __init__(
        self, serve: Callable[..., RawServer], http_response: Callable[..., bytes], held: int = 0
    ) -> None:
        self.released, self.reached = threading.Event(), threading.Semaphore(0)
        self.lifetime, self._number, self._held = 3600, 0, held
        self._lock, self._response = threading.Lock(), http_response
        self.server = serve(self._handle)
        self.url = self.server.url.removesuffix("/token")

    @property
    def requests(self) -> int:
        """The number of token requests received."""
        return self._number

    def _handle(self, server: RawServer, connection: socket.socket) -> None:
        while True:
            server.read_request(connection)
            with self._lock:
                self._number += 1
                number = self._number
            self.reached.release()
            if number <= self._held:
                self.released.wait(20)
            token = {"access_token": f"token-{number}", "token_type": "Bearer"}
            connection.sendall(self._response(token | {"expires_in": self.lifetime}))


@pytest.fixture
def endpoint(
    serve: Callable[..., RawServer], http_response: Callable[..., bytes]
) -> Callable[..., Endpoint]:
    """Give a function that starts a token endpoint."""

    def start(held: int = 0) -> Endpoint:
        return Endpoint(serve, http_response, held)

    return start


FORKS = (
    BEGIN
    + """
def child():
    for connection in connections:
        assert connection.token().access_token
    # What the parent's threads were doing hinders none of these either.
    assert asyncio.run(connect(client_id="another").atoken()).access_token
    tenants.open("new", "orocommerce", dict(url=url, client_id="new", client_secret="x"))
    tenants.close("new")
    memory.write("b", "entry", float("inf"))
    with memory.lock("a", 5), disk.lock("b", 5):
        assert disk.read("a") == "entry"

stores = ["memory://", f"disk://{where}"]
connections = [connect(store, client_id=f"c{number}") for number, store in enumerate(stores)]
tenants = keyturn.Connections(store="memory://", policy=keyturn.NetworkPolicy(
    private_addresses=True, loopback=True, address_settings=True))
memory, disk = (keyturn.stores.from_url(store) for store in stores)
disk.write("a", "entry", float("inf"))
threads = [threading.Thread(target=each.token, daemon=True) for each in connections]
for thread in threads:
    thread.start()
print("asked", flush=True)
sys.stdin.readline()
fork = bare_fork if sys.argv[3] == "bare" else os.fork
# All of the parent's locks are held, by threads that a child does not have.
held = threading.Semaphore(0)
def hold(lock):
    with lock:
        held.release()
        forked.wait(20)
from keyturn._common import once
from keyturn._http.kept import kept_connections
from keyturn._tokens.single_flight import _state
locks = [memory.lock("a", 30), tenants._lock.get(), memory._locks.get()[0],
         kept_connections.get()._lock, _state.get().lock, _state.get().workers._lock]
if fork is bare_fork:  # a fork with hooks waits for these
    from keyturn.stores import _disk
    locks += [once.importing, _disk._mutex.get()]
for lock in locks:
    threading.Thread(target=hold, args=[lock], daemon=True).start()
    held.acquire()
print(in_child(fork, child), flush=True)
sys.stdin.readline()
for thread in threads:
    thread.join()
print(*(each.token().access_token for each in connections))
"""
)


def line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    """Continue a process that waits for input."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.parametrize("kind", ["bare", "hooks"])
def test_child_forked_during_token_requests_gets_its_own_tokens(
    endpoint: Callable[..., Endpoint],
    spawn: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    kind: str,
) -> None:
    """A uWSGI worker that is forked during a token request of its master would get no token."""
    server = endpoint(held=2)
    process = spawn([sys.executable, "-c", FORKS, server.url, tmp_path / "store", kind])
    assert line(process) == "asked"
    for _ in range(2):
        assert server.reached.acquire(timeout=20)
    # The parent holds the disk store's lock until it has its token, as it should.
    threading.Timer(0.2, server.released.set).start()
    go_on(process)
    assert (line(process), process.poll()) == ("0", None), process.communicate()
    go_on(process)
    assert len(line(process).split()) == 2
    # Two requests of the parent; two of the child: for the memory store, and its own.
    assert server.requests == 4


DATABASE = """
import gc, sqlite3
from keyturn.stores import _disk

store = keyturn.stores.from_url(f"disk://{where}")
for number in range(50):
    store.write(f"k{number}", "old" * 1000, float("inf"))
connection = _disk._open.get()[store]._con
connection.execute("PRAGMA cache_size = 2")  # it writes pages before the end of a transaction
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE Cache SET value = replace(value, 'old', 'new')")

def child():
    globals().pop("connection")
    _disk._open.get()
    gc.collect()

print(in_child(bare_fork, child))
connection.execute("COMMIT")
print({store.read(f"k{number}")[:3] for number in range(50)})
store.close()
print(sqlite3.connect(f"{where}/cache.db").execute("PRAGMA integrity_check").fetchone()[0])
"""


def test_child_does_not_use_its_parents_database_connection(
    run_new_python: RunPython, tmp_path: Path
) -> None:
    """A child would roll back its parent's transaction, and damage the store."""
    printed = run_new_python(BEGIN + DATABASE, "http://127.0.0.1:9", tmp_path / "store")
    assert printed.split("\n") == ["0", "{'new'}", "ok"]


CHANCE = (
    BEGIN
    + """
import random
connection = connect()
connection.token()
fresh = connection._manager.snapshot
def child():
    connection._now = connection._manager.now = lambda: fresh.fresh_until + 1
    connection.token()
    os.write(write, b"%r\\n" % connection._manager.snapshot.fresh_until)
read, write = os.pipe()
print([in_child(bare_fork, child) for _ in range(2)])
first, second = os.read(read, 1000).split()
print(first != second)
"""
)


def test_children_do_not_renew_at_the_same_moment(
    endpoint: Callable[..., Endpoint], run_new_python: RunPython, tmp_path: Path
) -> None:
    """Workers of one master, which inherit its random numbers, would all renew at once."""
    printed = run_new_python(CHANCE.replace("%r", "%a"), endpoint().url, tmp_path)
    assert printed.split("\n") == ["[0, 0]", "True"]


FORK_IN_A_THREAD = (
    BEGIN
    + """
import multiprocessing, subprocess
connection = connect(f"disk://{where}")
first = threading.Thread(target=connection.token)
first.start()
print("asked", flush=True)
sys.stdin.readline()
statuses = []
def fork():
    statuses.append(in_child(os.fork, lambda: connect(client_id="other").token()))
thread = threading.Thread(target=fork)
thread.start()
thread.join()
child = multiprocessing.get_context("fork").Process(target=lambda: connection.token())
child.start()
command = [sys.executable, "-c", sys.argv[3], url, where]
spawned = os.posix_spawn(sys.executable, command, os.environ)
print("forked", flush=True)
sys.stdin.readline()
first.join()
child.join()
print(*statuses, child.exitcode, os.waitpid(spawned, 0)[1])
"""
)


def test_fork_in_a_thread_during_a_request(
    endpoint: Callable[..., Endpoint], spawn: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """A program that forks or starts a process during a token request would hang."""
    server = endpoint(held=1)
    asks = BEGIN + 'print(connect(f"disk://{where}").token().access_token)'
    process = spawn([sys.executable, "-c", FORK_IN_A_THREAD, server.url, tmp_path / "store", asks])
    assert line(process) == "asked"
    assert server.reached.acquire(timeout=20)
    go_on(process)
    assert line(process) == "forked", process.communicate()
    server.released.set()
    go_on(process)
    # The output of the spawned program comes first.
    assert sorted([line(process), line(process)]) == ["0 0 0", "token-1"]
    assert server.requests == 2


STARTS = """
import multiprocessing, sys
import keyturn

def ask(url, results):
    with keyturn.connect(
        "orocommerce", url=url, client_id="cid", client_secret="x", store="memory://"
    ) as connection:
        results.put(connection.token().access_token)

if __name__ == "__main__":
    with keyturn.connect("orocommerce", url=sys.argv[1], client_id="cid", client_secret="x",
                         store="memory://") as connection:
        connection.token()
        for method in ("spawn", "forkserver"):
            context = multiprocessing.get_context(method)
            results = context.SimpleQueue()
            child = context.Process(target=ask, args=(sys.argv[1], results))
            child.start()
            print(results.get())
            child.join()
        try:
            context.Process(target=print, args=(connection,)).start()
        except TypeError as error:
            print(error)
"""


def test_multiprocessing_spawn_and_forkserver(
    endpoint: Callable[..., Endpoint], run_new_python: RunPython, tmp_path: Path
) -> None:
    """A child of `multiprocessing` would get no token, or an unclear error."""
    script = tmp_path / "starts.py"
    script.write_text(STARTS)
    code = "import runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    printed = run_new_python(code, script, endpoint().url).split("\n")
    assert printed[:2] == ["token-2", "token-3"]
    assert "call keyturn.connect in each process" in printed[2]


NO_THREADS = (
    BEGIN
    + """
import httpx
from keyturn.integrations.httpx import KeyturnAuth
from keyturn._tokens.single_flight import finish_workers

# As another user, for whom the limit holds, it may import no more.
connect(client_id="first").token()
finish_workers()
if os.geteuid() == 0:
    os.setuid(54321)
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
try:
    threading.Thread(target=print).start()
except RuntimeError:
    print("no thread")
connection = connect()
print(connection.token().access_token)
print(asyncio.run(connect(client_id="other").atoken()).access_token)
snapshot = connection._manager.snapshot
connection._now = connection._manager.now = lambda: snapshot.fresh_until + 1
print(connection.token().access_token)  # stale: it is renewed
print(connection.token().access_token)
request = httpx.Request("GET", f"{url}/api/x")
sent = next(KeyturnAuth(connect(client_id="third")).sync_auth_flow(request))
print(sent.headers["authorization"])
async def flow():
    sent = await anext(KeyturnAuth(connect(client_id="fourth")).async_auth_flow(request))
    print(sent.headers["authorization"])
asyncio.run(flow())
"""
)


def test_token_without_a_second_thread(
    endpoint: Callable[..., Endpoint], run_new_python: RunPython, tmp_path: Path
) -> None:
    """Where the system allows only one thread, no caller would get a token."""
    printed = run_new_python(NO_THREADS, endpoint().url, tmp_path).split("\n")
    assert printed[:3] == ["no thread", "token-2", "token-3"]
    assert printed[3:5] == ["token-2", "token-4"]
    assert [each[:13] for each in printed[5:]] == ["Bearer token-"] * 2


AT_EXIT = (
    BEGIN
    + """
import atexit
def ask(number):
    connection = connect(client_id=f"late-{number}")
    print(connection.token().access_token)
    print(asyncio.run(connect(client_id=f"later-{number}").atoken()).access_token, flush=True)
connect().token() if sys.argv[3] == "used" else None
atexit.register(ask, 2)
"""
)
EARLY = "import atexit\natexit.register(lambda: ask(1))\n"


@pytest.mark.parametrize("state", ["used", "unused"])
def test_token_at_interpreter_shutdown(
    endpoint: Callable[..., Endpoint], run_new_python: RunPython, tmp_path: Path, state: str
) -> None:
    """An exit handler would get no token, because Python 3.12 starts no thread at shutdown."""
    server = endpoint()
    # The first is called after keyturn's own exit handler, because it was registered before.
    assert len(run_new_python(EARLY + AT_EXIT, server.url, tmp_path, state).split()) == 4
    assert server.requests == 4 + (state == "used")


def _pem(key: Any) -> str:
    encoded: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return encoded.decode()


KEYS = (
    _pem(RSA),
    _pem(ec.generate_private_key(ec.SECP256R1())),
)
# A connection for each kind of data whose modules few providers need.
KINDS = (
    BEGIN
    + """
key, curve_key = sys.argv[3:]
secret = {"client_id": "cid", "client_secret": "s3cret-for-tests-of-at-least-32-bytes"}
jwt = {"client_authentication": "private_key_jwt"}
signed = {"template": "{client_id}", "digest": "sha256", "signing_key": "{private_key}"}
times = {each: {"time": each} for each in ("http_date", "rfc3339", "epoch")}
names = {f"X-{each}": f"{{{each}}}" for each in times}
kinds = {
    "basic": ({"client_authentication": "client_secret_basic"}, secret),
    "secret-jwt": ({"client_authentication": "client_secret_jwt"}, secret),
    "key-jwt": (jwt, {"client_id": "cid", "private_key": key}),
    "curve-jwt": (
        {**jwt, "assertion_algorithm": "ES256"}, {"client_id": "cid", "private_key": curve_key}
    ),
    "named-jwt": (
        {**jwt, "parameters": {"client_assertion": "{assertion}"}},
        {"client_id": "cid", "private_key": key},
    ),
    "signed": (
        {**jwt, "values": {"sig": signed}, "token_headers": {"X-Sig": "{sig}"}},
        {"client_id": "cid", "private_key": key},
    ),
    "times": ({"values": times, "token_headers": names}, secret),
    "random": ({"token_headers": {"X-Id": "{uuid}"}}, secret),
    "json": ({"body_format": "json", "parameters": {"x": {"a": "{client_id}"}}}, secret),
    "api": ({"values": {"id": {"template": "{uuid}"}}, "api_headers": {"X-Id": "{id}"}}, secret),
    "query": ({"api_query": {"id": "{client_id}"}}, secret),
    "steps": (
        {
            "previous": {"token_url": f"{url}/first"},
            "parameters": {"first": "{previous.access_token}"},
        },
        secret,
    ),
}
connections = {
    name: keyturn.connect(
        keyturn.plugins.provider_from_data({"name": name, "token_url": f"{url}/token", **data}),
        settings, store="memory://", rate_limit="none",
    )
    for name, (data, settings) in kinds.items()
}
"""
)
FINALIZING = (
    KINDS
    + """
class Farewell:
    def __init__(self, connection):
        self.connection = connection
        self.connection.headers()
        self.connection.forget()
    def __del__(self):
        try:
            self.connection.headers()
        except BaseException as error:
            print(error, flush=True)
        else:
            print("token", flush=True)
farewells = [*map(Farewell, connections.values())]
"""
)


def test_token_while_the_interpreter_clears_its_modules(
    endpoint: Callable[..., Endpoint], run_new_python: RunPython, tmp_path: Path
) -> None:
    """A destructor that needs a token would wait forever, or fail at a second import."""
    printed = run_new_python(FINALIZING, endpoint().url, tmp_path, *KEYS).split("\n")

    failed = {each.split(":")[0] for each in printed if "Python is ending" in each}
    # Some versions of cryptography import a module each time.
    assert failed <= {"curve-jwt"}
    assert printed.count("token") == 12 - len(failed)


ENDING = (
    KINDS
    + """
class Farewell:
    def __del__(self):
        for name in "secret-jwt", "steps":
            try:
                connections[name].token()
            except keyturn.errors.KeyturnError as error:
                print(error, flush=True)
farewell = Farewell()
"""
)


def test_import_while_the_interpreter_ends_is_no_defect_of_keyturn(
    endpoint: Callable[..., Endpoint], run_new_python: RunPython, tmp_path: Path
) -> None:
    """A destructor's first token request would be reported as a bug, with no advice."""
    printed = run_new_python(ENDING, endpoint().url, tmp_path, *KEYS)

    assert printed.count("Do this earlier: before the program ends") == 2
    assert "bug" not in printed


UNLOCKED = (
    KINDS
    + """
from keyturn._common.once import importing

unlocked = set()
class Watch:
    def find_spec(name, *_):
        if not importing._lock.get()._is_owned():
            unlocked.add(name)
def ask():
    for connection in connections.values():
        connection.headers()
sys.meta_path.insert(0, Watch)
thread = threading.Thread(target=ask)
thread.start()
thread.join()
print(sorted(unlocked))
"""
)


def test_first_token_imports_nothing_without_the_lock(
    endpoint: Callable[..., Endpoint], run_new_python: RunPython, tmp_path: Path
) -> None:
    """A child that is forked during such an import would wait forever at the same import."""
    assert run_new_python(UNLOCKED, endpoint().url, tmp_path, *KEYS) == "[]"


SUBINTERPRETER = (
    BEGIN
    + """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
code = '''
import sys, threading
sys.path[:] = {!r}
try:
    import keyturn
    connection = keyturn.connect(
        "orocommerce", url={!r}, client_id="cid", client_secret="x", store={!r}
    )
    print(connection.token().access_token, flush=True)
    connection.forget()
    import asyncio
    print(asyncio.run(connection.atoken()).access_token, flush=True)
except Exception as error:
    print(type(error).__name__, error, flush=True)
'''
interpreter = interpreters.create()
interpreters.run_string(interpreter, code.format(sys.path, url, f"disk://{where}"))
# Python 3.12.1 crashes when one that has imported hashlib is destroyed.
if sys.version_info >= (3, 13):
    interpreters.destroy(interpreter)
os._exit(0)
"""
)


def test_isolated_subinterpreter(
    endpoint: Callable[..., Endpoint], run_new_python: RunPython, tmp_path: Path
) -> None:
    """A subinterpreter without threads or modules would cause an error about the provider."""
    printed = run_new_python(SUBINTERPRETER, endpoint().url, tmp_path / "store")
    assert printed.split() == ["token-1", "token-2"]


def test_failed_import_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken dependency would be reported as a defect of keyturn."""
    monkeypatch.setitem(sys.modules, "keyturn._http.exchange", None)
    with pytest.raises(errors.ConfigurationError, match="can't be imported here: Module"):
        Transport().send(TokenRequest("x", "https://x.example/token", ()), 1.0)


def test_trio_that_cannot_be_imported_is_not_needed(run_new_python: RunPython) -> None:
    """Under eventlet, where trio cannot be imported, every token request would fail."""
    code = """
import sys
class Finder:
    def find_spec(name, *_):
        if name == "trio":
            raise AttributeError("type object 'GreenSocket' has no attribute 'sendmsg'")
sys.meta_path.insert(0, Finder)
from keyturn import errors
from keyturn._http.transport import Transport
from keyturn.plugins import TokenRequest
try:
    Transport().send(TokenRequest("x", "http://127.0.0.1:9/token", ()), 1.0)
except errors.EndpointUnavailable as error:
    print("trio" in sys.modules, error.message)
"""
    assert "False the token endpoint http://127.0.0.1:9/token failed" in run_new_python(code)


def test_uwsgi_does_not_fork_during_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is forked while another thread imports a module would hang at its import."""
    monkeypatch.setitem(sys.modules, "uwsgi", sys)
    monkeypatch.setitem(sys.modules, "keyturn._http.exchange", None)
    with pytest.raises(errors.ConfigurationError, match="can't be imported here"):
        Transport()


def test_uwsgi_forks_after_the_imports_of_a_first_request(
    monkeypatch: pytest.MonkeyPatch, run_new_python: RunPython
) -> None:
    """A worker that is forked during an import at the first token request would hang."""
    form = {"url": "https://shop.example", "client_id": "c", "client_secret": "s3cret"}
    code = f"""
import sys
if sys.argv[1] == "uwsgi":
    sys.modules["uwsgi"] = sys
import keyturn
keyturn.connect("orocommerce", {form}, store="memory://")
for name in ("_http.exchange", "_http.proxy", "_tokens.previous", "_tokens.token_request"):
    print(f"keyturn.{{name}}" in sys.modules, end=" ")
"""
    assert run_new_python(code, "uwsgi").split() == ["True"] * 4
    assert run_new_python(code, "other").split() == ["False"] * 4

    monkeypatch.setitem(sys.modules, "uwsgi", sys)
    Transport()  # here too, where coverage is measured
    keyturn.connect("orocommerce", form, store="memory://")


ENDED = (
    BEGIN
    + """
try:
    import _interpreters as interpreters
    interpreter = interpreters.create("legacy")
except ImportError:
    import _xxsubinterpreters as interpreters
    interpreter = interpreters.create(isolated=False)
interpreters.run_string(interpreter, f'''
import sys
sys.path[:] = {sys.path!r}
import keyturn
connection = keyturn.connect(
    "orocommerce", url={url!r}, client_id="cid", client_secret="x", store="memory://"
)
print(connection.token().access_token, flush=True)
from keyturn._tokens.single_flight import finish_workers
finish_workers()
''')
interpreters.destroy(interpreter)
print("destroyed")
"""
)


def test_subinterpreter_with_threads_can_end(
    endpoint: Callable[..., Endpoint], run_new_python: RunPython, tmp_path: Path
) -> None:
    """A subinterpreter that ends with an idle worker would abort the whole process."""
    assert run_new_python(ENDED, endpoint().url, tmp_path).split() == ["token-1", "destroyed"]


STOPPED = (
    BEGIN
    + """
connection = connect(f"disk://{where}")
print(connection.token().access_token, flush=True)
for line in sys.stdin:
    print(connection.token().access_token, asyncio.run(connection.atoken()).access_token,
          connection.headers()["Authorization"], flush=True)
"""
)


def test_process_that_was_stopped_past_the_expiry(
    endpoint: Callable[..., Endpoint], spawn: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """A process that was stopped for a while would use an expired token."""
    server = endpoint()
    server.lifetime = 1
    process = spawn([sys.executable, "-c", STOPPED, server.url, tmp_path / "store"])
    first = line(process)
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.1)  # longer than the token's lifetime, on the kernel's clock
    server.lifetime = 3600
    process.send_signal(signal.SIGCONT)
    go_on(process)
    token, *others = line(process).split()
    assert token != first
    assert others == [token, "Bearer", token]
