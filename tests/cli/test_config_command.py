"""`keyturn config`: where the configuration is, and where each value comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from .conftest import Result

    Keyturn = Callable[..., Result]

CONTENT = """\
store_key = [{ env = "KEY" }, "s3cret-1"]
[connections.shop]
provider = "orocommerce"
url = "https://user:s3cret-2@shop.example"
client_id = "cid"
client_secret = { file = "/run/secrets/shop" }
client_secrte = "s3cret-3"
timeout = 10
store = "redis://user:s3cret-4@host"
[connections.vault]
provider = "generic"
token_url = "https://host.example/token"
client_secret = { vault = "s3cret-5" }
password = { command = ["pass", "s3cret-6"] }
username = { a = 1, b = 2 }
token_headers = { X-Key = "s3cret-7" }
[connections.missing]
provider = "nonesuch"
client_secret = { keyring = "a/b" }
url = "s3cret-8"
certificate_password = { vault = "s3cret-12" }
private_key = { a = 1, b = "s3cret-9" }
"""


def test_each_value_is_shown_with_its_source(
    keyturn: Keyturn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user could not see why a value differs from the file; or a secret would be shown."""
    path = tmp_path / "keyturn.toml"
    path.write_text(CONTENT)
    monkeypatch.setenv("KEYTURN_CONFIG", str(path))
    monkeypatch.setenv("KEYTURN_STORE", "redis://:s3cret-10@host")
    monkeypatch.setenv("KEYTURN_CONNECTIONS__SHOP__CLIENT_ID", "other")
    monkeypatch.setenv("KEYTURN_CONNECTIONS__VAULT__CLIENT_SECRET", "s3cret-11")

    result = keyturn("config", "show", "--format", "json")
    table = keyturn("config", "show", "shop")

    found = {
        (row["connection"], row["key"]): (row["value"], row["source"]) for row in result.json()
    }
    file, variable = str(path), "KEYTURN_CONNECTIONS__SHOP__CLIENT_ID"
    assert (result.code, result.err, table.code) == (0, "", 0)
    assert "s3cret" not in result.out + table.out
    assert found[None, "store"] == ("redis://[hidden]@host", "KEYTURN_STORE")
    assert found[None, "store_key[0]"] == ("env: KEY", file)
    assert found[None, "store_key[1]"] == ("[hidden]", file)
    assert found["shop", "url"] == ("https://[hidden]@shop.example", file)
    assert found["shop", "client_id"] == ("other", variable)
    assert found["shop", "client_secret"] == ("file: /run/secrets/shop", file)
    assert found["shop", "client_secrte"] == ("[hidden]", file)
    assert found["shop", "timeout"] == ("10", file)
    assert found["shop", "margin"] == ("300.0", "default")
    assert found["shop", "rate_limit"] == ("the provider's", "default")
    assert found["shop", "backend_prefix"] == ("admin", "default")
    assert found["vault", "token_headers"] == ('{"X-Key": "[hidden]"}', file)
    assert found["vault", "password"] == ("command: [hidden]", file)
    assert found["vault", "client_secret"][0] == "[hidden]"
    assert found["missing", "client_secret"] == ("keyring: a/b", file)
    assert found["missing", "certificate_password"] == ("vault: [hidden]", file)
    assert found["missing", "url"] == ("[hidden]", file)
    assert "vault" not in table.out
    assert "Did you mean shop?" in keyturn("config", "show", "shp").err


def test_path_of_the_configuration_is_printed(
    keyturn: Keyturn, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script could not open the file in an editor, and a user would not find it."""
    usual = f"{home}/.config/keyturn/keyturn.toml\n"
    new = keyturn("config", "path")
    (home / "own.toml").touch()
    named = keyturn("--config", str(home / "own.toml"), "config", "path")

    assert (new.code, new.out) == (0, usual)
    assert "keyturn init creates it" in new.err
    assert (named.code, named.out, named.err) == (0, f"{home}/own.toml\n", "")
    monkeypatch.setattr("keyturn._config.user_directory", lambda _: None)
    assert keyturn("config", "path").code == 2


def test_store_from_the_file_or_the_default_is_shown(
    keyturn: Keyturn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user would not know where tokens are stored."""
    assert "the user's cache directory, else memory  default" in keyturn("config", "show").out
    path = tmp_path / "keyturn.toml"
    path.write_text('store = "memory://"\n')
    monkeypatch.setenv("KEYTURN_STORE", "disk:///elsewhere")
    (row,) = keyturn("--config", str(path), "config", "show", "--format", "json").json()

    assert (row["key"], row["value"], row["source"]) == ("store", "memory://", str(path))
