"""A canary secret and token in every command: not in its output, nor in process arguments."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.conftest import HIDDEN

import keyturn

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.conftest import RawServer
    from tests.threats.conftest import Canary

    Serve = Callable[..., RawServer]

# Every Python process writes its arguments, and those of its children, to one file.
AUDIT = """
import os, sys
log = os.open(os.environ["AUDIT_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def note(event, arguments):
    if event in {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.spawn"}:
        os.write(log, (repr((event, *arguments[:2])) + "\\n").encode())
sys.addaudithook(note)
os.write(log, (repr(sys.orig_argv) + "\\n").encode())
"""
# A secret's own command records the arguments of its parent, which every user can read.
PRINT_SECRET = 'cat "/proc/$PPID/cmdline" >>"$AUDIT_LOG"; printf "%s\\n" "$SHOP_SECRET"'
CONFIGURATION = """
[connections.shop]
provider = "commercelayer"
kind = "integration"
client_id = "cid"
token_url = "{url}/oauth/token"
api_url = "{url}/api"
timeout = {seconds}
client_secret = {secret}
"""
SOURCES = {
    "env": '{ env = "SHOP_SECRET" }',
    "file": '{ file = "%(file)s" }',
    "command": '{ command = ["sh", "-c", %(command)s] }',
    "written": '"%(secret)s"',
}
COMMANDS: dict[str, list[str]] = {
    "providers": ["providers"],
    "schema": ["schema", "commercelayer"],
    "check": ["check"],
    "status": ["status", "--format", "json"],
    "token": ["token", "shop"],
    "explain": ["explain", "shop"],
    "request": ["request", "shop", "GET", "/api/skus"],
    "revoke": ["revoke", "shop"],
    "forget": ["forget", "shop"],
}
FORMATS = [
    ["token", "shop", "--renew"],
    *(["token", "shop", "--format", form] for form in ("header", "headers", "json", "env")),
    *(["token", "shop", "--format", form] for form in ("exec-credential", "credential-helper")),
]
OTHERS = [
    *(["config", "show"], ["connections", "list"], ["complete", "--", "token", ""]),
    ["plugins"],
    ["doctor"],
    ["doctor", "--format", "json"],
    ["schema", "generic"],
]
# The expected exit codes; a token endpoint may have reached its rate limit.
CODES = {"fine": {0}, "half": {0, 1, 3}, "refused": {0, 3}, "broken": {0, 4, 5}}
# One process for many commands, in several homes, because imports take most of a command's time.
RUN_ALL = """
import io, json, os, sys
from keyturn._cli import main
for number, (home, given, commands) in enumerate(json.loads(sys.argv[1])):
    os.environ["HOME"] = home
    os.environ["KEYTURN_CONFIG"] = os.path.join(home, "keyturn.toml")
    os.environ["KEYTURN_STORE"] = f"disk://{home}/store"
    print(f"\\nhome {number}")
    for arguments in commands:
        sys.stdin = io.StringIO(given)
        print(f"\\nexit code {main(arguments)}", flush=True)
"""

# Each in a process of its own, forked after the common imports.
RUN_EACH = """
import gc, json, os, runpy, sys
import httpx, keyturn._cli.commands, keyturn._cli.overview, keyturn._cli.tokens, keyturn._config
import keyturn._connection, keyturn._http.exchange, keyturn._tokens.explain, keyturn.plugins
import keyturn.stores._disk, keyturn_commercelayer, tomllib
gc.freeze()
for number, arguments in enumerate(json.loads(sys.argv[1])):
    child = os.fork()
    if not child:
        ends = os.pipe()
        os.write(ends[1], sys.argv[2].encode())
        os.close(ends[1])
        os.dup2(ends[0], 0)
        output = os.path.join(os.environ["HOME"], f"output-{number}")
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT, 0o600), 1)
        sys.argv[1:] = arguments
        runpy.run_module("keyturn", run_name="__main__", alter_sys=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def responses(canary: Canary, kind: str, path: bytes) -> bytes:
    """Return a server's response; an error response quotes everything that was sent."""
    if path == b"/oauth/token":
        if kind == "refused":
            error = {"error": "invalid_client", "error_description": canary.quoted_secret}
            return http_response(401, json.dumps(error))
        if kind == "broken":
            return canary.quoted_secret.encode()
        body = {"access_token": canary.token, "token_type": "Bearer", "expires_in": 3600}
        return http_response(200, json.dumps(body))
    if kind == "fine":
        return http_response(200, '{"data": []}')
    error = {"errors": [{"title": "invalid_token", "detail": canary.quoted}]}
    # The command prints an API's response body, but not its headers.
    return http_response(403, json.dumps(error) if path == b"/oauth/revoke" else "{}")


def http_response(status: int, body: str) -> bytes:
    """Return the bytes of an HTTP response."""
    return (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


@attrs.frozen
class Place:
    """A user's home with a configuration, and the processes that run there."""

    home: Path
    environment: dict[str, str]
    canary: Canary

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in its own process."""
        return self._start("-m", "keyturn", *arguments)

    def run(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        """Start Python code in its own process."""
        return self._start("-c", code, *arguments)

    def run_all(self, *homes: tuple[Place, Sequence[list[str]]]) -> subprocess.Popen[str]:
        """Start a process that runs all commands of each home."""
        runs = [(str(each.home), helper_request(each), commands) for each, commands in homes]
        return self.run(RUN_ALL, json.dumps(runs))

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def arguments(self) -> str:
        """The arguments of all processes that were started in this home."""
        return (self.home / "arguments.log").read_text(encoding="utf-8").replace("\0", " ")

    def check_files(self) -> None:
        """Check that no file contains the secret, nor a token that other users can read."""
        given = {self.home / "keyturn.toml", self.home / "secret"}
        for path in {path for path in self.home.rglob("*") if path.is_file()} - given:
            text = path.read_bytes().decode("latin-1")
            assert self.canary.in_text(text.replace(self.canary.token, "")) == [], path
            assert self.canary.token not in text or path.stat().st_mode & 0o077 == 0


@pytest.fixture
def place(canary: Canary, serve: Serve, tmp_path: Path) -> Callable[..., Place]:
    """Return a function that makes a user's home, connected to a server of a kind."""

    def make(kind: str, source: str = "env") -> Place:
        def response(server: RawServer, connection: socket.socket) -> None:
            path = server.read_request(connection).split()[1]
            connection.sendall(responses(canary, kind, path))

        home = tmp_path / f"{kind}-{source}-{len(list(tmp_path.iterdir()))}"
        home.mkdir()
        url = f"http://127.0.0.1:{serve(response).port}"
        (home / "sitecustomize.py").write_text(AUDIT, encoding="utf-8")
        for name in ("secret", "keyturn.toml"):
            (home / name).touch(mode=0o600)
        (home / "secret").write_text(canary.secret, encoding="utf-8")
        known = {
            "file": home / "secret",
            "command": json.dumps(PRINT_SECRET),
            "secret": canary.secret,
        }
        # With less time than a pause takes, a broken response is not tried again.
        seconds = 0.24 if kind == "broken" else 20
        text = CONFIGURATION.format(url=url, secret=SOURCES[source] % known, seconds=seconds)
        (home / "keyturn.toml").write_text(text, encoding="utf-8")
        made = Place(home, environment(home, canary), canary)
        if kind in {"fine", "half"}:
            prime(url, canary, home)
        return made

    return make


def environment(home: Path, canary: Canary) -> dict[str, str]:
    """Return the environment variables of a user with this home."""
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("XDG_")}
    return inherited | {
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join([str(home), str(HIDDEN), *sys.path]),
        "AUDIT_LOG": str(home / "arguments.log"),
        "KEYTURN_CONFIG": str(home / "keyturn.toml"),
        "KEYTURN_STORE": f"disk://{home}/store",
        "SHOP_SECRET": canary.secret,
    }


def prime(url: str, canary: Canary, home: Path) -> None:
    """Put the canary token into the store of a home."""
    with keyturn.connect(
        "commercelayer",
        kind="integration",
        store=f"disk://{home}/store",
        client_id=canary.client_id,
        client_secret=canary.secret,
        token_url=f"{url}/oauth/token",
        api_url=f"{url}/api",
    ) as connection:
        connection.token()


@pytest.fixture
def finish() -> Iterator[Callable[..., tuple[str, str]]]:
    """Return a function that waits for a process and returns its output."""
    processes: list[subprocess.Popen[str]] = []

    def wait(process: subprocess.Popen[str], given: str = "") -> tuple[str, str]:
        processes.append(process)
        return process.communicate(given, timeout=50)

    yield wait
    for process in processes:
        process.kill()
        process.wait()


def helper_request(place: Place) -> str:
    """Return the input of a credential helper."""
    text = (place.home / "keyturn.toml").read_text(encoding="utf-8")
    return json.dumps({"uri": tomllib.loads(text)["connections"]["shop"]["api_url"]})


def test_command_that_succeeds_shows_no_canary(
    place: Callable[..., Place], finish: Callable[..., tuple[str, str]], canary: Canary
) -> None:
    """A recorded terminal, or the output of a job, would contain a secret or a token."""
    here = place("fine")
    arguments = [["-v", *command] for command in COMMANDS.values()]
    process = here.run(RUN_EACH, json.dumps(arguments), helper_request(here))
    codes, trouble = finish(process)

    assert process.returncode == 0, trouble
    assert codes.split() == ["0"] * len(COMMANDS), trouble
    for number, command in enumerate(COMMANDS):
        output = (here.home / f"output-{number}").read_text(encoding="utf-8")
        if command == "token":
            assert output == f"{canary.token}\n"
            output = ""
        assert canary.in_text(output) == []
        (here.home / f"output-{number}").unlink()
    assert canary.in_text(trouble + here.arguments) == []
    here.check_files()


def test_commands_show_no_canary_for_any_response(
    place: Callable[..., Place], finish: Callable[..., tuple[str, str]], canary: Canary
) -> None:
    """A server's message that quotes the secret would show it in the output of a failure."""
    homes = {kind: place(kind) for kind in CODES}
    commands = [*COMMANDS.values(), *OTHERS]
    arguments = {
        kind: [
            [*options, *command]
            for options in ([], ["-v"])
            for command in (*commands, *(FORMATS if kind == "fine" else ()))
        ]
        for kind in homes
    }
    here = homes["fine"]
    process = here.run_all(*((home, arguments[kind]) for kind, home in homes.items()))
    output, trouble = finish(process)

    assert process.returncode == 0, trouble
    before, *outputs = re.split(r"^home \d$", output, flags=re.MULTILINE)
    assert canary.in_text(before + trouble + here.arguments) == []
    for (kind, home), shown in zip(homes.items(), outputs, strict=True):
        codes = [int(code) for code in re.findall(r"^exit code (\d+)$", shown, re.MULTILINE)]
        assert len(codes) == len(arguments[kind]), kind
        assert set(codes) <= CODES[kind], kind
        has_token = kind in {"fine", "half"}
        assert (canary.token in shown) == has_token, kind
        assert canary.in_text(shown.replace(canary.token, "")) == [], kind
        home.check_files()


def test_secret_of_any_source_is_not_on_a_command_line(
    place: Callable[..., Place],
    finish: Callable[..., tuple[str, str]],
    canary: Canary,
) -> None:
    """Every user of the host could read the secret in the arguments of a process."""
    here = place("refused")
    paths = [place("refused", source).home / "keyturn.toml" for source in SOURCES]
    arguments = [["-v", "check", "--config", str(path)] for path in paths]
    output, trouble = finish(here.run_all((here, arguments)))

    assert output.count("InvalidClient") == output.count("exit code 3") == len(SOURCES)
    assert canary.in_text(output + trouble + here.arguments) == []
    assert "-c \nimport io, json" in here.arguments  # as recorded by the secret's own command


MISTAKES = {
    "another setting": ('"integration"', '"%(secret)s"'),
    "host": ('url = "', 'url = "https://%(secret)s@'),
    "line": ("timeout = 20", "timeout = %(secret)s"),
    "list": ("client_secret = ", 'client_secret = ["%(secret)s"] #'),
    "table": ("client_secret = ", 'client_secret = { value = "%(secret)s" } #'),
    "source": ("client_secret = ", 'client_secret = { envv = "%(secret)s" } #'),
}


def test_error_in_the_configuration_shows_no_canary(
    place: Callable[..., Place],
    finish: Callable[..., tuple[str, str]],
    canary: Canary,
) -> None:
    """The message about a wrong file would quote its content, which may be the secret."""
    here = place("refused", "written")
    text = (here.home / "keyturn.toml").read_text(encoding="utf-8")
    arguments = []
    for name, (right, wrong) in MISTAKES.items():
        path = here.home / f"{name}.toml"
        path.touch(mode=0o600)
        path.write_text(text.replace(right, wrong % {"secret": canary.secret}, 1), encoding="utf-8")
        arguments.append(["-v", "check", "--config", str(path)])
    output, trouble = finish(here.run_all((here, arguments)))

    assert output.count("exit code 2") == len(MISTAKES), trouble
    assert canary.in_text(output + trouble) == []


DEMO_STEPS = [
    "1. Get a token from each provider, by its name, and call its API",
    "2. Get the same tokens from the store, without a token request",
    "3. Threads that find no token send one token request together",
    "4. Processes that find no token send one token request together",
    "5. keyturn renews a token before it expires, and no call waits",
    "6. keyturn replaces a token that the API rejects, and repeats the request",
]


def test_demo_shows_every_step_and_no_secret(
    place: Callable[..., Place], finish: Callable[..., Any]
) -> None:
    """A new user publishes the output of the demo: it would contain a secret."""
    here = place("fine")
    here.environment.update(
        {"KEYTURN_CONNECTIONS__X__CLIENT_ID": "made-up", "TMPDIR": str(here.home)}
    )
    process = here.start("-v", "demo")
    output, trouble = finish(process)

    assert process.returncode == 0, output + trouble
    assert [line for line in output.splitlines() if line[:1].isdigit()] == DEMO_STEPS
    assert "100 threads: 1 token request" in output
    assert "8 processes, each `keyturn token shop`: 1 token request" in output
    assert "\x1b" not in output
    assert "eyJ" not in output
    assert not list(here.home.glob("keyturn-*"))
    assert here.canary.in_text(output + trouble + here.arguments) == []
    # The emulated clients' secrets and tokens are random: long strings of word characters.
    assert re.findall(r"[\w.-]{24,}", output + trouble) == []
    arguments = here.arguments.replace(str(here.home), "")
    started = [line for line in arguments.splitlines() if line.startswith("(")]
    # From Python 3.13 on, subprocess uses os.posix_spawn, which has an audit event of its own.
    by_module = [line for line in started if line.startswith("('subprocess.Popen'")]
    assert len([line for line in by_module if "'keyturn'" in line]) == 8
    assert [line for line in started if re.search(r"[\w=+-]{24,}", line)] == []


def test_emulator_logs_neither_secrets_nor_tokens(
    place: Callable[..., Place], finish: Callable[..., Any]
) -> None:
    """The log of the emulator would contain what its clients send and receive."""
    here = place("fine")
    process = here.start("-v", "emulate")
    assert process.stderr is not None
    assert process.stdout is not None
    first = process.stderr.readline()  # after all other output
    printed = os.read(process.stdout.fileno(), 65_536).decode()
    settings = tomllib.loads(printed)["connections"]["orocommerce"]
    provider = settings.pop("provider")
    with keyturn.connect(provider, store="memory://", **settings) as connection:
        token = connection.token().access_token
    with (
        keyturn.connect(provider, store="memory://", **settings | {"client_secret": "x"}) as wrong,
        pytest.raises(keyturn.errors.InvalidClient),
    ):
        wrong.token()
    process.terminate()
    output, trouble = finish(process)

    assert process.returncode == 0, trouble
    assert settings["client_secret"] not in first + trouble + output + here.arguments
    assert token not in printed + output + first + trouble + here.arguments


LEAK = """
import os, pathlib, sys
secret = os.environ["SHOP_SECRET"]
print(secret.encode().hex())
sys.stderr.write(f"Bearer {secret}")
pathlib.Path(os.environ["HOME"], "leak").write_text(secret)
"""


def test_leak_of_a_command_is_detected(
    place: Callable[..., Place], finish: Callable[..., tuple[str, str]], canary: Canary
) -> None:
    """The tests above would prove nothing if a leak were not detected."""
    here = place("refused")
    output, trouble = finish(here.run(LEAK, canary.secret))

    for text in (output, trouble, here.arguments):
        assert canary.in_text(text) != []
    with pytest.raises(AssertionError):
        here.check_files()
