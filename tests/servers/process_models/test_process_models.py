"""keyturn in gunicorn, uWSGI, Celery, billiard, gevent, eventlet and uvloop."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.servers.process_models.conftest import HERE, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.process_models.conftest import Endpoint, Program

    StartEndpoint = Callable[..., Endpoint]

WORKERS = 2


def gunicorn(port: int, *options: object) -> list[object]:
    """Return the path of gunicorn."""
    bind = f"127.0.0.1:{port}"
    return [sys.executable, "-m", "gunicorn", "-b", bind, "-w", WORKERS, *options, "application"]


def uwsgi(port: int, *options: object) -> list[object]:
    """Return the path of Debian's uWSGI, which has its own interpreter."""
    program = shutil.which("uwsgi_python3") or pytest.fail("uWSGI is missing: make test-servers")
    if sys.version_info[:2] != (3, 11):
        pytest.fail("Debian 12's uWSGI needs an environment of Python 3.11")
    packages = next(each for each in sys.path if each.endswith("site-packages"))
    paths = (packages, ROOT / "core", ROOT / "providers", HERE)
    found = [part for path in paths for part in ("--pythonpath", path)]
    server = ["--http-socket", f"127.0.0.1:{port}", "--master", "--processes", WORKERS]
    usual = ["--enable-threads", "--need-app", "--die-on-term", "--module", "application"]
    return [program, *found, *server, *usual, *options]


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_gunicorn_workers_share_a_store(
    endpoint: StartEndpoint, program: Program, port: int, worker: str
) -> None:
    """Each worker would send its own token request, or block in its kind of thread."""
    server = endpoint()
    store = f"disk://{program.folder}/store"
    process = program.start(server, gunicorn(port, "-k", worker), STORE=store)
    tokens = program.ask(process, port, lambda found: len(found) == WORKERS)
    program.end()

    assert set(tokens.values()) == {"token-1"}, program.log(tokens)
    assert server.requests == 1


COMMANDS: dict[str, Callable[[int], list[object]]] = {
    "gunicorn": lambda port: gunicorn(port, "--preload"),
    "uwsgi without hooks": uwsgi,
    "uwsgi with hooks": lambda port: uwsgi(port, "--py-call-uwsgi-fork-hooks"),
}


@pytest.mark.parametrize("server", COMMANDS)
def test_workers_forked_during_a_token_request(
    endpoint: StartEndpoint, program: Program, port: int, server: str
) -> None:
    """No worker would get a token: each would wait for the master's request."""
    held = endpoint(held=1)
    reached = str(program.reached)
    process = program.start(held, COMMANDS[server](port), IN_FLIGHT=reached)
    tokens = program.ask(process, port, lambda found: len(found) == WORKERS)
    held.release()
    program.end()

    assert sorted(tokens.values()) == ["token-2", "token-3"], program.log(tokens)


def test_celery_children_forked_during_a_token_request(
    endpoint: StartEndpoint, program: Program
) -> None:
    """No task would get a token."""
    held = endpoint(held=1)
    worker = ["-m", "celery", "-A", "tasks", "worker", "-P", "prefork", "-c", WORKERS]
    settings: dict[str, Any] = {"IN_FLIGHT": str(program.reached), "C_FORCE_ROOT": "1"}
    program.start(held, [sys.executable, *worker], **settings)
    client = program.folder / "client"
    client.mkdir()
    asks = (
        "import tasks; r = [tasks.ask.delay() for _ in range(6)]; "
        "print(*(each.get(timeout=30) for each in r), sep='\\n')"
    )
    asking = type(program)(program._spawn, client)  # noqa: SLF001 - with a log of its own
    printed = asking.python(held, "-c", asks, FOLDER=str(program.folder))
    held.release()
    program.end()

    results = {tuple(line.split(" ", 1)) for line in printed.strip().split("\n")}
    assert 1 <= len(results) <= WORKERS
    assert {token for _, token in results} <= {"token-2", "token-3"}, program.log(results)


def test_billiard_children_forked_during_a_token_request(
    endpoint: StartEndpoint, program: Program
) -> None:
    """No child of a pool would get a token."""
    held = endpoint(held=1)
    script, reached = HERE / "billiards.py", str(program.reached)
    printed = program.python(held, script, IN_FLIGHT=reached).strip().split("\n")
    held.release()

    assert len(printed) == 4
    assert {line.split(" ", 1)[1] for line in printed} <= {"token-2", "token-3"}


@pytest.mark.parametrize("kind", ["gevent", "eventlet"])
def test_greenlets(endpoint: StartEndpoint, program: Program, kind: str, tmp_path: Path) -> None:
    """A greenlet that requests a token would block all others, or each would send a request."""
    held, ready = endpoint(held=100), endpoint()
    script = HERE / "greenlets.py"
    printed = program.python(ready, script, kind, held.url, ready.url, tmp_path)
    held.release()

    assert printed.split("\n")[-5:-1] == ["1", "1", "{True}", "True"], printed
    assert ready.requests == 2


def test_uvloop(endpoint: StartEndpoint, program: Program) -> None:
    """A token request would block the loop, be sent by each task, or end too late."""
    held, ready = endpoint(held=100), endpoint()
    printed = program.python(ready, HERE / "loops.py", held.url, ready.url)
    held.release()

    assert printed.split() == ["uvloop", "1", "{'EndpointUnavailable'}"]
    assert ready.requests == 1
