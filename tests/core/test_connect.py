"""Making a connection: provider, settings and options, and what connections share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import for_each

import keyturn
from keyturn import errors, stores
from keyturn._clock import Clock
from keyturn._connection import Connection, make_connection, manager_of
from keyturn._tokens.options import Specification
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

SHOP: dict[str, Any] = {
    "url": "https://shop.example",
    "client_id": "cid",
    "client_secret": "s3cret-for-tests",
}
NAN, INF = float("nan"), float("inf")


@for_each("name", ["margin", "timeout", "wait"])
@for_each("value", ["x", None, True, -1, NAN, INF, 1e9, [3]])
def test_invalid_option_is_reported_with_the_other_mistakes(name: str, value: Any) -> None:
    """A wrong number would raise a raw error, or make a connection hang or never wait."""
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.connect("orocommerce", **SHOP | {"url": "no", name: value})
    assert [problem.path for problem in caught.value.problems] == ["url", name]


def test_timeout_of_zero_is_reported() -> None:
    """Every token request would fail at once."""
    with pytest.raises(
        errors.ConfigurationError, match="timeout: must be a number of seconds, above 0"
    ):
        keyturn.connect("orocommerce", **SHOP, timeout=0)


class EmptyStore(MemoryStore):
    """A store that counts its entries, and holds none."""

    def __len__(self) -> int:
        return 0


def test_empty_store_is_used() -> None:
    """An empty store is false in a condition, and would be ignored silently."""
    store = EmptyStore()
    assert manager_of(keyturn.connect("orocommerce", **SHOP, store=store)).store is store


@pytest.mark.parametrize("store", [Path("/var/cache/x"), object(), 7, b"memory://"])
def test_object_that_is_not_a_store_is_refused(store: Any) -> None:
    """Tokens would not be stored, and only warnings in the log would say so."""
    with pytest.raises(errors.ConfigurationError, match="is not a token store"):
        keyturn.connect("orocommerce", **SHOP, store=store)


def test_empty_store_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting KEYTURN_STORE to nothing, the usual way to unset it, would break every connection."""
    monkeypatch.setenv("KEYTURN_STORE", "")
    assert isinstance(manager_of(keyturn.connect("orocommerce", **SHOP)).store, MemoryStore)


def test_same_url_is_the_same_store(tmp_path: Path) -> None:
    """Each connection would open its own store, such as a directory or a connection pool."""
    url = f"disk://{tmp_path}/store"
    one, other = (keyturn.connect("orocommerce", **SHOP, store=url) for _ in range(2))
    assert manager_of(one).store is manager_of(other).store


@pytest.mark.parametrize("use", [keyturn.connect, keyturn.provider, keyturn.load_connection])
@pytest.mark.parametrize("name", [None, 5, ["x"]])
def test_name_that_is_no_string_is_reported(use: Callable[[Any], object], name: object) -> None:
    """A name of a wrong type would raise an exception that is not a KeyturnError."""
    with pytest.raises(errors.ConfigurationError, match=r"a (string|text)"):
        use(name)


def test_store_url_that_is_no_string_is_reported() -> None:
    """A store URL of a wrong type would raise an exception that is not a KeyturnError."""
    with pytest.raises(errors.ConfigurationError, match=r"a (string|text)"):
        stores.from_url(5)  # type: ignore[arg-type]


CROWD = """
import sys, threading, keyturn
sys.setswitchinterval(1e-6)
with keyturn.testing.Emulator() as emulator:
    settings = emulator.settings("orocommerce")
    start = threading.Barrier(50)
    def work():
        start.wait()
        keyturn.connect("orocommerce", **settings).token()
    threads = [threading.Thread(target=work) for _ in range(50)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(emulator.token_requests("orocommerce"))
"""


def test_connections_first_made_in_threads_share_the_memory(run_python: Callable[..., str]) -> None:
    """Each thread of a server would have its own store, hence its own token."""
    assert run_python(CROWD) == "1"


