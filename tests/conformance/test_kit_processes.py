"""How the provider kit watches providers, limits their time and repeats them in a process."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn.testing.provider_kit import _elsewhere as elsewhere
from keyturn.testing.provider_kit import _global_state as global_state
from keyturn.testing.provider_kit import _limits as limits
from keyturn.testing.provider_kit import _run as kit
from keyturn.testing.provider_kit import _second as second
from keyturn.testing.provider_kit._examples import Examples
from keyturn.testing.provider_kit._subject import opened

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

SETTINGS = {"client_id": "made-up", "client_secret": "s3cret-for-tests"}


class Acme(keyturn.plugins.Provider[Any]):
    """A correct provider."""

    name = "acme"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://acme.example/oauth/token"


class Connects(Acme):
    """Connects to another host."""

    def token_request(self, settings: Any) -> keyturn.plugins.TokenRequest:
        """Connect, and return the usual request."""
        with contextlib.suppress(OSError):
            socket.create_connection(("192.0.2.1", 9), timeout=1).close()
        return super().token_request(settings)


def test_connection_to_another_host_fails_every_check() -> None:
    """A provider would send secrets elsewhere while it is checked."""
    with opened(Connects(), SETTINGS, Examples()) as subject:
        failure = kit.check("well_formed_request", subject)

    assert "while well_formed_request was checked, the provider resolves a host name" in str(
        failure
    )


class Reports(Acme):
    """Connects to the port that its client ID names."""

    def token_request(self, settings: Any) -> keyturn.plugins.TokenRequest:
        """Connect, and return the usual request."""
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", int(settings.client_id)), timeout=5).close()
        return super().token_request(settings)


def test_second_process_reaches_no_other_host() -> None:
    """The second process would let a provider send a user's secrets elsewhere."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = {**SETTINGS, "client_id": str(server.getsockname()[1])}
        with opened(Reports(), settings, Examples()) as subject:
            kit.check("isolation", subject)
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_import_that_connects_is_reported() -> None:
    """`keyturn verify` would import code that connects to other hosts, and report nothing."""

    def load() -> Any:
        socket.create_connection(("192.0.2.1", 9), timeout=1).close()

    with pytest.raises(keyturn.errors.ConfigurationError, match="resolves a host name"):
        kit.loaded(load)


class Waits(Acme):
    """Waits forever in its token request."""

    event = threading.Event()

    def token_request(self, settings: Any) -> keyturn.plugins.TokenRequest:
        """Wait."""
        self.event.wait()
        return super().token_request(settings)


def test_check_that_hangs_ends_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each check after it would wait as long."""
    monkeypatch.setattr(limits, "SECONDS", 0.5)
    report = kit.run(Waits(), SETTINGS, Examples())
    Waits.event.set()

    assert isinstance([*report.failures.values()][-1], limits.Hung)
    assert report.request is None


def test_failure_without_a_known_line_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure would name a line outside the provider."""
    monkeypatch.setattr(limits, "SECONDS", 0.1)
    event = threading.Event()

    def work() -> None:
        event.wait()

    failure = limits.within_limit(work, ())
    event.set()

    assert failure is not None
    assert failure.at == ""


def test_second_process_ends_when_its_parent_is_killed(
    spawn: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """A provider that waits forever would leave a process behind when a run is ended."""
    path = tmp_path / "waits.py"
    path.write_text("print(flush=True)\nwhile True:\n    pass\n", encoding="utf-8")
    names = {"entry": "", "module": "waits", "file": str(path), "class": "Acme", "name": "acme"}
    code = (
        "from keyturn.testing.provider_kit import _second as second; "
        "second.contextlib.redirect_stdout = second.contextlib.nullcontext; second.main()"
    )
    process = spawn([sys.executable, "-c", code])
    assert process.stdin is not None
    assert process.stdout is not None
    given = {"out": "made-up", "providers": [{**names, "places": [str(path)]}]}
    process.stdin.write(f"{json.dumps(given)}\n")
    process.stdin.flush()
    process.stdout.readline()  # the provider waits
    process.communicate(timeout=40)  # it closes the pipe

    assert process.returncode == 1


CLOCKS = """import datetime, time
import keyturn
MADE = (
    time.strftime("%Y"), time.localtime().tm_year, time.gmtime().tm_year,
    datetime.datetime.now().year, datetime.datetime.utcnow().year,
    datetime.datetime.today().year, datetime.date.today().year,
    isinstance(datetime.datetime(2026, 1, 1), datetime.date),
)
class Acme(keyturn.plugins.Provider):
    name = "acme"
    title = " ".join(map(str, MADE))
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://acme.example/token"
    token_headers = {"X-Made": title}
"""


def test_clocks_differ_in_the_second_process(tmp_path: Path) -> None:
    """A provider that keeps the date of its import would pass."""
    path = tmp_path / "acme_clocks.py"
    path.write_text(CLOCKS, encoding="utf-8")
    reply = {"status": 200, "headers": {}, "body": "{}", "sent_at": 0.0}
    case = {"name": "a", "values": SETTINGS, "token": "a"}
    names = {"entry": "", "module": "no_such.acme_clocks", "file": str(path), "class": "Acme"}
    rest = {"name": "acme", "places": [str(path)], "cases": [case]}
    (found,) = elsewhere.run_second([{**names, **rest, "reply": reply, "error": reply}])

    header = found["outcomes"]["a"]["token_request"]["header X-Made"]
    assert len(set(header.strip("'").split()[:-1])) == 1
    assert second.__name__ == "keyturn.testing.provider_kit._second"


def test_second_process_that_can_not_be_started_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kit would end with an error of its own where no second process may be started."""
    monkeypatch.setattr("sys.executable", "/no/such/python")
    (found,) = elsewhere.run_second([{}])

    assert found == {"problem": "the second process failed with FileNotFoundError", "effects": []}


def test_state_of_a_process_without_signal_masks_is_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On Windows, the kit would end with an error."""
    monkeypatch.delattr("signal.pthread_sigmask")
    before = global_state.global_state()

    assert global_state.changed(before, global_state.global_state()) == []
