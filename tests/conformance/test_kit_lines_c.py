"""What the checks of tokens and values, and the second process, do in rare cases."""

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
    """Right in every way."""

    name = "acme"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://acme.example/oauth/token"


class IgnoresScope(Acme):
    """Takes no scope from the response."""

    scope_format = "ignored"


class Picky(Acme):
    """Accepts one client only."""

    def token_request(self, settings: Any) -> keyturn.plugins.TokenRequest:
        """Reject every other client."""
        if settings.client_id != SETTINGS["client_id"]:
            raise keyturn.errors.ConfigurationError("no such client")
        return super().token_request(settings)


class Counts(keyturn.plugins.DynamicValue):
    """Differs with each call."""

    def __init__(self, settings: Any, *, is_input: bool) -> None:
        self._counter, self._is_input, self._settings = itertools.count(), is_input, settings

    def value(self, now: float) -> str:
        """Return what no other call returns, in its own way."""
        return f"{now}-{ssl.RAND_bytes(8).hex()}"

    def inputs(self) -> tuple[str | keyturn.Secret, ...]:
        """Return the next number, or all settings."""
        if self._is_input:
            return (str(next(self._counter)),)
        return repr(self._settings), self._settings.client_id, self._settings.client_secret


class Sends(Acme):
    """Sends a count."""

    is_input = False

    def token_request(self, settings: Any) -> keyturn.plugins.TokenRequest:
        """Add a header."""
        request = super().token_request(settings)
        header = ("X-Count", Counts(settings, is_input=self.is_input))
        return attrs.evolve(request, extra_headers=(*request.extra_headers, header))


class SendsUnstable(Sends):
    """Its value has other inputs each time."""

    is_input = True


def failure(name: str, provider: keyturn.plugins.Provider[Any], **given: Any) -> CheckFailed | None:
    """Return what a check finds wrong with a provider."""
    with opened(provider, SETTINGS, Examples(**given)) as subject:
        return check(name, subject)


def test_response_whose_token_is_elsewhere_is_left_to_other_checks() -> None:
    """The check would put a second token beside the provider's own."""
    assert (
        failure("token_as_sent", Acme(), response={"status": 200, "body": {"session": "made-up"}})
        is None
    )


def test_ignored_scope_is_not_compared() -> None:
    """A provider without scopes would have to read one."""
    assert failure("token_as_sent", IgnoresScope()) is None


def test_rejected_settings_are_not_compared() -> None:
    """A provider that rejects settings would fail the check of its values."""
    assert failure("dynamic_values", Picky()) is None


def test_inputs_that_differ_each_time_are_caught() -> None:
    """No token of such a connection would be found again."""
    assert "returns something else each time" in str(failure("dynamic_values", SendsUnstable()))


def test_value_that_differs_each_time_is_accepted() -> None:
    """A nonce from another source than Python's would be taken for a use of the clock."""
    assert failure("dynamic_values", Sends()) is None


def test_provider_of_the_main_module_has_no_second_process() -> None:
    """The second process would import another main module."""
    cls = type("Main", (Acme,), {"__module__": "__main__", "scope": lambda *_: ()})
    with opened(cls(), SETTINGS, Examples()) as subject:
        found = elsewhere.start([subject])[0]

    assert "not in a module" in found.problem


def test_installed_name_that_fails_to_load_leads_to_the_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A broken plugin of the same name would hide the provider."""
    monkeypatch.setattr(elsewhere, "installed_providers", lambda: [SimpleNamespace(name="acme")])
    with opened(Picky(), SETTINGS, Examples()) as subject:
        found = elsewhere.start([subject])[0]

    assert found.problem == ""
    assert found.outcomes


def test_failed_second_process_is_a_problem_of_each_provider() -> None:
    """The report would end with a traceback of the kit."""
    found = elsewhere.run_second([{}, {}])

    assert [each["problem"] for each in found] == [
        "the second process failed with FileNotFoundError"
    ] * 2


def test_module_of_an_unknown_package_is_loaded_by_its_file(tmp_path: Path) -> None:
    """A provider imported by its file would not be found again."""
    path = tmp_path / "acme.py"
    path.write_text("Acme = None\n", encoding="utf-8")
    given = {"entry": "", "module": "unknown_acme.acme", "file": str(path), "class": "Acme"}
    found = elsewhere.run_second([{**given, "name": "acme", "places": [str(path)]}])

    assert found[0]["problem"] == "its class is not at the top level of its module"


def test_oldest_value_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kit would keep what it found for every provider of a long run."""
    monkeypatch.setattr(kept, "_MOST", 1)
    values: kept.Kept[int] = kept.Kept()
    with (
        opened(Acme(), SETTINGS, Examples()) as one,
        opened(Picky(), SETTINGS, Examples()) as two,
    ):
        values.put(one, 1)
        values.put(two, 2)

        assert (values.get(one), values.get(two)) == (None, 2)
