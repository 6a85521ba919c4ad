"""The counts of a cold call: Python calls, opened files and started threads."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure.cold_call import Counter

if TYPE_CHECKING:
    from collections.abc import Callable

# The goal of the row `cold_call`.
MOST_CALLS = 150

SOURCE = """
import threading
def leaf(): pass
def call():
    leaf()
    thread = threading.Thread(target=leaf)
    thread.start()
    thread.join()
"""


def load(directory: Path, name: str) -> Any:
    """Return a module with that source in a directory."""
    path = directory / f"{name}.py"
    path.write_text(SOURCE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_calls_of_all_threads_in_the_package_are_counted(tmp_path: Path) -> None:
    """Calls in a background thread or another file of the package would not be counted."""
    package, other = tmp_path / "package", tmp_path / "other"
    package.mkdir()
    other.mkdir()
    ours, foreign = load(package, "ours"), load(other, "foreign")
    counter = Counter(package)
    start = threading.Thread.start

    with counter.installed():
        ours.call()  # before the count
        figures = counter.count(lambda: (ours.call(), foreign.call()))

    assert figures == {"calls": 3, "files": 1, "threads": 2}
    assert threading.Thread.start is start


# Prints the counts of each provider's cold call, after a call of another connection.
COLD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
import keyturn
from bench.measure.cold_call import Counter
from bench.peers._apis import APIS
from bench.peers._peer import Endpoint
from bench.peers.with_keyturn import PEER
from keyturn._tokens.workers import pool
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Thread(target=server.serve_forever, daemon=True).start()
counter = Counter(Path(keyturn.__file__).parent)
with counter.installed():
    for name, api in APIS.items():
        first, second = PEER.cold(Endpoint(f"127.0.0.1:{server.server_port}", name), api, 2)
        first()
        while pool.get().load():
            time.sleep(0.001)
        figures = counter.count(second)
        print(name, figures["calls"], figures["threads"])
"""


def test_cold_call_of_each_provider_takes_few_python_calls(
    run_new_python: Callable[..., str],
) -> None:
    """The number of Python calls in a cold call would grow unnoticed."""
    figures = {}
    for line in run_new_python(COLD, Path(__file__).parents[2]).splitlines():
        name, calls, threads = line.split()
        figures[name] = int(calls), int(threads)

    assert len(figures) == 4
    assert {name: of for name, of in figures.items() if of[0] > MOST_CALLS or of[1] > 1} == {}
