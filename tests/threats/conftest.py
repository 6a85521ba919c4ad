"""Canaries, a watch over all visible output, and clients of a disk store."""

from __future__ import annotations

import base64
import copy
import functools
import io
import json
import logging
import pickle
import pprint
import re
import traceback
import urllib.parse
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.conftest import World

import keyturn
from keyturn._plugins.loading import plugin_manager

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from tests.conftest import RawServer


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": lambda text: text.replace("/", "\\/"),  # some encoders escape the slash
    "JSON, each character": lambda text: re.sub(
        "....", r"\\u\g<0>", text.encode("utf-16-be").hex()
    ),
    "octal": lambda text: "".join(f"\\{each:03o}" for each in text.encode()),
    "URL": lambda text: urllib.parse.quote(text, safe=""),
    "URL in lower case": lambda text: re.sub(
        "%..", lambda match: match[0].lower(), urllib.parse.quote(text, safe="")
    ),
    "URL twice": lambda text: urllib.parse.quote_plus(urllib.parse.quote(text, safe="")),
    "HTML": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in upper case": lambda text: text.encode().hex().upper(),
    **{
        f"Base64 after {len(before)} bytes": lambda text, before=before: encoded(before + text)
        for before in ("", "x", "xy")
    },
    "Base64 for URLs": lambda text: encoded(text).translate(str.maketrans("+/", "-_")),
    "Basic": lambda text: encoded(f"cid:{text}"),
    "Basic, form-encoded": lambda text: encoded(f"cid:{urllib.parse.quote_plus(text)}"),
    "Basic, reversed": lambda text: encoded(f"{text}:cid"),
}


def encoded(text: str) -> str:
    """Return a string in Base64."""
    return base64.b64encode(text.encode()).decode()


