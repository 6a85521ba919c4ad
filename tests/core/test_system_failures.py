"""System failures in the library: never reported as a defect of keyturn or of a provider."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import keyturn
from keyturn import errors
from keyturn._http.values import translate_errors, usable
from keyturn._plugins.loading import plugin_manager

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RawServer, World

FAILURES = [
    (OSError(errno.ENOSPC, "s3cret"), "No space left on device"),
    (OSError(errno.EACCES, "s3cret", "s3cret"), "Permission denied"),
    (OSError(errno.EMFILE, "s3cret"), "Too many open files. Raise the limit of open files"),
    (MemoryError("s3cret"), "Cannot allocate memory"),
]
NAMES = ["disk", "permission", "files", "memory"]


@pytest.mark.parametrize(("failure", "words"), FAILURES, ids=NAMES)
@pytest.mark.parametrize("place", ["token_request", "read_token", "authorization"])
def test_system_failure_in_a_provider_is_not_reported_as_its_defect(
    world: World, failure: Exception, words: str, place: str
) -> None:
    """A user would report a full disk to the provider's authors."""

    def fail(*_: object) -> None:
        raise failure

    with pytest.raises(errors.KeyturnError) as caught:
        world.connect(world.changed(**{place: fail})).headers()

    assert words in str(caught.value)
    assert "defect" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(("failure", "words"), FAILURES, ids=NAMES)
def test_system_failure_in_a_request_is_not_reported_as_a_defect(
    world: World, monkeypatch: pytest.MonkeyPatch, failure: Exception, words: str
) -> None:
    """A failed import at the first token request would be reported as a defect of keyturn."""

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr("keyturn._tokens.sending.request_token", fail)
    with pytest.raises(errors.KeyturnError) as caught:
        world.connect().token()

    assert words in str(caught.value)
    assert "defect" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_system_failure_at_the_import_of_a_plugin_is_not_its_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user would report a missing file permission to the plugin's authors."""
    information = tmp_path / "unreadable-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: unreadable\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[keyturn.providers]\nunreadable = unreadable\n")
    (tmp_path / "unreadable.py").write_text("raise PermissionError(13, 's3cret', 's3cret')\n")
    monkeypatch.syspath_prepend(tmp_path)
    plugin_manager.cache_clear()
    with pytest.raises(errors.ProviderLoadError) as caught:
        keyturn.provider("unreadable")
    plugin_manager.cache_clear()

    assert "can't be used: Permission denied." in str(caught.value)
    assert "authors" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_failure_in_a_hook_is_logged_with_its_cause(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The log would say that a plugin failed with OSError, but not why."""

    class Full:
        @keyturn.plugins.hookimpl
        def keyturn_event(self, event: keyturn.Event) -> None:
            del event
            raise OSError(errno.ENOSPC, "s3cret")

    plugin = Full()
    plugin_manager().register(plugin)
    try:
        world.connect().token()
        world.land()
    finally:
        plugin_manager().unregister(plugin)

    assert "OSError (No space left on device)" in caplog.text
    assert "s3cret" not in caplog.text


EXHAUSTED = """
import json, os, resource, sys
import keyturn
settings = {"url": sys.argv[1], "client_id": "a", "client_secret": "b"}
connection = keyturn.connect("orocommerce", settings, store="memory://", timeout=20)
if sys.argv[2] == "warm":
    connection.token()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
try:
    connection.token(stale=connection.token() if sys.argv[2] == "warm" else None)
    found = "a token"
except keyturn.errors.KeyturnError as error:
    found = f"{type(error).__name__}: {error}"
for each in taken:
    os.close(each)
print(json.dumps([found, connection.token().token_type]))
"""


@pytest.mark.parametrize("state", ["warm", "cold"])
def test_process_without_a_free_file_descriptor(
    serve: Callable[..., RawServer], state: str
) -> None:
    """A descriptor leak of the application would be reported as a defect of keyturn."""
    body = b'{"access_token":"t","token_type":"Bearer","expires_in":60}'
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    url = serve(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body).url
    command = [sys.executable, "-c", EXHAUSTED, url.removesuffix("/token"), state]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    found, token_type = json.loads(done.stdout or json.dumps([done.stderr, ""]))
    assert "Too many open files" in found
    assert "ulimit -n" in found
    assert "defect" not in found
    assert token_type == "Bearer"


def _refuse_import() -> str:
    raise ImportError("sys.meta_path is None")


def test_import_that_fails_while_python_ends_is_reported_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A destructor's failed import would be called a bug, or the key would be blamed."""
    monkeypatch.setattr(sys, "is_finalizing", lambda: True)

    for work in (
        lambda: usable(_refuse_import, "private_key: can't sign", "Give a private key."),
        lambda: translate_errors("provider acme", _refuse_import),
    ):
        with pytest.raises(errors.KeyturnError) as caught:
            work()
        assert "Python is ending, and imports no module" in caught.value.message
        assert "before the program ends" in caught.value.hint


def test_failed_import_in_a_running_program_keeps_its_own_advice() -> None:
    """A library that is not installed would be reported as the end of the program."""
    with pytest.raises(errors.ConfigurationError) as caught:
        usable(_refuse_import, "private_key: can't sign", "Give a private key.")

    assert (caught.value.message, caught.value.hint) == (
        "private_key: can't sign (ImportError).",
        "Give a private key.",
    )