def test_clock_set_back_gives_no_expired_token_to_another_connection() -> None:
    """An expired token would be read from the memory store after the clock was set back."""
    now, monotonic = 1_800_000_000.0, 50.0
    store = MemoryStore(now=lambda: now, monotonic=lambda: monotonic)
    clock = Clock(time=lambda: now, monotonic=lambda: monotonic, sleep=lambda _: None)
    made = 0

    class Endpoint:
        def send(self, *_: object) -> keyturn.plugins.Response:
            nonlocal made
            made += 1
            body = b'{"access_token":"t%d","token_type":"Bearer","expires_in":100}' % made
            return keyturn.plugins.Response(200, {"content-type": "application/json"}, body, now)

    plain = keyturn.connect("orocommerce", **SHOP)

    def connection() -> Connection:
        return make_connection(
            Specification(plain.provider, plain.settings),
            store,
            clock=clock,
            transport=Endpoint(),
        )

    assert connection().token().access_token == "t1"
    now, monotonic = now - 50, monotonic + 101
    assert connection().token().access_token == "t2"


def test_token_invalidated_while_it_is_read_is_not_used_again() -> None:
    """A token that another thread has just invalidated would be returned again."""
    now = 1_800_000_000.0
    meanwhile: list[Callable[[], None]] = []

    def time() -> float:
        if meanwhile:
            meanwhile.pop()()
        return now

    class Endpoint:
        sent = 0

        def send(self, *_: object) -> keyturn.plugins.Response:
            self.sent += 1
            body = b'{"access_token":"t%d","token_type":"Bearer","expires_in":100}' % self.sent
            return keyturn.plugins.Response(200, {"content-type": "application/json"}, body, now)

    plain = keyturn.connect("orocommerce", **SHOP)
    connection = make_connection(
        Specification(plain.provider, plain.settings),
        MemoryStore(now=time),
        clock=Clock(time=time, monotonic=time, sleep=lambda _: None),
        transport=Endpoint(),
    )
    token = connection.token()
    now += 90  # stale
    meanwhile.append(lambda: connection.invalidate(token))
    connection.token()

    assert meanwhile == []
    assert connection.token().access_token != token.access_token


class ExitingStore(MemoryStore):
    """A store that ends the program, as a careless plugin may."""

    def read(self, key: str) -> str | None:
        """Exit."""
        raise SystemExit(key)


def test_store_that_exits_is_logged_and_the_token_is_returned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A store's `sys.exit` would be reported as the provider's, and no token would be returned."""
    with keyturn.testing.Emulator() as emulator:
        settings = emulator.settings("orocommerce")
        assert keyturn.connect("orocommerce", **settings, store=ExitingStore()).token()
    assert "ExitingStore failed to read (SystemExit)" in caplog.text


# --- Settings and providers as values ---


class RegionSettings(keyturn.plugins.ConfidentialSettings):
    """The settings of a platform that doesn't exist."""

    region: str = keyturn.plugins.label("Region", default="eu")


class Region(keyturn.plugins.Provider[RegionSettings]):
    """A platform that doesn't exist."""

    name = "region"
    settings = RegionSettings
    token_url = "https://{region}.acme.example/token"


ROW = {"client_id": "cid", "client_secret": "s3cret-for-tests"}


def mistakes(use: Callable[[], object]) -> list[str]:
    """Return the mistakes for which a connection is refused, and check that they show no secret."""
    with pytest.raises(errors.ConfigurationError) as caught:
        use()
    assert "s3cret" not in str(caught.value)
    return list(map(str, caught.value.problems))


def test_settings_may_be_a_mapping_or_an_instance() -> None:
    """The values of a form would have to be keyword arguments, where they could set options."""
    typed = RegionSettings(client_id="cid", client_secret=keyturn.Secret("s3cret-for-tests"))
    connections = [
        keyturn.connect(Region(), **ROW),
        keyturn.connect(Region(), ROW, name="shop", timeout=3),
        keyturn.connect(Region(), typed, store="memory://"),
    ]

    assert {each.token_request().url for each in connections} == {"https://eu.acme.example/token"}
    assert [each.settings for each in connections] == [typed] * 3
    assert [each.name for each in connections] == ["region", "shop", "region"]


def test_provider_may_be_described_where_it_is_used() -> None:
    """A user's own platform would need an installed distribution."""
    acme = keyturn.plugins.provider_from_data(
        {"name": "acme", "token_url": "https://acme.example/token"}
    )

    assert keyturn.connect(acme, ROW).token_request().url == "https://acme.example/token"