def cores(text: str) -> set[str]:
    """Return the part of a string's Base64 that is the same whatever stands before and after it."""
    data = text.encode()
    whole = [encoded("x" * before + text)[-(-before * 8 // 6) :] for before in range(3)]
    lengths = [(before + len(data)) * 8 // 6 - -(-before * 8 // 6) for before in range(3)]
    standard = {each[:length] for each, length in zip(whole, lengths, strict=True)}
    return standard | {each.translate(str.maketrans("+/", "-_")) for each in standard}


class Canary:
    """A secret and a token that must not be visible, neither plainly nor encoded."""

    client_id = "cid"
    secret = "c4nary+s3cret/1"
    token = "c4nary.t0ken.0123456789abcdef"

    def __init__(self) -> None:
        quoted = urllib.parse.quote_plus(self.secret)
        self.basic = encoded(f"{self.client_id}:{quoted}")
        bare = {self.secret, self.token, quoted}
        plain = {
            encode(each) for name, encode in ENCODINGS.items() for each in bare if "B" not in name
        }
        self.forms = {*plain, *(core for each in bare for core in cores(each))}
        # Quotes of the request and of the issued token, as a server may repeat them.
        self.quoted_secret = " ".join(encode(self.secret) for encode in ENCODINGS.values())
        self.quoted = f"{self.quoted_secret} " + " ".join(
            encode(self.token) for encode in ENCODINGS.values()
        )

    def in_text(self, text: str) -> list[str]:
        """Return the lines of a string that contain a canary."""
        found = [form for form in self.forms if form in text]
        return [line for line in text.splitlines() if any(form in line for form in found)]


class Watch:
    """Collects everything that is visible from outside."""

    def __init__(self, canary: Canary, output: pytest.CaptureFixture[str]) -> None:
        self.canary = canary
        self.output = output
        self.seen: list[str] = []
        self._events: list[keyturn.Event] = []
        self.log = io.StringIO()

    @keyturn.plugins.hookimpl
    def keyturn_event(self, event: keyturn.Event) -> None:
        """Record an event."""
        self._events.append(event)
        self.look_at(event, attrs.asdict(event))

    def look_at(self, *values: object) -> None:
        """Record what values show when they are printed, formatted or inspected."""
        for value in values:
            shown = [repr(value), str(value), f"{value}", ascii(value), pprint.pformat(value)]
            self.seen += [*shown, repr(getattr(value, "__dict__", ""))]

    def look_at_copies(self, *values: object) -> None:
        """Record what copies and pickles of values show, where they can be made."""
        for value in values:
            for copied in (copy.copy, copy.deepcopy, pickle.dumps):
                try:
                    self.look_at(copied(value))
                except Exception as error:  # noqa: BLE001 - a value that can't be copied leaks nothing
                    self.look_at(error, error.args)

    def look_into(self, settings: attrs.AttrsInstance) -> None:
        """Record what a dump of all fields of settings shows."""
        self.look_at(settings, attrs.asdict(settings), attrs.astuple(settings))
        self.look_at_copies(settings)
        self.seen.append(json.dumps(attrs.asdict(settings), default=str))
        self.seen.append(json.dumps(attrs.asdict(settings), default=repr))

    def look_at_error(self, error: BaseException) -> None:
        """Record an error, its causes, and its tracebacks with local variables."""
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        self.seen.append("".join(shown.format()))
        behind: BaseException | None = error
        while behind is not None:
            self.look_at(behind, behind.args)
            if isinstance(behind, keyturn.errors.KeyturnError):
                self.look_at_copies(behind)
            behind = behind.__cause__ or behind.__context__

    @property
    def events(self) -> list[keyturn.Event]:
        """All events of the token requests so far; they may arrive after the token."""
        World.land()
        return self._events

    def check(self) -> None:
        """Check that nothing recorded contains a canary."""
        assert all(isinstance(event, keyturn.Event) for event in self.events)
        self.seen += self.output.readouterr()
        found = self.canary.in_text("\n".join([*self.seen, self.log.getvalue()]))
        assert found == []


class _WithArguments(logging.Formatter):
    """Formats a record as structured loggers do: with its arguments, and frames with locals."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        error: BaseException = ei[1]
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(shown.format())


@pytest.fixture
def canary() -> Canary:
    """Return the canaries."""
    return Canary()


@pytest.fixture
def watch(canary: Canary, capfd: pytest.CaptureFixture[str]) -> Iterator[Watch]:
    """Return a watch over all logs at DEBUG level, over events and over printed output."""
    watch = Watch(canary, capfd)
    handler = logging.StreamHandler(watch.log)
    handler.setFormatter(_WithArguments("%(name)s %(message)s %(args)r"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    plugin_manager().register(watch)
    yield watch
    plugin_manager().unregister(watch)
    root.setLevel(level)
    root.removeHandler(handler)
    watch.check()


class Customer:
    """Requests tokens through a disk store, from an endpoint that numbers them from 1.

    Args:
        endpoint: The token endpoint.
        log: The log records.
    """

    def __init__(self, endpoint: RawServer, log: pytest.LogCaptureFixture) -> None:
        self.endpoint = endpoint
        self._log = log

    def connect(self, directory: Path) -> keyturn.Connection:
        """Return a connection with a newly opened store, as another process would."""
        return self._connected(keyturn.stores.from_url(f"disk://{directory}"))

    def _connected(self, store: keyturn.stores.Store) -> keyturn.Connection:
        return keyturn.connect(
            "commercelayer",
            kind="integration",
            store=store,
            token_url=f"http://127.0.0.1:{self.endpoint.port}/oauth/token",
            client_id="cid",
            client_secret="s3cret-for-tests",
        )

    def token(self, directory: Path, *, stale: bool = False) -> str:
        """Return a token that may be used now, by its own connection."""
        store = keyturn.stores.from_url(f"disk://{directory}")
        with closing(store), self._connected(store) as connection:
            token = connection.token()
            return (connection.token(stale=token) if stale else token).access_token

    @functools.cached_property
    def fingerprint(self) -> str:
        """The key of the token, and the name of its lock."""
        with self.connect(Path("/nonexistent")) as connection:
            return connection.token_request().fingerprint

    @property
    def records(self) -> list[logging.LogRecord]:
        """The log records of level WARNING and above."""
        return [record for record in self._log.records if record.levelno >= logging.WARNING]

    @property
    def warnings(self) -> list[str]:
        """The messages of the warnings."""
        return [record.getMessage() for record in self.records]


@pytest.fixture
def customer(
    serve: Callable[..., RawServer],
    http_response: Callable[..., bytes],
    caplog: pytest.LogCaptureFixture,
) -> Customer:
    """Yield a customer and its token endpoint."""

    def response(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        fields = {"token_type": "Bearer", "expires_in": 3600}
        number = len(server.received)
        connection.sendall(http_response(fields | {"access_token": f"token-{number}"}))

    return Customer(serve(response), caplog)
