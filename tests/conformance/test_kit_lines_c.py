"""Rare cases of the checks of tokens and values, and of the second process."""

from __future__ import annotations

import itertools
import ssl
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import attrs

import keyturn
from keyturn.testing.provider_kit import _elsewhere as elsewhere
from keyturn.testing.provider_kit import _kept as kept
from keyturn.testing.provider_kit._examples import CheckFailed, Examples
from keyturn.testing.provider_kit._run import check
from keyturn.testing.provider_kit._subject import opened

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SETTINGS = {"client_id": "made-up", "client_secret": "s3cret-for-tests"}


class Acme(keyturn.plugins.Provider[Any]):
    """A correct provider."""

    name = "acme"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://acme.example/oauth/token"


class IgnoresScope(Acme):
    """Reads no scope from the response."""

    scope_format = "ignored"


class Picky(Acme):
    """Accepts one client ID only."""

    def token_request(self, settings: Any) -> keyturn.plugins.TokenRequest:
        """Raise for every other client ID."""
        if settings.client_id != SETTINGS["client_id"]:
            raise keyturn.errors.ConfigurationError("no such client")
        return super().token_request(settings)


class Counts(keyturn.plugins.DynamicValue):
    """A value that differs with each call."""

    def __init__(self, settings: Any, *, is_input: bool) -> None:
        self._counter, self._is_input, self._settings = itertools.count(), is_input, settings

    def value(self, now: float) -> str:
        """Return another string each time, from random bytes that are not Python's."""
        return f"{now}-{ssl.RAND_bytes(8).hex()}"

    def inputs(self) -> tuple[str | keyturn.Secret, ...]:
        """Return the next number, or all settings."""
        if self._is_input:
            return (str(next(self._counter)),)
        return repr(self._settings), self._settings.client_id, self._settings.client_secret


class Sends(Acme):
    """Sends a value that differs each time."""

    is_input = False

    def token_request(self, settings: Any) -> keyturn.plugins.TokenRequest:
        """Add a header."""
        request = super().token_request(settings)
        header = ("X-Count", Counts(settings, is_input=self.is_input))
        return attrs.evolve(request, extra_headers=(*request.extra_headers, header))


class SendsUnstable(Sends):
    """Sends a value whose inputs differ each time."""

    is_input = True


def failure(name: str, provider: keyturn.plugins.Provider[Any], **given: Any) -> CheckFailed | None:
    """Return the failure of one check of a provider, or None."""
    with opened(provider, SETTINGS, Examples(**given)) as subject:
        return check(name, subject)


def test_response_that_lacks_the_token_is_left_to_other_checks() -> None:
    """The check would add a token of its own to a response that has one elsewhere."""
    assert (
        failure("token_as_sent", Acme(), response={"status": 200, "body": {"session": "made-up"}})
        is None
    )


def test_ignored_scope_is_not_compared() -> None:
    """A provider that reads no scope would have to read one."""
    assert failure("token_as_sent", IgnoresScope()) is None


def test_rejected_settings_are_not_compared() -> None:
    """A provider that rejects some settings would fail the check of its values."""
    assert failure("dynamic_values", Picky()) is None


def test_inputs_that_differ_each_time_are_caught() -> None:
    """Such a connection would never find its cached token again."""
    assert "returns something else each time" in str(failure("dynamic_values", SendsUnstable()))


def test_value_that_differs_each_time_is_accepted() -> None:
    """A nonce from outside Python's random module would be reported as a use of the clock."""
    assert failure("dynamic_values", Sends()) is None


def test_provider_of_the_main_module_has_no_second_process() -> None:
    """The second process would import another main module."""
    cls = type("Main", (Acme,), {"__module__": "__main__", "scope": lambda *_: ()})
    with opened(cls(), SETTINGS, Examples()) as subject:
        found = elsewhere.start([subject])[0]

    assert "not in a module" in found.problem


def test_provider_is_imported_from_its_module_if_the_installed_name_fails_to_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A broken plugin of the same name would hide the provider."""
    monkeypatch.setattr(elsewhere, "installed_providers", lambda: [SimpleNamespace(name="acme")])
    with opened(Picky(), SETTINGS, Examples()) as subject:
        found = elsewhere.start([subject])[0]

    assert found.problem == ""
    assert found.outcomes


def test_failed_second_process_is_reported_for_each_provider() -> None:
    """The report would end with a traceback of the kit."""
    found = elsewhere.run_second([{}, {}])

    assert [each["problem"] for each in found] == ["the second process failed"] * 2


def test_provider_that_ends_the_second_process_is_an_effect() -> None:
    """A provider whose import ends the process, or breaks Python, would pass."""
    found = elsewhere.run_second([{}])

    assert found[0]["effects"] == [("ends, or breaks, the process", "")]


def test_module_of_an_unknown_package_is_loaded_from_its_file(tmp_path: Path) -> None:
    """A provider that was imported from a file could not be checked in the second process."""
    path = tmp_path / "acme.py"
    path.write_text("Acme = None\n", encoding="utf-8")
    given = {"entry": "", "module": "unknown_acme.acme", "file": str(path), "class": "Acme"}
    found = elsewhere.run_second([{**given, "name": "acme", "places": [str(path)]}])

    assert found[0]["problem"] == "its class is not at the top level of its module"


def test_oldest_result_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory would grow with each provider of a long run."""
    monkeypatch.setattr(kept, "_MOST", 1)
    values: kept.Kept[int] = kept.Kept()
    with (
        opened(Acme(), SETTINGS, Examples()) as one,
        opened(Picky(), SETTINGS, Examples()) as two,
    ):
        values.put(one, 1)
        values.put(two, 2)

        assert (values.get(one), values.get(two)) == (None, 2)
