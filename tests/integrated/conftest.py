"""An agent in its own process, with the emulator behind it, for programs other than keyturn's."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import attrs
import httpx
import pytest
from tests.integrated.shops import Shop

from keyturn import connect
from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".cache/integrated-serve/bin/python"
SECRET = "made-up-session-secret"
BEHIND_SERVE = "in `keyturn serve`; the program has only the session secret"
READY_WITHIN = 30.0


@attrs.frozen
class Agent:
    """A running agent, and the API that it serves.

    Args:
        url: Its address, without the secret.
        emulator: The emulator behind it.
        path: The path of the resource of the connection `shop`, which is OroCommerce.
        api: The address of its API, without a path.
    """

    url: str
    emulator: Emulator
    path: str
    api: str

    @property
    def host(self) -> str:
        """Its host and port."""
        return urlsplit(self.url).netloc

    @property
    def secret_url(self) -> str:
        """Its address, with the secret."""
        return f"{self.url}/{SECRET}"

    def token(self) -> str:
        """Return the current token of `shop`."""
        response = httpx.get(f"{self.secret_url}/-/token/shop", trust_env=False)
        return str(response.json()["access_token"])


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Return a connection `shop` to an emulator, for the programs of a platform."""
    with Emulator() as emulator:
        yield Shop.at(emulator, tmp_path)


@pytest.fixture
def adapter_tests(tmp_path: Path) -> Callable[..., None]:
    """Return a function that runs the tests of an adapter, which must reach 100 % coverage."""

    def run_tests(name: str, *others: str, seconds: float = 280) -> None:
        """Run NAME_adapter.py in its environment; measure the coverage of the given modules."""
        modules = [f"keyturn.integrations.{each}" for each in (name, *others)]
        python = HERE.parents[1] / f".cache/integrated-{name}/bin/python"
        covered = (
            *(f"--cov={module}" for module in modules),
            "--cov-branch",
            "--cov-fail-under=100",
            "--cov-config=/dev/null",
        )
        tests = (python, "-m", "pytest", "-q", "-n", "2", *covered, HERE / f"{name}_adapter.py")
        sources = [HERE.parents[1] / f"core/{module.replace('.', '/')}" for module in modules]
        paths = [source if source.is_dir() else f"{source}.py" for source in sources]
        types = (python, "-m", "mypy", "--strict", "--follow-imports=silent", *paths)
        # Environment variables of the test are passed to that environment.
        names = {"HOME", "PATH", "RESULTS"}
        variables = {name: value for name, value in os.environ.items() if name in names}
        variables |= {"COVERAGE_FILE": str(tmp_path / "coverage")}
        for command in (tests, types):
            done = subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                cwd=HERE.parents[1],
                env=variables,
                timeout=seconds,
            )
            assert done.returncode == 0, done.stdout + done.stderr

    return run_tests


def configuration(emulator: Emulator, extra: int = 0) -> str:
    """Return a configuration with a connection to each provider, and extra ones to OroCommerce."""
    tables = {name: (name, emulator.settings(name)) for name in emulator.providers}
    tables["shop"] = "orocommerce", emulator.settings("orocommerce")
    for number in range(extra):
        tables[f"tenant-{number:04}"] = tables["shop"]
    lines = []
    for name, (provider, settings) in tables.items():
        lines += [f"[connections.{name}]", f"provider = {json.dumps(provider)}"]
        lines += [f"{setting} = {json.dumps(value)}" for setting, value in settings.items()]
    return "\n".join(lines)


@contextlib.contextmanager
def running_agent(
    directory: Path, extra: int = 0, arguments: tuple[str, ...] = ()
) -> Generator[Agent]:
    """Run an agent, and the emulator behind it.

    Args:
        directory: The directory for its files.
        extra: The number of further connections that it serves.
        arguments: Arguments of `keyturn serve`.
    """
    config = directory / "keyturn.toml"
    config.touch(mode=0o600)
    with Emulator() as emulator:
        config.write_text(configuration(emulator, extra), encoding="utf-8")
        with connect("orocommerce", **emulator.settings("orocommerce")) as connection:
            url = urlsplit(connection.api_url)
        command = [sys.executable, "-m", "keyturn", "--config", config, "serve", *arguments]
        options = {"KEYTURN_SERVE_SECRET": SECRET, "KEYTURN_STORE": "memory://"}
        process = subprocess.Popen(
            command, env={**os.environ, **options}, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            path = f"{url.path}{emulator.resource('orocommerce')}"
            yield Agent(address, emulator, path, f"{url.scheme}://{url.netloc}")
        finally:
            process.terminate()
            assert process.wait(READY_WITHIN) == 0
            process.stdout.close()


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """Yield an agent that serves five connections."""
    with running_agent(tmp_path_factory.mktemp("agent")) as running:
        yield running


def survive(agent: Agent, call: Callable[[], str]) -> dict[str, Any]:
    """Call eight times at once, before and after the API has revoked all tokens.

    Returns:
        The fields of a row that this shows; see `tests.integrated.results.record`.
    """
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: call(), range(8))) == ["200"] * 8
        agent.emulator.revoke_tokens("orocommerce")
        before = agent.emulator.token_requests("orocommerce")
        assert list(pool.map(lambda _: call(), range(8))) == ["200"] * 8
    assert agent.emulator.token_requests("orocommerce") == before + 1
    return {"healed": True, "parallel": 8, "lines": 1, "secrets": BEHIND_SERVE}


@pytest.fixture
def run() -> Callable[..., str]:
    """Return a function that runs a program, and returns its output."""

    def start(*command: Any, given: str = "", **variables: str) -> str:
        program = shutil.which(str(command[0])) or _not_installed(str(command[0]))
        result = subprocess.run(
            [program, *map(str, command[1:])],
            cwd=HERE,
            env={**os.environ, **variables},
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    return start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Yield a function that starts a server, and waits until it listens; it ends with the test."""
    processes: list[subprocess.Popen[bytes]] = []

    def start_server(port: int, *command: Any, log: Path = tmp_path / "log") -> None:
        # Debian installs nginx in a directory that is only in root's PATH.
        path = f"{PYTHON.parent}:{os.environ['PATH']}:/usr/sbin"
        program = shutil.which(str(command[0]), path=path) or _not_installed(str(command[0]))
        with log.open("wb") as output:
            processes.append(
                subprocess.Popen(
                    [program, *map(str, command[1:])],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
        end = time.monotonic() + READY_WITHIN
        while time.monotonic() < end and processes[-1].poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.05)
        pytest.fail(f"not ready: {command}\n{log.read_text(errors='replace')}")

    yield start_server
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(READY_WITHIN)


def wait_for(url: str) -> None:
    """Wait until a server responds; a server that listens may not be ready yet."""
    end = time.monotonic() + READY_WITHIN
    while time.monotonic() < end:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, trust_env=False).is_success:
                return
        time.sleep(0.05)
    pytest.fail(f"no response from {url}")


@pytest.fixture
def port() -> int:
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
        return number


def _not_installed(program: str) -> NoReturn:
    pytest.fail(f"{program} is not installed: run make test-platforms")
