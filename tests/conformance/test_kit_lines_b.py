"""The audit hook of the provider kit, tried inside this process."""

from __future__ import annotations

import socket
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn.testing.provider_kit import _checks_hosts as hosts
from keyturn.testing.provider_kit import _checks_isolation as isolation
from keyturn.testing.provider_kit import _checks_messages as messages
from keyturn.testing.provider_kit._audit import Watch, watched
from keyturn.testing.provider_kit._examples import CheckFailed, Examples
from keyturn.testing.provider_kit._subject import opened

if TYPE_CHECKING:
    from collections.abc import Iterator


def _listener() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def test_reaches_the_allowed_address_only() -> None:
    """A check could not reach its own endpoint, or a provider could reach any other."""
    with _listener() as allowed, _listener() as other:
        watch = Watch((), allowed.getsockname())
        with watched(watch) as attempts:
            socket.create_connection(allowed.getsockname()).close()
            with pytest.raises(PermissionError, match="connects to another host"):
                socket.create_connection(other.getsockname())
    assert attempts == [("connects to another host", "")]


def test_other_threads_may_connect() -> None:
    """A thread that ran before the check would be stopped, and the provider would be blamed."""
    go, reached = threading.Event(), threading.Event()
    with _listener() as other:

        def connect() -> None:
            go.wait()
            socket.create_connection(other.getsockname()).close()
            reached.set()

        thread = threading.Thread(target=connect)
        thread.start()
        with watched(Watch(())) as attempts:
            go.set()
            thread.join()
    assert reached.is_set()
    assert attempts == []


def test_opening_a_file_is_stopped_only_in_a_strict_check() -> None:
    """A check that is not strict would stop a provider's code that reads a file."""
    with watched(Watch((__file__,))) as attempts, open(__file__, encoding="utf-8"):  # noqa: PTH123 - the event
        pass
    assert attempts == []
    with (
        watched(Watch((__file__,), is_strict=True)) as attempts,
        pytest.raises(PermissionError, match="opens a file"),
    ):
        open(__file__, encoding="utf-8")  # noqa: PTH123, SIM115 - the event
    assert [what for what, _ in attempts] == ["opens a file"]


class Unequal(keyturn.plugins.ConfidentialSettings):
    """Settings that are equal to nothing, not even themselves."""

    def __eq__(self, other: object) -> bool:
        """Return False for all."""
        return False

    __hash__ = None  # type: ignore[assignment]


class Says(keyturn.plugins.ConfidentialSettings):
    """Settings with a problem that names no setting."""

    side: str | None = keyturn.plugins.setting("Side", default=None)

    def problems(self) -> Iterator[str]:
        """Yield a problem that names no setting."""
        if self.side:
            yield "these settings do not go together"


class Tenant(keyturn.plugins.ConfidentialSettings):
    """Settings with a tenant."""

    tenant: str = keyturn.plugins.label("Tenant")


class Acme(keyturn.plugins.Provider[Any]):
    """A correct provider."""

    name = "acme"
    settings: Any = keyturn.plugins.ConfidentialSettings
    token_url = "https://acme.example/oauth/token"


class RaisesInHeaders(Acme):
    """A provider that raises while it builds the headers of API requests."""

    settings = Tenant
    token_url = "https://{tenant}.acme.example/oauth/token"

    def api_request_headers(self, settings: Any, token: Any) -> Any:
        """Raise."""
        raise RuntimeError("made up")


def _subject(provider: Any, **values: str) -> Any:
    settings = {"client_id": "made-up", "client_secret": "s3cret-for-tests", **values}
    return opened(provider, settings, Examples())


def test_headers_that_raise_are_not_reported_as_hostile() -> None:
    """A mistake in the headers would be reported as a host that a tenant chooses."""
    with _subject(RaisesInHeaders(), tenant="acme") as subject:
        hosts.hostile_strings(subject)
        assert subject.provider.name == "acme"


def test_settings_unequal_to_themselves_are_reported() -> None:
    """Settings that differ from themselves would pass."""
    provider = Acme()
    provider.settings = Unequal
    with (
        _subject(provider) as subject,
        pytest.raises(CheckFailed, match="two Unequal of equal values are not equal"),
    ):
        isolation._judge_equality(subject)  # noqa: SLF001 - alone, without the calls before it


def test_problem_that_names_no_setting_is_accepted() -> None:
    """Each problem would have to name a setting, even one that concerns several."""
    provider = Acme()
    provider.settings = Says
    with _subject(provider) as subject:
        messages.plugin_messages(subject)
        assert subject.provider.settings is Says


def test_effects_of_an_import_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that writes a file when it is imported would pass."""
    found = SimpleNamespace(effects=[("writes a file", "acme.py:3")])
    monkeypatch.setattr(isolation, "elsewhere", lambda _: found)
    subject: Any = SimpleNamespace(provider=None)
    with pytest.raises(CheckFailed, match="writes a file"):
        isolation.import_effects(subject)


def test_value_of_another_tenant_is_left_to_the_isolation_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A provider that mixes up tenants would be reported as one that differs between processes."""

    class Own(keyturn.plugins.Provider[keyturn.plugins.ConfidentialSettings]):
        def scope(self, settings: keyturn.plugins.ConfidentialSettings) -> tuple[str, ...]:
            return (settings.client_id,)

    found = SimpleNamespace(
        problem="",
        here={"base": {"scope": {"": "a"}}, "another": {"scope": {"": "b"}}},
        outcomes={"base": {"scope": {"": "x"}}, "another": {"scope": {"": "x"}}},
        cases=[],
    )
    monkeypatch.setattr(isolation, "elsewhere", lambda _: found)
    isolation.other_process(SimpleNamespace(provider=Own()))  # type: ignore[arg-type]
