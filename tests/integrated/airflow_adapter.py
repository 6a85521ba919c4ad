"""The hook and the trigger for Airflow, in a run of Airflow; `test_airflow.py` runs this."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
from cryptography.fernet import Fernet
from tests.integrated import conftest, leaks, results

import keyturn

# Airflow reads these variables when it is imported.
HOME = tempfile.TemporaryDirectory()
os.environ |= {
    "AIRFLOW_HOME": HOME.name,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": f"{HOME.name}/dags",
    "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__PARALLELISM": "4",
    "AIRFLOW__API_AUTH__JWT_SECRET": Fernet.generate_key().decode(),
}

import airflow  # noqa: E402
from airflow.sdk.log import redact  # noqa: E402

from keyturn.integrations.airflow import KeyturnHook, KeyturnTrigger, http_auth  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keyturn.testing import Emulator

BIN = Path(sys.executable).parent
DAG = Path(__file__).with_name("airflow_dag.py")
CANARY = "made-up-canary-of-airflow"
WORKERS = 4
start, port = conftest.start, conftest.port
conftest.READY_WITHIN = 180.0  # the servers import many modules
# Airflow itself uses deprecated features.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Emulator]:
    """Yield a running emulator; tokens are stored in a directory."""
    monkeypatch.setenv("KEYTURN_STORE", f"disk://{tmp_path / 'tokens'}")
    with keyturn.testing.Emulator() as running:
        yield running


def connection(emulator: Emulator, **changed: Any) -> dict[str, Any]:
    """Return Airflow's connection to the emulator, as its form submits it."""
    settings = emulator.settings("orocommerce")
    login, password = settings.pop("client_id"), settings.pop("client_secret")
    # The form also sends the fields of other providers, without a value.
    extra = {"provider": "orocommerce", "environment": None, "market": "", **settings, **changed}
    return {
        "conn_type": "keyturn",
        "login": login,
        "password": password,
        "extra": json.dumps(extra),
    }


@pytest.fixture
def stored(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add `shop` to Airflow's connections, for this process."""
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(connection(emulator)))


