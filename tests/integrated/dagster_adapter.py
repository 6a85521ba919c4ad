"""The resource for Dagster, in runs of Dagster; `test_dagster.py` runs this."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster
import httpx
import pytest
from tests.integrated import conftest, leaks, results

import keyturn
from keyturn.integrations.dagster import KeyturnResource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keyturn.testing import Emulator

BIN = Path(sys.executable).parent
DEFINITIONS = Path(__file__).with_name("dagster_definitions.py")
WORKERS = 4
QUERY = """{
  repositoriesOrError { ... on RepositoryConnection { nodes { allTopLevelResourceDetails {
    name configuredValues { key value type } configFields { name defaultValueAsJson }
  } } } }
  runsOrError { ... on Runs { results {
    status runConfigYaml
    eventConnection { events { ... on MessageEvent { message } } }
  } } }
}"""
start, port = conftest.start, conftest.port


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Yield a running emulator."""
    with keyturn.testing.Emulator() as running:
        yield running


@pytest.fixture
def home(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, dict[str, str]]:
    """Return Dagster's directory and its processes' environment, which is also set here."""
    directory = tmp_path / "home"
    place = tmp_path / "meeting-place"
    settings = emulator.settings("orocommerce")
    secret = settings.pop("client_secret")
    for each in (directory, place):
        each.mkdir()
    (directory / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    variables = {
        "DAGSTER_HOME": str(directory),
        "SHOP_SETTINGS": json.dumps(settings),
        "SHOP_SECRET": secret,
        "KEYTURN_STORE": f"disk://{tmp_path / 'tokens'}",
        "MEETING_PLACE": str(place),
        "REVOKE": f"{settings['url'].removesuffix('/shop')}/-/revoke-tokens",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return directory, variables


def resource(**changed: Any) -> KeyturnResource:
    """Return a resource whose secret is in the environment."""
    settings = json.loads(os.environ["SHOP_SETTINGS"])
    secrets = {"client_secret": dagster.EnvVar("SHOP_SECRET")}
    given: dict[str, Any] = {"provider": "orocommerce", "settings": settings, "secrets": secrets}
    return KeyturnResource(**given | changed)


@pytest.mark.timeout(300)
def test_a_run_with_parallel_steps_renews_its_token_and_shows_no_secret(
    emulator: Emulator,
    home: tuple[Path, dict[str, str]],
    start: Callable[..., None],
    port: int,
) -> None:
    """A step would fail after a revocation, or Dagster would store or show a credential."""
    directory, _ = home
    job = [BIN / "dagster", "job", "execute", "-f", DEFINITIONS, "-j", "run"]
    done = subprocess.run(job, check=False, capture_output=True, text=True, timeout=240)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "RUN_SUCCESS" in output
    names = ["before", *(f"worker_{number}" for number in range(WORKERS))]
    values = [pickle.loads((directory / "storage" / name).read_bytes()) for name in names]  # noqa: S301 - pickled by Dagster
    assert values == [200] * len(names)
    assert emulator.api_requests("orocommerce") > len(names)  # some got a 401
    assert emulator.token_requests("orocommerce") == 2
    secrets = leaks.secrets_of(emulator)
    assert len(secrets) == 3

    start(port, BIN / "dagster-webserver", "-f", DEFINITIONS, "-h", "127.0.0.1", "-p", port)
    page = httpx.post(
        f"http://127.0.0.1:{port}/graphql", json={"query": QUERY}, trust_env=False, timeout=60
    ).text
    assert emulator.settings("orocommerce")["client_id"] in page  # not a secret
    assert "made-up-careless-canary" not in page
    assert "Started execution of run" in page

    leaks.assert_finds(secrets, directory)
    assert leaks.leaks(secrets, directory, output, page) == []
    results.record(
        platform="Dagster",
        version=dagster.__version__,
        extension_point="`ConfigurableResource`",
        lines=results.lines_of(DEFINITIONS),
        healed=True,
        parallel=WORKERS,
        secrets="environment; searched: Dagster's directory with events, logs and "
        "values, output, and the web server's pages of resources and runs",
    )


@pytest.mark.usefixtures("home")
def test_a_resource_serves_assets_in_one_process(emulator: Emulator) -> None:
    """A user's tests of assets, which run in one process, would fail."""
    seen: list[int] = []

    @dagster.asset
    def users(shop: KeyturnResource) -> None:
        async def call() -> int:
            async with shop.async_client(timeout=10) as client:
                return (await client.get("users")).status_code

        with shop.client(timeout=10) as client:
            seen.append(client.get("users").status_code)
            emulator.revoke_tokens("orocommerce")
            threads = [
                threading.Thread(target=lambda: seen.append(client.get("users").status_code))
                for _ in range(WORKERS)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        seen.append(asyncio.run(call()))

    assert dagster.materialize([users], resources={"shop": resource()}).success
    assert seen == [200] * (WORKERS + 2)
    assert emulator.token_requests("orocommerce") == 2


@pytest.mark.usefixtures("home")
def test_a_wrong_setting_fails_the_run_before_the_step() -> None:
    """The step would start, and fail at its first request."""
    ran: list[KeyturnResource] = []

    @dagster.asset
    def users(shop: KeyturnResource) -> None:
        ran.append(shop)

    broken = resource(settings={"client_id": "made-up"})
    with pytest.raises(Exception, match="shop") as caught:
        dagster.materialize([users], resources={"shop": broken})
    assert isinstance(caught.value.__cause__, keyturn.errors.ConfigurationError)
    assert ran == []


def test_a_resource_may_name_a_configured_connection(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings in keyturn.toml would have to be repeated in Dagster."""
    config = tmp_path / "keyturn.toml"
    config.touch(mode=0o600)
    config.write_text(conftest.configuration(emulator), encoding="utf-8")
    monkeypatch.setenv("KEYTURN_CONFIG", str(config))
    monkeypatch.setenv("KEYTURN_STORE", "memory://")
    with KeyturnResource(name="shop").client() as client:
        assert client.get("users").status_code == 200


@pytest.mark.usefixtures("home")
def test_no_secret_is_where_dagster_shows_it() -> None:
    """The web server would show a secret among the settings, or a log would show the resource's."""
    canary = "made-up-canary"
    key = "-----BEGIN PRIVATE KEY-----"
    for name, value in {"client_secret": canary, "certificate_key": f"{key}{canary}"}.items():
        with pytest.raises(keyturn.errors.ConfigurationError) as caught:
            resource(provider="generic", settings={name: value})
        assert name in str(caught.value)
        assert "secrets" in str(caught.value)
        assert canary not in str(caught.value)
    with pytest.raises(ValueError, match="secrets") as mistyped:
        resource(secrets=canary)
    assert canary not in str(mistyped.value)
    assert canary not in repr(resource(secrets={"client_secret": canary}))
