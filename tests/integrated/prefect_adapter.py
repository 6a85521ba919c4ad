"""The block for Prefect, in a run of Prefect; `test_prefect.py` runs this."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import pickle
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cloudpickle
import httpx
import pytest
from tests.integrated import conftest, leaks, results

import keyturn

# Prefect reads these variables when it is imported.
HOME = tempfile.TemporaryDirectory()
os.environ |= {
    "PREFECT_HOME": HOME.name,
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}

import prefect  # noqa: E402
from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: E402
from tests.integrated import prefect_flow  # noqa: E402

from keyturn.integrations.prefect import KeyturnConnection  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keyturn.testing import Emulator

BIN = Path(sys.executable).parent
CANARY = "made-up-canary"
start, port = conftest.start, conftest.port
conftest.READY_WITHIN = 180.0  # the server imports many modules
# Prefect closes connections to its server, and event loops of threads, only at exit.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::ResourceWarning",
    "ignore::DeprecationWarning",
)


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Emulator]:
    """Yield a running emulator; tokens are stored in a directory."""
    monkeypatch.setenv("KEYTURN_STORE", f"disk://{tmp_path / 'tokens'}")
    with keyturn.testing.Emulator() as running:
        yield running


@pytest.fixture
def server(start: Callable[..., None], port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the URL of a Prefect server, which this process uses."""
    monkeypatch.delenv("PYTHONPATH", raising=False)  # it hides modules that the server needs
    start(port, BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", port)
    url = f"http://127.0.0.1:{port}/api"
    conftest.wait_for(f"{url}/health")
    with temporary_settings({PREFECT_API_URL: url}):
        yield url


def block(emulator: Emulator) -> KeyturnConnection:
    """Return a block that is not saved."""
    settings = emulator.settings("orocommerce")
    secret = settings.pop("client_secret")
    return KeyturnConnection(
        provider="orocommerce", settings=settings, secrets={"client_secret": secret}
    )


def pages(url: str) -> str:
    """Return the data that the pages of Prefect's server show."""
    shown = ""
    for name in ("block_documents", "block_types", "flow_runs", "task_runs", "logs", "artifacts"):
        response = httpx.post(f"{url}/{name}/filter", json={}, trust_env=False, timeout=60)
        assert response.status_code == 200, response.text
        shown += response.text
    return shown


def all_pages(url: str, log: str) -> str:
    """Return the pages once they have a certain log line: Prefect sends its log with a delay."""
    end = time.monotonic() + conftest.READY_WITHIN
    while log not in (page := pages(url)):
        assert time.monotonic() < end, page
        time.sleep(0.2)
    return page


@pytest.mark.timeout(400)
def test_a_run_with_parallel_tasks_renews_its_token_and_shows_no_secret(
    emulator: Emulator,
    server: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A task would fail after a revocation, or Prefect would store or show a credential."""
    url = emulator.settings("orocommerce")["url"]
    monkeypatch.setenv("REVOKE", f"{url.removesuffix('/shop')}/-/revoke-tokens")
    block(emulator).save("shop")
    shop = KeyturnConnection.load("shop")
    assert shop.connection.name == "shop"

    assert prefect_flow.run(shop) == [200] * prefect_flow.WORKERS
    assert emulator.api_requests("orocommerce") > prefect_flow.WORKERS + 1  # some got a 401
    assert emulator.token_requests("orocommerce") == 2

    pickled = cloudpickle.dumps(shop)
    with pickle.loads(pickled).client() as client:  # noqa: S301 - pickled by the block
        assert client.get("users").status_code == 200

    async def load() -> str:
        return str(pickle.loads(pickled).connection.name)  # noqa: S301 - pickled by the block

    assert asyncio.run(load()) == "shop"

    secrets = leaks.secrets_of(emulator)
    page, output = all_pages(server, "The block is KeyturnConnection"), "".join(capfd.readouterr())
    client_id = emulator.settings("orocommerce")["client_id"]
    assert client_id in page  # not a secret
    home = Path(HOME.name)
    assert leaks.leaks([client_id], home / "prefect.db", output) != []
    assert list((home / "storage").iterdir()) != []
    leaks.assert_finds(secrets, home)
    assert leaks.leaks(secrets, home, output, page, pickled) == []
    results.record(
        platform="Prefect",
        version=prefect.__version__,
        extension_point="`Block`",
        lines=results.lines_of(Path(prefect_flow.__file__)),
        healed=True,
        parallel=prefect_flow.WORKERS,
        secrets="block document, encrypted; searched: Prefect's directory with database, logs and "
        "pickled results, output, and what the server's pages show of blocks, runs and logs",
    )


def test_a_block_serves_code_without_a_server(emulator: Emulator) -> None:
    """A user's tests of tasks, which run without a server, would fail."""
    shop = block(emulator)

    async def call() -> int:
        async with copy.deepcopy(shop).async_client(timeout=10) as client:
            return (await client.get("users")).status_code

    with shop.client(timeout=10) as client:
        assert client.get("users").status_code == 200
        emulator.revoke_tokens("orocommerce")
        assert client.get("users").status_code == 200
    assert asyncio.run(call()) == 200
    assert emulator.token_requests("orocommerce") == 2


def test_a_block_may_name_a_configured_connection(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings in keyturn.toml would have to be repeated in Prefect."""
    config = tmp_path / "keyturn.toml"
    config.touch(mode=0o600)
    config.write_text(conftest.configuration(emulator), encoding="utf-8")
    monkeypatch.setenv("KEYTURN_CONFIG", str(config))
    named = pickle.loads(cloudpickle.dumps(KeyturnConnection(name="shop")))  # noqa: S301 - pickled by the block
    with named.client() as client:
        assert client.get("users").status_code == 200
    copied = pickle.loads(cloudpickle.dumps(named))  # noqa: S301 - pickled by the block
    assert copied.connection.name == "shop"


def test_no_secret_is_where_prefect_shows_it(emulator: Emulator) -> None:
    """A page, a log or a pickle would show a secret among the settings."""
    key = f"-----BEGIN PRIVATE KEY-----{CANARY}"
    for name, value in {"client_secret": CANARY, "certificate_key": key}.items():
        with pytest.raises(keyturn.errors.ConfigurationError) as caught:
            KeyturnConnection(provider="generic", settings={name: value})
        assert name in str(caught.value)
        assert "secrets" in str(caught.value)
        assert CANARY not in str(caught.value)
    with pytest.raises(ValueError, match="secrets") as mistyped:
        KeyturnConnection(provider="generic", secrets=CANARY)  # type: ignore[arg-type]
    assert CANARY not in str(mistyped.value)
    shop = block(emulator)
    secret = emulator.settings("orocommerce")["client_secret"]
    assert secret not in f"{shop!r} {shop} {json.dumps(shop.model_dump(mode='json'))}"
    with pytest.raises(TypeError, match="before it is saved"):
        cloudpickle.dumps(shop)
