"""`keyturn doctor` shows what works and which setting to change, without a token request."""

from __future__ import annotations

import hmac
import importlib.util
import os
import platform
import pwd
import socket
import ssl
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from keyturn.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RawServer

    from keyturn.testing import Emulator

    from .conftest import Result

    Keyturn = Callable[..., Result]


@pytest.fixture
def examine(keyturn: Keyturn) -> Callable[..., tuple[int, dict[str, dict[str, Any]]]]:
    """Return a function that returns the exit code of `doctor`, and its rows by their subjects."""

    def run(*options: str) -> tuple[int, dict[str, dict[str, Any]]]:
        result = keyturn(*options, "doctor", "--format", "json")
        return result.code, {row["subject"]: row for row in result.json()}

    return run


def test_everything_that_works_is_ok_and_no_token_is_requested(
    emulator: Emulator, shop: Path, keyturn: Keyturn, examine: Any, home: Path
) -> None:
    """A diagnosis would use the rate limit, fail on a healthy system, or show a secret."""
    code, rows = examine()
    table = keyturn("doctor")

    assert (code, table.code, table.err) == (0, 0, "")
    assert {row["result"] for row in rows.values()} == {"ok"}
    assert rows["connection shop"]["found"] == "orocommerce, token endpoint at 127.0.0.1"
    assert rows["configuration"]["found"] == f"{shop}, not readable by other users"
    assert f"store DiskStore {home}/.cache/keyturn" in rows
    assert table.out.splitlines()[0].split() == ["subject", "result", "found"]
    assert [line.split("  ")[0] for line in table.out.splitlines()[1:]] == [*rows]
    assert emulator.settings("orocommerce")["client_secret"] not in table.out + str(rows)
    assert emulator.token_requests("orocommerce") == 0


def test_new_installation_has_no_failure(keyturn: Keyturn, examine: Any) -> None:
    """A new user would search for a problem that does not exist."""
    code, rows = examine()

    assert code == 0
    assert {name for name, row in rows.items() if row["result"] != "ok"} == {"connections"}
    assert f"\n\nconnections: {rows['connections']['fix']}\n" in keyturn("doctor").out
    assert "keyturn init" in rows["connections"]["fix"]


def test_each_connection_and_its_store_are_checked(
    emulator: Emulator, configure: Callable[..., Path], examine: Any, tmp_path: Path
) -> None:
    """One broken connection would hide the others, or would not be named."""
    right = {"provider": "orocommerce", **emulator.settings("orocommerce")}
    (tmp_path / "file").touch()
    path = configure(
        right=right,
        missing=right | {"provider": "nonesuch"},
        away=right | {"store": f"disk://{tmp_path}/file"},
        memory=right | {"store": "memory://"},
        unknown=right | {"store": "mysql://user:s3cret@host"},
    )
    reference = "\n[connections.unset]\n" + "".join(
        f'{name} = "{value}"\n' for name, value in right.items() if name != "client_secret"
    )
    path.write_text(path.read_text() + reference + 'client_secret = { env = "NOT_SET" }\n')
    code, rows = examine()

    failed = {name: row for name, row in rows.items() if row["result"] == "failed"}
    assert code == 2
    assert {*failed} == {
        "connection missing",
        "connection unknown",
        "connection unset",
        f"store DiskStore {tmp_path}/file",
        "store of unknown",
    }
    assert "no provider is named 'nonesuch'" in failed["connection missing"]["found"]
    assert "NOT_SET is not set" in failed["connection unset"]["found"]
    assert all(row["fix"] for row in failed.values())
    assert failed["connection unset"]["fix"].endswith("/errors/ConfigurationError.html")
    assert "KEYTURN_STORE" in failed[f"store DiskStore {tmp_path}/file"]["fix"]
    assert rows["store MemoryStore"]["result"] == "limited"
    assert "s3cret" not in str(rows)
    assert rows["connection right"]["result"] == "ok"


@pytest.mark.parametrize("option", ["timeout", "margin", "wait", "rate_limit", "store"])
def test_invalid_option_is_named(option: str, configure: Callable[..., Path], examine: Any) -> None:
    """A mistake in the file would be reported as a defect of keyturn."""
    configure(shop={"provider": "orocommerce", "url": "https://shop.example", option: ["x"]})
    code, rows = examine()

    assert code == 2
    assert f"connections.shop.{option}: must be" in rows["connection shop"]["found"]


