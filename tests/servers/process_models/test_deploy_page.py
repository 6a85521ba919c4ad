"""The page "Deploy": its blocks for gunicorn, uvicorn and Celery work in these servers.

Only the address of the shop and the directory of the store are replaced.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.servers.process_models.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.process_models.conftest import Endpoint, Program

    StartEndpoint = Callable[..., Endpoint]

CELERY = """
import os
import celery
folder = os.environ["FOLDER"]
app = celery.Celery("shop_tasks", broker="filesystem://", backend=f"file://{folder}")
app.conf.broker_transport_options = dict.fromkeys(
    ("data_folder_in", "data_folder_out", "control_folder"), folder
)
"""
SHOW = """
import shop_tasks
found = [shop_tasks.fetch_orders.delay() for _ in range(6)]
print([each.get(timeout=30) for each in found])
"""


def block(title: str, program: Program, endpoint: Endpoint, number: int = 0) -> str:
    """Return a section's block of Python code, with the addresses of the test."""
    page = (ROOT / "docs/how-to/deploy.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    code = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[number]
    return (
        code.replace("https://shop.example", endpoint.url)
        .replace("/var/cache/shop", str(program.folder))
        .replace("def fetch_orders():  # with @app.task", "@app.task\ndef fetch_orders():")
    )


@pytest.fixture
def server(endpoint: StartEndpoint) -> Endpoint:
    """Return a token endpoint."""
    return endpoint()


def test_gunicorn(server: Endpoint, program: Program, port: int) -> None:
    """The page's settings for gunicorn would not start, or its workers would share no token."""
    configuration = program.folder / "gunicorn.conf.py"
    configuration.write_text(block("gunicorn", program, server))
    module = program.folder / "shop.py"
    module.write_text(block("uvicorn", program, server) + WSGI)
    command = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "shop:wsgi"]
    process = program.start(server, command)
    tokens = program.ask(process, port, lambda found: len(found) > 1)
    program.end()

    assert set(tokens.values()) == {"Bearer token-1"}, program.log(tokens)
    assert server.requests == 1


WSGI = """
import os

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {connection.headers()['Authorization']}".encode()]
"""


def test_uvicorn(server: Endpoint, program: Program, port: int) -> None:
    """The page's application would not start, or its workers would share no token."""
    (program.folder / "module.py").write_text(block("uvicorn", program, server))
    command = [sys.executable, "-m", "uvicorn", "--workers", "2", "--port", str(port)]
    store = f"disk://{program.folder}/store"
    process = program.start(server, [*command, "module:application"], KEYTURN_STORE=store)
    found = program.ask(process, port, bool)  # it waits for the server, too
    texts = [httpx.get(f"http://127.0.0.1:{port}", trust_env=False).text for _ in range(20)]
    program.end()

    assert {" ".join(item) for item in found.items()} == {"Authorization, Accept"}
    assert set(texts) == {"Authorization, Accept"}
    assert server.requests == 1


def test_celery(server: Endpoint, program: Program) -> None:
    """The page's tasks would not run, or its workers would share no token."""
    account = block("uvicorn", program, server).partition("connection =")[0]
    tasks = block("Celery", program, server).partition("\n\nprint")[0]
    (program.folder / "shop_tasks.py").write_text(CELERY + account + tasks)
    variables = {"C_FORCE_ROOT": "1", "KEYTURN_STORE": f"disk://{program.folder}/store"}
    variables["PYTHONPATH"] = program.path(program.folder)
    worker = ["-m", "celery", "-A", "shop_tasks", "worker", "-P", "prefork", "-c", "2"]
    program.start(server, [sys.executable, *worker], **variables)
    client = program.folder / "client"
    client.mkdir()
    asking = type(program)(program._spawn, client)  # noqa: SLF001 - with a log of its own
    printed = asking.python(server, "-c", SHOW, **variables, FOLDER=str(program.folder))
    program.end()

    assert printed.strip() == str([["Authorization", "Accept"]] * 6), program.log(printed)
    assert server.requests == 1