MISSPELT = (
    "lifetime_fromat: is not known. Did you mean lifetime_format? Begin a name of your own with _."
)


def test_mistakes_in_a_given_provider_are_reported() -> None:
    """A misspelt datum would be ignored in a provider that is not loaded by its name."""
    broken = type("Broken", (Region,), {"lifetime_fromat": "epoch", "token_status": 404})()

    for use in (keyturn.connect, keyturn.problems):
        assert mistakes(lambda use=use: use(broken, ROW)) == [
            "token_status: must be from 200 to 299",
            MISSPELT,
        ]


@pytest.mark.parametrize("settings", [7, "x", ["client_id"], object()])
def test_settings_of_a_wrong_type_are_refused(settings: Any) -> None:
    """Settings of a wrong type would raise an exception that is not a KeyturnError."""
    with pytest.raises(errors.ConfigurationError, match="must be a mapping or an instance of Reg"):
        keyturn.connect(Region(), settings)


def test_settings_of_another_provider_are_refused() -> None:
    """Another platform's secret would be sent to this one."""
    other = keyturn.plugins.ConfidentialSettings(
        client_id="cid", client_secret=keyturn.Secret("s3cret-for-tests")
    )

    with pytest.raises(errors.ConfigurationError, match="instance of RegionSettings"):
        keyturn.connect(Region(), other)


def test_mapping_reaches_no_option_and_no_reference() -> None:
    """An end user's form would choose the store, or read a file or a variable of the server."""
    form = {**ROW, "store": "disk:///tmp/x", "name": "x", "client_secret": {"env": "HOME"}}

    assert mistakes(lambda: keyturn.connect(Region(), form)) == [
        "client_secret: must be a string",
        "name: is an option: pass it to keyturn.connect as a keyword",
        "store: is an option: pass it to keyturn.connect as a keyword",
    ]
    assert mistakes(
        lambda: keyturn.connect(Region(), client_id="x", client_secret={"env": "X"})
    ) == ["client_secret: must be a string"]


def test_keyword_setting_beside_settings_is_refused() -> None:
    """One of the two values would be ignored silently."""
    beside = "is not an option, and settings are already given as one value."
    assert mistakes(lambda: keyturn.connect(Region(), ROW, client_id="x", timeuot=3, xyz=1)) == [
        f"client_id: {beside}",
        f"timeuot: {beside} Did you mean timeout?",
        f"xyz: {beside}",
    ]


def test_unknown_keyword_is_reported_with_the_nearest_name() -> None:
    """A misspelt setting or option would be ignored, or be an error without a hint."""
    assert mistakes(lambda: keyturn.connect(Region(), **ROW, regoin="se", timeuot=3, zzzz=1)) == [
        "regoin: is neither a setting of region nor an option. Did you mean region?",
        "timeuot: is neither a setting of region nor an option. Did you mean timeout?",
        "zzzz: is neither a setting of region nor an option.",
    ]


def test_instance_of_the_settings_class_is_checked() -> None:
    """An instance of the settings class would skip every check, and transcripts show its secret."""
    connection = Connection(
        Region(),
        Region.settings(client_id="cid", client_secret="s3cret-for-tests"),  # type: ignore[arg-type]
        store=MemoryStore(),
    )
    shown = f"{connection.settings}{connection.token_request().redacted().body!r}"

    assert "s3cret" not in shown
    assert mistakes(
        lambda: Region.settings(client_id="cid", client_secret="a\nb", region="A.B")
    ) == [
        "client_secret: must be one line, without spaces around it",
        "region: must be one host label: 1 to 63 of a-z, 0-9 and inner hyphens",
    ]


def test_constructor_checks_what_connect_checks() -> None:
    """A connection made with its constructor would skip the checks of settings and provider."""
    form = {**ROW, "client_secret": "s3cret\n", "region": "A.B", "regoin": "se"}
    nameless = type("Nameless", (Region,), {"name": ""})()
    wrong: Any = 7
    store = MemoryStore()

    assert mistakes(lambda: keyturn.Connection(Region(), form, store=store)) == mistakes(
        lambda: keyturn.connect(Region(), form, store=store)
    )
    assert mistakes(lambda: keyturn.Connection(nameless, ROW, store=store))
    assert mistakes(lambda: keyturn.Connection(Region(), ROW, store=store, on_event=wrong)) == [
        "on_event: must be callable with one keyturn.Event"
    ]


