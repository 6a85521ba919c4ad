"""A real PostgreSQL server on loopback and a Unix socket, and the example's installed plugin.

The server ends with the run that started it, even if that run is killed.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
import pytest

from keyturn._plugins.loading import plugin_manager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLE = Path(__file__).parents[3] / "examples" / "keyturn-postgresql"
PASSWORD = "s3cret/for tests"
READY_WITHIN = 20.0


class PostgresqlServer:
    """A PostgreSQL server, whose port stays the same when it is restarted.

    PostgreSQL refuses to run as root; under root, it runs as Debian's user `postgres`.

    Args:
        directory: The directory for its data, its socket and its log.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        quoted = PASSWORD.replace("/", "%2F").replace(" ", "%20")
        self.url = f"postgresql://keyturn:{quoted}@127.0.0.1:{self.port}/postgres"
        self.socket_url = f"postgresql://keyturn@:{self.port}/postgres?host={directory}"
        if os.getuid() == 0:
            shutil.chown(directory, "postgres", "postgres")
        password = directory / "password"
        password.write_text(PASSWORD)
        # The simplest encoding that a database can have, which knows only ASCII.
        options = ["--encoding=SQL_ASCII", "--locale=C", "--auth-local=trust", "--no-sync"]
        options += ["--auth-host=scram-sha-256", f"--pwfile={password}", "--username=keyturn"]
        made = subprocess.run(
            self._command("initdb", *options, f"--pgdata={directory}/data"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr

    def start(self) -> None:
        """Start it, unless it runs, and wait until it responds."""
        if self._process is not None:
            return
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self._directory,
            "fsync": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("postgres", "-D", f"{self._directory}/data", *options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(psycopg.OperationalError):
                self.run("SELECT 1")
                return
            time.sleep(0.02)
        pytest.fail(f"PostgreSQL did not start:\n{self.log()}")

    def run(self, statement: LiteralString, *values: object) -> list[Any]:
        """Run a statement in a session of its own, and return the first column."""
        with psycopg.connect(self.socket_url, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return [row[0] for row in cursor.fetchall()] if cursor.description else []

    def log(self) -> str:
        """Return the content of its log."""
        return (self._directory / "log").read_text(errors="replace")

    def hang(self) -> None:
        """Suspend all of its processes, which then accept connections and do not respond."""
        self._signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        """Resume its processes after `hang`."""
        self._signal_all(signal.SIGCONT)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop it; by default as a restart does, which disconnects all clients."""
        if self._process is None:
            return
        self.go_on()
        self._process.send_signal(number)
        try:
            self._process.wait(READY_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _signal_all(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        with suppress(ProcessLookupError, FileNotFoundError):
            for process in (self._process.pid, *map(int, children.read_text().split())):
                os.kill(process, number)

    @staticmethod
    def _command(program: str, *arguments: str) -> list[str]:
        # Debian installs the commands in a directory that is in no PATH.
        found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
        setpriv = shutil.which("setpriv")
        if not found or setpriv is None:
            pytest.fail("postgresql is not installed: run make test-servers")
        identity = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        return [
            *([setpriv, *identity, "--"] if os.getuid() == 0 else []),
            # The kernel ends the server even if this process is killed.
            *(setpriv, "--pdeathsig", "QUIT", "--"),
            *(str(found[-1]), *arguments),
        ]


@pytest.fixture(scope="session")
def cluster() -> Iterator[PostgresqlServer]:
    """Yield the server, which runs for all tests."""
    # Only this user can read pytest's own directories, and the server may run as another user.
    with tempfile.TemporaryDirectory(prefix="keyturn-postgresql-") as directory:
        running = PostgresqlServer(Path(directory))
        try:
            running.start()
            yield running
        finally:
            running.stop(signal.SIGQUIT)


@pytest.fixture
def server(cluster: PostgresqlServer) -> Iterator[PostgresqlServer]:
    """Return the server, running and empty."""
    cluster.start()
    cluster.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    yield cluster
    cluster.go_on()


@pytest.fixture(scope="session", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the plugin into a directory on the path of this process and its children."""
    directory = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", directory]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, EXAMPLE], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(directory)
        patch.setenv("PYTHONPATH", str(directory))
        # A process that starts after the installation has no older cache.
        plugin_manager.cache_clear()
        yield
    plugin_manager.cache_clear()


@pytest.fixture
def stores() -> Any:
    """Return the module of the installed store."""
    return importlib.import_module("keyturn_postgresql.store")


@pytest.fixture
def open_store(stores: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a store, which is closed after the test."""
    opened = []

    def open_one(url: str, **options: Any) -> Any:
        opened.append(stores.PostgresqlStore(url, **options))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def store(server: PostgresqlServer, open_store: Callable[..., Any]) -> Any:
    """Return a store on that server, whose clock stays at 1000."""
    return open_store(server.socket_url, now=lambda: 1000.0)
