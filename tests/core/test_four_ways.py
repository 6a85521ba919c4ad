"""A description gives the same provider and the same mistakes in each way to load it."""

from __future__ import annotations

import functools
import itertools
import json
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import keyturn
from keyturn import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Way = Callable[[str], keyturn.plugins.Provider[Any]]

PLAIN = 'token_url = "https://acme.example/token"'
SETTINGS = """
title = "Acme"
token_url = "https://{tenant}.acme.example/token"
client_authentication = "client_secret_basic"
api_url = "https://{tenant}.acme.example/api"
rate_limit = { per_minute = 6, burst = 2 }
parameters = { plan = "{plan}" }
scope = "required"

[settings.tenant]
kind = "label"
title = "Tenant"

[settings.plan]
title = "Plan"
pattern = "[a-z]+"
default = "basic"
"""
EXTENDING = 'extends = "acme-base.toml"\nparameters.plan = "always"\nsettings.plan = false'
GOOD = {
    "plain": PLAIN,
    "with settings": SETTINGS,
    "with its name": f'name = "acme"\n{PLAIN}\nbody_format = "json"',
    "with a mark": f"\ufeff{PLAIN}",
    "of a key": f"{PLAIN}\nclient_authentication = 'private_key_jwt'\nassertion_algorithm='ES256'",
}
BROKEN = {
    "names": 'tokn_url = "x"\ntitel = "x"\nscopes = ["a"]',
    "addresses": 'token_url = "http://acme.example"\napi_url = "acme.example"',
    "values": f'{PLAIN}\nmethod = "FETCH"\ntoken_status = "200"\nparameters = {{ a = "{{b}}" }}',
    "settings": f'{PLAIN}\n[settings.one]\nkind = "txt"\n[settings.Two]\ntitle = "x"',
    "nothing": "",
}
UNREADABLE = {
    "syntax": f"{PLAIN}\ntitle = acme",
    "twice": f"{PLAIN}\n{PLAIN}",
    "encoding": "title = 'é'".encode("latin-1"),
}
KEY = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
VALUES = {
    "tenant": "blue",
    "plan": "gold",
    "scope": "a b",
    "client_id": "c",
    "client_secret": "s",
    "private_key": KEY.decode(),
}
NUMBERS = itertools.count()


class Ways:
    """Each way to use a description.

    Args:
        directory: The directory in which files are written and distributions installed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def data(self, text: str) -> Any:
        """Use it as data."""
        return keyturn.plugins.provider_from_data(
            tomllib.loads(text.removeprefix("\ufeff")), name="acme"
        )

    def file(self, text: str | bytes) -> Any:
        """Use it as a file."""
        path = self._write(self._directory, text)
        return keyturn.plugins.provider_from_file(path, name="acme")

    def configuration(self, text: str | bytes) -> Any:
        """Return the provider of a connection in keyturn.toml that names it by a relative path."""
        self._write(self._directory / "descriptions", text)
        path = self._directory / "keyturn.toml"
        known = {"client_id", "client_secret"}
        if isinstance(text, str) and "private_key" in text:
            known = {"client_id", "private_key"}
        known |= {"tenant", "scope"} if isinstance(text, str) and "tenant" in text else set()
        lines = [f"{name} = {json.dumps(VALUES[name])}" for name in sorted(known)]
        head = '[connections.one]\nprovider = "./descriptions/acme.toml"\n'
        path.write_text("\n".join([head, *lines]))
        path.chmod(0o600)
        return keyturn.load_connection("one", config=path).provider

    def entry_point(self, text: str | bytes) -> Any:
        """Use it as the file of an installed package."""
        number = next(NUMBERS)
        package = f"described_four_ways_{number}"
        information = self._directory / f"{package}-1.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1")
        (information / "entry_points.txt").write_text(f"[keyturn.providers]\nacme = {package}\n")
        self._write(self._directory / package, text)
        try:
            return keyturn.provider("acme")
        finally:
            (information / "entry_points.txt").write_text("")
            sys.modules.pop(package, None)

    def all(self, text: str | bytes) -> dict[str, Callable[[], Any]]:
        """Return all ways to use a description; invalid TOML can't be data."""
        every = (self.data, self.file, self.configuration, self.entry_point)
        ways = {way.__name__: functools.partial(way, text) for way in every}
        if text in UNREADABLE.values():
            del ways["data"]
        return ways

    @staticmethod
    def _write(directory: Path, text: str | bytes) -> Path:
        directory.mkdir(exist_ok=True)
        path = directory / "acme.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path


@pytest.fixture
def ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ways]:
    """Each way to use a description."""
    from keyturn._plugins.loading import loaded_provider

    monkeypatch.syspath_prepend(tmp_path)
    loaded_provider.cache_clear()
    yield Ways(tmp_path)
    loaded_provider.cache_clear()