@pytest.mark.parametrize("store_key", ["5", "[]", "{}", "1979-05-27"])
def test_invalid_store_key_is_named(
    store_key: str, configure: Callable[..., Path], examine: Any
) -> None:
    """A store key that is not a secret reference would be reported as a defect of keyturn."""
    path = configure(shop={"provider": "orocommerce", "url": "https://shop.example"})
    path.write_text(f"store_key = {store_key}\n{path.read_text()}")
    code, rows = examine()

    assert code == 2
    assert "store_key: must be a reference" in rows["store of shop"]["found"]


def test_failure_of_a_store_alone_is_a_failure(
    examine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A script that checks a host would not notice that its processes share no tokens."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("KEYTURN_STORE", f"disk://{tmp_path}/file")
    code, rows = examine()
    assert code == 1
    assert "not what it should be" in rows[f"store DiskStore {tmp_path}/file"]["found"]

    monkeypatch.setattr(MemoryStore, "read", lambda *_: None)
    monkeypatch.setenv("KEYTURN_STORE", "memory://")
    code, rows = examine()
    assert (code, rows["store MemoryStore"]["result"]) == (1, "failed")
    assert "does not return the written entry" in rows["store MemoryStore"]["found"]


def test_configuration_is_checked(shop: Path, examine: Any, tmp_path: Path) -> None:
    """The mistake in a file would have to be found by trial and error."""
    code, rows = examine("--config", str(tmp_path / "nonesuch.toml"))
    assert code == 2
    assert "nonesuch.toml can't be read: No such file" in rows["configuration"]["found"]

    shop.chmod(0o644)
    code, rows = examine()
    assert code == 2
    assert "readable by other users" in rows["configuration"]["found"]
    assert "chmod 600" in rows["connection shop"]["found"]

    shop.chmod(0o600)
    shop.write_text("conections = 1\n", encoding="utf-8")
    code, rows = examine()
    assert code == 2
    assert "Did you mean connections?" in rows["configuration"]["found"]


def test_plugins_are_imported_and_each_failure_is_named(
    register: Callable[..., Path], examine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken plugin would only show as a warning, or as a missing store."""
    site = register(
        "[keyturn.providers]\nacme = made_up_provider\n"
        "[keyturn.plugins]\nvault = made_up_vault\ngood = made_up_good\n"
    )
    (site / "made_up_good.py").write_text(
        "import keyturn.plugins\n\n@keyturn.plugins.hookimpl\ndef keyturn_store(url):\n    pass\n",
        encoding="utf-8",
    )
    code, rows = examine()
    assert code == 2
    for name in ("provider acme", "plugin vault"):
        row = rows[f"{name} of distribution made-up"]
        assert "ModuleNotFoundError" in row["found"]
        assert "Update it" in row["fix"]
    assert rows["plugin good of distribution made-up"]["result"] == "ok"

    monkeypatch.setenv("KEYTURN_PLUGINS", "good")
    code, rows = examine()
    disabled = rows["plugin vault of distribution made-up"]
    assert (code, disabled["found"]) == (0, "disabled by KEYTURN_PLUGINS")

    monkeypatch.setenv("KEYTURN_PLUGINS", "good,-vault")
    code, rows = examine()
    assert (code, rows["plugins"]["result"]) == (2, "failed")


def test_user_without_home_and_name_sees_which_variables_to_set(
    examine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's user would not see which variable sets a directory for keyturn."""

    def missing(_: int) -> None:
        raise KeyError

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", missing)
    code, rows = examine()

    assert code == 0
    assert rows["user"]["found"] == f"{os.geteuid()} (no passwd entry)"
    assert rows["configuration"]["found"] == "no file"
    for kind, variable in ("config", "KEYTURN_CONFIG"), ("cache", "KEYTURN_STORE"):
        row = rows[f"{kind} directory"]
        assert (row["result"], variable in row["fix"], "HOME" in row["fix"]) == (
            "limited",
            True,
            True,
        )
    assert rows["store MemoryStore"]["result"] == "limited"


def test_missing_parts_of_the_system_are_reported(
    examine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user would have to guess that Python lacks a module, or that no thread can start."""

    def fail(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    find_spec = importlib.util.find_spec
    monkeypatch.setenv("KEYTURN_STORE", "memory://")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        patch.setattr(importlib.util, "find_spec", lambda n: None if n == "fcntl" else find_spec(n))
        patch.delattr(os, "register_at_fork")
        patch.delattr(os, "geteuid")
        code, rows = examine()
    assert code == 0
    assert "user" not in rows
    assert rows["threads"]["result"] == "limited"
    assert "can't start new thread" in rows["threads"]["found"]
    assert rows["locks of the disk store"]["found"] == "SQLite, because fcntl is missing"
    assert rows["fork hooks"]["found"].startswith("none")

    def forbidden(*_: object) -> None:
        raise ValueError("unsupported")

    monkeypatch.setattr(hmac, "new", forbidden)
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    code, rows = examine()
    assert (code, rows["hash functions"]["result"]) == (1, "failed")
    assert rows["sqlite3"]["result"] == "limited"
    assert "redis://" in rows["sqlite3"]["fix"]


def test_certificates_and_proxies_are_shown_without_passwords(
    keyturn: Keyturn,
    examine: Any,
    configure: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A proxy's password would be shown, or the wrong certificate file would not be named."""
    account = {"provider": "orocommerce", "client_id": "a", "client_secret": "made-up"}
    configure(
        shop=account | {"url": "https://shop.example"},
        direct=account | {"url": "https://shop.localhost"},
    )

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:s3cret@proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nonesuch.pem"))
    code, rows = examine()
    assert code == 2
    proxy = "proxy.example:3128 of HTTPS_PROXY"
    assert rows["proxy"]["found"] == f"{proxy}, not for localhost"
    found = rows["connection shop"]["found"]
    assert found == f"orocommerce, token endpoint at shop.example through {proxy}"
    assert rows["connection direct"]["found"] == "orocommerce, token endpoint at shop.localhost"
    assert rows["certificate authorities"]["result"] == "failed"
    assert "SSL_CERT_FILE" in rows["certificate authorities"]["fix"]
    assert "s3cret" not in str(rows)

    monkeypatch.delenv("SSL_CERT_FILE")
    (tmp_path / "00000000.0").touch()
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:s3cret")
    code, rows = examine()
    assert (code, rows["proxy"]["result"]) == (5, "failed")
    assert "\n\nproxy, connection shop, endpoint https://shop.example: " in keyturn("doctor").out
    assert rows["certificate authorities"]["found"] == f"{tmp_path} (SSL_CERT_DIR)"
    endpoint = rows["endpoint https://shop.localhost"]
    assert "its name can't be resolved (Name or service not known)" in endpoint["found"]
    assert "s3cret" not in str(rows)


def test_each_token_endpoint_is_connected_to(
    serve: Callable[..., RawServer],
    configure: Callable[..., Path],
    examine: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    refused_port: int,
) -> None:
    """A firewall, or an untrusted certificate, would be noticed at the first token request."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    received: list[bytes] = []

    def secured(_: RawServer, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as stream:
            received.append(stream.recv(1))

    port = serve(secured).port
    account = {"provider": "orocommerce", "client_id": "a", "client_secret": "made-up"}
    configure(
        secured=account | {"url": f"https://127.0.0.1:{port}"},
        again=account | {"url": f"https://127.0.0.1:{port}", "client_id": "b"},
        away=account | {"url": f"http://127.0.0.1:{refused_port}"},
    )
    code, rows = examine()
    assert code == 5
    assert "is not trusted" in rows[f"endpoint https://127.0.0.1:{port}"]["found"]
    away = rows[f"endpoint http://127.0.0.1:{refused_port}"]
    assert "Connection refused" in away["found"]
    assert "Check that a server listens" in away["fix"]

    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("KEYTURN_CA_FILE", str(tmp_path / "authority.pem"))
    _, rows = examine()
    found = rows[f"endpoint https://127.0.0.1:{port}"]
    assert (found["result"], found["found"]) == ("ok", "connected with TLS; no request was sent")
    assert {*received} <= {b""}


def test_clock_and_keyring_are_checked(examine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suspended laptop, or a missing keyring, would not be named as the cause."""
    _, rows = examine()
    assert rows["clock"]["found"] == "CLOCK_BOOTTIME, which counts suspended time"
    assert rows["keyring"]["result"] == "ok"

    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert examine()[1]["clock"]["result"] == "ok"
    monkeypatch.setattr(platform, "system", lambda: "FreeBSD")
    assert examine()[1]["clock"]["result"] == "limited"