def run(*command: Any) -> str:
    """Run a program; return its output."""
    done = subprocess.run(
        [BIN / command[0], *map(str, command[1:])],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def server(
    emulator: Emulator,
    start: Callable[..., None],
    port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Yield the URL of a running Airflow that has `shop` in its database, and a DAG."""
    monkeypatch.delenv("PYTHONPATH", raising=False)  # it hides modules that the servers need
    url = f"http://127.0.0.1:{port}"
    place = tmp_path / "meeting-place"
    place.mkdir()
    settings = emulator.settings("orocommerce")
    monkeypatch.setenv("MEETING_PLACE", str(place))
    monkeypatch.setenv("REVOKE", f"{settings['url'].removesuffix('/shop')}/-/revoke-tokens")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", url)
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", f"{url}/execution/")
    dags = Path(HOME.name) / "dags"
    dags.mkdir()
    (dags / DAG.name).write_bytes(DAG.read_bytes())
    run("airflow", "db", "migrate")
    connections = tmp_path / "connections.json"
    http = {"conn_type": "http", "host": f"{settings['url']}/admin/api", "login": "shop"}
    both = {"shop": connection(emulator), "shop_api": http}
    connections.write_text(json.dumps(both), encoding="utf-8")
    run("airflow", "connections", "import", connections)
    options = "--host", "127.0.0.1", "--port", port, "--workers", "1"
    start(port, BIN / "airflow", "api-server", *options)
    conftest.wait_for(f"{url}/api/v2/version")
    return url


@pytest.fixture
def triggerer(server: str) -> Iterator[str]:
    """Start a triggerer; yield the URL of Airflow."""
    log = Path(HOME.name) / "triggerer.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [BIN / "airflow", "triggerer", "--skip-serve-logs"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        yield server
        process.terminate()
        process.wait(60)


def pages(url: str) -> dict[str, str]:
    """Return the data that the pages of Airflow show."""
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        token = client.get("/auth/token").json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        instances = client.get("/api/v2/dags/shop/dagRuns/~/taskInstances").json()
        paths = ["/api/v2/connections", "/api/v2/connections/shop", "/ui/connections/hook_meta"]
        paths += ["/api/v2/dagSources/shop", "/api/v2/providers"]
        for each in instances["task_instances"]:
            at = f"/api/v2/dags/shop/dagRuns/{each['dag_run_id']}/taskInstances/{each['task_id']}"
            paths.append(f"{at}/logs/1?map_index={each['map_index']}")
            paths.append(f"{at}/xcomEntries/return_value?map_index={each['map_index']}")
        shown = {path: client.get(path) for path in paths}
    assert {each.status_code for each in shown.values()} == {200}, shown
    return {path: each.text for path, each in shown.items()}


@pytest.mark.timeout(800)
def test_a_run_with_parallel_tasks_renews_its_token_and_shows_no_secret(
    emulator: Emulator, triggerer: str
) -> None:
    """A task would fail after a revocation, or Airflow would store or show a credential."""
    output = run("python", DAG)
    shown = pages(triggerer)
    returned = [json.loads(each)["value"] for path, each in shown.items() if "xcom" in path]
    assert returned == [200] * (WORKERS + 3)
    assert emulator.api_requests("orocommerce") > WORKERS + 3  # some got a 401
    # The first token, and one after each of the three revocations.
    assert emulator.token_requests("orocommerce") == 4

    settings = emulator.settings("orocommerce")
    log = "".join(each for path, each in shown.items() if "/before/logs/" in path)
    assert "secret: ***, in: keyturn://" in log
    assert settings["client_id"] in log
    assert settings["client_id"] in shown["/api/v2/connections/shop"]
    assert '"keyturn"' in shown["/api/v2/providers"]
    forms = {
        each["connection_type"]: each for each in json.loads(shown["/ui/connections/hook_meta"])
    }
    form = forms["keyturn"]
    assert form["standard_fields"]["password"]["title"] == "Client secret"
    assert "orocommerce" in form["extra_fields"]["provider"]["schema"]["enum"]
    assert form["extra_fields"]["private_key"]["schema"]["format"] == "password"

    secrets, home = leaks.secrets_of(emulator), Path(HOME.name)
    assert len(secrets) == 1 + 4
    assert leaks.leaks([settings["client_id"]], home / "airflow.db", home / "logs") != []
    leaks.assert_finds(secrets, home)
    assert leaks.leaks(secrets, home) == []
    # Airflow masks a task's output in its logs, but not on the terminal of `dag.test`.
    printed = [line for line in output.splitlines() if "secret: " not in line]
    assert len(printed) > 100
    places = {"output": "\n".join(printed), **shown}
    assert [name for name, each in places.items() if leaks.leaks(secrets, each)] == []
    results.record(
        platform="Apache Airflow",
        version=airflow.__version__,
        extension_point="hook and connection type; `auth_type` of `HttpHook`; trigger",
        lines=results.lines_of(DAG),
        healed=True,
        parallel=WORKERS,
        secrets="Airflow's connection, encrypted; searched: Airflow's directory with database and "
        "logs, output, and what its pages show of connections, forms, code, logs and XComs",
    )


@pytest.mark.usefixtures("stored")
def test_a_hook_serves_code_in_one_process(emulator: Emulator) -> None:
    """A user's tests of tasks, which run in one process, would fail."""
    hook = KeyturnHook("shop", timeout=10)
    with hook.get_conn() as session, hook.client(timeout=10) as client:
        url = f"{hook.connection.api_url}/users"
        assert session.get(url, timeout=10).status_code == 200
        emulator.revoke_tokens("orocommerce")
        assert client.get("users").status_code == 200
        assert requests.get(url, auth=http_auth("shop"), timeout=10).status_code == 200
    assert emulator.token_requests("orocommerce") == 2

    secret = emulator.settings("orocommerce")["client_secret"]
    for copied in (copy.deepcopy(hook), pickle.loads(pickle.dumps(hook))):  # noqa: S301 - pickled by the hook
        assert copied.connection is not hook.connection
        assert copied.connection.token() == hook.connection.token()
    assert secret.encode() not in pickle.dumps(hook)
    assert redact(f"it is {secret}") == "it is ***"


@pytest.mark.usefixtures("stored")
def test_a_trigger_sends_a_request_and_is_serialised_without_secrets(emulator: Emulator) -> None:
    """A deferred task would fail after a revocation, or the database would hold a secret."""

    async def run_trigger(trigger: KeyturnTrigger) -> list[Any]:
        return [event.payload async for event in trigger.run()]

    trigger = KeyturnTrigger("shop", "users", options={"params": {"page": "1"}})
    path, arguments = trigger.serialize()
    assert path == "keyturn.integrations.airflow.KeyturnTrigger"
    again = KeyturnTrigger(**json.loads(json.dumps(arguments)))
    assert [event["status"] for event in asyncio.run(run_trigger(trigger))] == [200]
    emulator.revoke_tokens("orocommerce")
    (event,) = asyncio.run(run_trigger(again))
    assert event["status"] == 200
    assert "data" in json.loads(event["text"])
    assert emulator.token_requests("orocommerce") == 2


def test_the_form_tests_its_connection(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The button `Test` would accept wrong credentials, or not show the error."""
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(connection(emulator)))
    assert KeyturnHook("shop").test_connection()[0] is True
    wrong = connection(emulator) | {"password": CANARY}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(wrong))
    works, message = KeyturnHook("shop").test_connection()
    assert works is False
    assert "invalid_client" in message
    assert CANARY not in message


def test_no_secret_is_where_airflow_shows_it(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow's pages would show a secret of `extra` whose name Airflow does not mask."""
    key = f"-----BEGIN PRIVATE KEY-----{CANARY}"
    for changed, expected in (
        ({"certificate_key": key}, "certificate_key"),
        ({"provider": ""}, "provider"),
    ):
        stored = connection(emulator, **changed)
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(stored))
        with pytest.raises(keyturn.errors.ConfigurationError) as caught:
            _ = KeyturnHook("shop").connection
        assert expected in str(caught.value)
        assert CANARY not in str(caught.value)


def test_tables_of_settings_are_in_the_extra(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that needs further parameters could not be used."""
    settings = {"provider": "generic", "token_url": "https://login.example/token"}
    extra = {**settings, "parameters": {"audience": "https://api.example"}}
    stored = connection(emulator) | {"extra": json.dumps(extra)}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(stored))
    hook = KeyturnHook("shop", store="memory://")
    assert b"audience=https%3A%2F%2Fapi.example" in hook.connection.token_request().body