def seen(provider: Any) -> tuple[Any, ...]:
    """Return what can be seen of a provider: its schema, token request and API."""
    schema = provider.settings_schema()
    values = {name: each for name, each in VALUES.items() if name in schema["properties"]}
    if "tenant" not in values:
        values.pop("scope", None)
    with keyturn.connect(provider, values, store="memory://") as connection:
        request = connection.token_request()
        sent = () if "private_key" in values else (request.body, request.headers)
        return (provider.name, schema, provider.api_url, request.url, request.fingerprint, sent)


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_all_ways_give_the_same_provider(ways: Ways, text: str) -> None:
    """A description that was tested in one way would request another token in the next."""
    found = [seen(way()) for way in ways.all(text).values()]

    assert len(found) == 4
    assert found[1:] == found[:-1]


def mistakes_of(name: str, way: Callable[[], Any]) -> list[str]:
    """Return the mistakes that one way reports, without the location of the description."""
    with pytest.raises(errors.ConfigurationError) as caught:
        way()
    mistakes = [str(problem) for problem in caught.value.problems]
    if name == "configuration":
        start = "connections.one.provider: ./descriptions/acme.toml: "
        assert all(mistake.startswith(start) for mistake in mistakes), mistakes
        return [mistake.removeprefix(start) for mistake in mistakes]
    return mistakes


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_all_ways_report_the_same_mistakes(ways: Ways, text: str) -> None:
    """A description without mistakes in one way would fail in another."""
    found = {name: mistakes_of(name, way) for name, way in ways.all(text).items()}

    assert found["data"]
    assert len(found) == 4
    assert all(each == found["data"] for each in found.values()), found


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_file_with_invalid_toml_is_reported_in_the_same_way(ways: Ways, text: str | bytes) -> None:
    """The error would not name the line."""
    for way in ways.all(text).values():
        with pytest.raises(
            errors.ConfigurationError, match=r"acme\.toml is not (?:TOML|UTF-8)"
        ) as caught:
            way()
        assert "line 2" in str(caught.value) or isinstance(text, bytes)


def test_all_files_find_what_they_extend(ways: Ways, tmp_path: Path) -> None:
    """A base in the same directory as the description would not be found."""
    for directory in (tmp_path, tmp_path / "descriptions"):
        directory.mkdir(exist_ok=True)
        (directory / "acme-base.toml").write_text(SETTINGS)
    found = [seen(ways.file(EXTENDING)), seen(ways.configuration(EXTENDING + "# tenant"))]

    assert found[0] == found[1]


def test_path_may_be_absolute_or_come_from_the_environment(
    ways: Ways, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container could not use a description without a configuration file beside it."""
    ways.configuration(PLAIN)
    start = "KEYTURN_CONNECTIONS__TWO__"
    monkeypatch.setenv(f"{start}PROVIDER", "descriptions/acme.toml")
    monkeypatch.setenv(f"{start}CLIENT_ID", "c")
    monkeypatch.setenv(f"{start}CLIENT_SECRET", "s")
    config = tmp_path / "keyturn.toml"
    relative = keyturn.load_connection("two", config=config)
    monkeypatch.setenv(f"{start}PROVIDER", str(tmp_path / "descriptions" / "acme.toml"))
    absolute = keyturn.load_connection("two", config=config)

    assert relative.provider.name == absolute.provider.name == "acme"


def test_relative_path_without_a_configuration_file_is_refused() -> None:
    """The file of the current working directory would be used."""
    from keyturn._config.configuration import Configuration
    from keyturn._config.references import RawSetting

    raw = {"provider": RawSetting("./acme.toml", "KEYTURN_CONNECTIONS__X__PROVIDER")}
    configuration = Configuration(
        path=None, is_private=False, connections={"x": raw}, store=None, store_keys=(), problems=()
    )
    with pytest.raises(errors.ConfigurationError, match="relative to the configuration file, but"):
        configuration.open("x")


@pytest.mark.parametrize("name", ["./acme.toml", "acme.toml", "/acme.toml"])
def test_provider_name_is_never_read_as_a_path(
    ways: Ways, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end user's form could make keyturn read a file on the server."""
    ways.file(PLAIN)
    monkeypatch.chdir(tmp_path)
    with keyturn.Connections(store="memory://") as connections:
        with pytest.raises(errors.ProviderNotFound, match="no provider is named"):
            connections.open("x", name, {"client_id": "c", "client_secret": "s"})
        with pytest.raises(errors.ProviderNotFound, match="provider_from_file"):
            keyturn.connect(name, {"client_id": "c", "client_secret": "s"})