def test_exception_in_a_check_becomes_a_keyturn_error() -> None:
    """A defect in a provider's check would raise a raw Python error that shows the value."""

    class Careless(keyturn.plugins.ClientSettings):
        number: str = keyturn.plugins.setting("Number", check=lambda value: str(int(value)))

    provider = type("Broken", (Region,), {"settings": Careless, "token_url": "https://a.example"})
    for use in (keyturn.connect, keyturn.problems):
        with pytest.raises(errors.KeyturnError) as caught:
            use(provider(), {"client_id": "cid", "number": "s3cret-for-tests"})
        assert "provider region failed with ValueError" in str(caught.value)
        assert "s3cret" not in str(caught.value)


# --- Checking a form ---


def test_problems_of_a_form() -> None:
    """A form could only be checked by making a connection."""
    form = {"url": "http://shop.example", "client_id": 7, "sied": "x", "wait": 1}
    found = keyturn.problems("orocommerce", form)

    assert [(problem.path, problem.message) for problem in found] == [
        ("client_id", "must be a string"),
        ("client_secret", "is required"),
        ("sied", "is not known. Did you mean side?"),
        ("url", "must begin with https:// (http:// is for loopback addresses only)"),
        ("wait", "is an option: pass it to keyturn.connect as a keyword"),
    ]
    assert all(isinstance(problem, keyturn.Problem) for problem in found)
    assert keyturn.problems("orocommerce", SHOP) == []
    settings = keyturn.provider("orocommerce").settings(**SHOP)
    assert keyturn.problems("orocommerce", settings) == []


def test_problems_include_those_that_only_the_request_has() -> None:
    """`problems` would accept settings that `connect` refuses."""
    needy = type("Needy", (Region,), {"token_url": "https://{api_url}.acme.example/token"})()
    (problem,) = keyturn.problems(needy, ROW)
    assert str(problem) == (
        "the address made from https://{api_url}.acme.example/token needs the setting api_url."
    )

    request = keyturn.plugins.TokenRequest("acme", "http://evil.example/token")
    unsafe = type("Unsafe", (Region,), {"token_request": lambda *_: request})()
    (problem,) = keyturn.problems(unsafe, ROW)
    assert str(problem).startswith("the token endpoint's address must begin with https://")

    def refuse(*_: object) -> keyturn.plugins.Provider[Any]:
        raise errors.ConfigurationError("no.", problems=[keyturn.Problem("region", "is closed")])

    closed = type("Closed", (Region,), {"for_settings": refuse})()
    assert keyturn.problems(closed, ROW) == [keyturn.Problem("region", "is closed")]


def test_problems_need_a_provider() -> None:
    """A misspelt provider would be reported as valid settings."""
    with pytest.raises(errors.ProviderNotFound, match=r"Did you mean orocommerce\?"):
        keyturn.problems("orocomerce", SHOP)


def test_public_names_show_the_module_that_users_import(run_python: Callable[..., str]) -> None:
    """A traceback or a repr would name a private module that may move."""
    code = """
import keyturn
c = keyturn.connect("orocommerce", url="https://a.example", client_id="a", client_secret="b")
print(type(c), type(c.token_request()), keyturn.plugins.Provider, keyturn.ProviderInfo,
      keyturn.plugins.Secret, keyturn.connect.__module__, keyturn.plugins.setting.__module__)
"""
    assert run_python(code) == (
        "<class 'keyturn.Connection'> <class 'keyturn.plugins.TokenRequest'> "
        "<class 'keyturn.plugins.Provider'> <class 'keyturn.ProviderInfo'> "
        "<class 'keyturn.Secret'> keyturn keyturn.plugins"
    )


@pytest.mark.parametrize("listener", ["print", 1, ["print"]])
def test_listener_that_cannot_be_called_is_reported(listener: Any) -> None:
    """The mistake would be noticed only when the first event is lost."""
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.connect(
            "generic",
            token_url="https://login.example/token",
            client_id="cid",
            client_secret="s3cret-for-tests",
            store="memory://",
            on_event=listener,
        )
    assert [(each.path, each.message) for each in caught.value.problems] == [
        ("on_event", "must be callable with one keyturn.Event")
    ]
