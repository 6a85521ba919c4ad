"""What the conformance kit says of one cause that shows in several checks."""

from __future__ import annotations

import importlib
import socket
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.conformance.kit_subjects import Many, failure

import keyturn
from keyturn.testing.provider_kit._examples import Examples
from keyturn.testing.provider_kit._run import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class KeepsLast(Many):
    """A provider of the main program, which a second process can't import; keeps labels."""

    __module__ = "__main__"
    last: ClassVar[dict[str, str]] = {}

    def token_request(self, settings: Any) -> keyturn.plugins.TokenRequest:
        """Return the usual request."""
        self.last[settings.client_id] = settings.label
        return super().token_request(settings)

    def api_request_headers(self, settings: Any, token: keyturn.Token) -> dict[str, str]:
        """Return a header with the label for which the client requested a token last."""
        return {"X-Label": self.last[settings.client_id]}


def test_provider_of_the_main_program_is_checked_for_isolation_in_this_process() -> None:
    """It would pass with another connection's label, as no second process can import it."""
    found = failure("isolation", KeepsLast())

    assert found is not None
    assert "api_request_headers" in str(found)


def remembering() -> Any:
    """Return a check of a setting that accepts each value once."""
    seen: set[str] = set()

    def check_once(value: str) -> str | None:
        problem = "is taken" if value in seen else None
        seen.add(value)
        return problem

    return check_once


class RemembersSettings(keyturn.plugins.ConfidentialSettings):
    """Settings with a check that accepts each value once."""

    shop: str = keyturn.plugins.setting("Shop", default="", check=remembering())


class Remembers(keyturn.plugins.Provider[Any]):
    """A provider whose settings give another result each time."""

    name = "acme"
    settings = RemembersSettings
    token_url = "https://acme.example/token"
    api_headers: ClassVar = {"X-Shop": "{shop}"}


class Misplaced(keyturn.plugins.Provider[Any]):
    """A provider with an address that lacks its scheme."""

    name = "acme"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "acme.example/token"


@pytest.mark.parametrize(
    ("provider", "cause"), [(Remembers(), "settings_alone"), (Misplaced(), "data")]
)
def test_consequence_of_wrong_settings_or_data_is_not_reported_by_itself(
    provider: Any, cause: str
) -> None:
    """An author would look for the mistake in a method that is correct."""
    report = run(provider, {}, Examples())

    assert list(report.failures) == [cause]
    assert set(report.repeated.values()) == {cause}


class RefusesSettings(keyturn.plugins.ConfidentialSettings):
    """Settings that are refused by a problem of two lines, which does not name the setting."""

    shop: str = keyturn.plugins.setting("Shop", default="acme")

    def problems(self) -> Iterator[str]:
        """Yield a problem of a shop with other characters than letters."""
        if not self.shop.isalpha():
            yield "the name has digits:\nuse letters."


class Refuses(keyturn.plugins.Provider[Any]):
    """A provider with such settings."""

    name = "acme"
    settings = RefusesSettings
    token_url = "https://{shop}.acme.example/token"


class NamesSettings(RefusesSettings):
    """Settings that are refused by a problem of one line, which names the setting."""

    def problems(self) -> Iterator[str]:
        """Yield the problem in one line."""
        return (f"shop: {' '.join(each.split())}" for each in super().problems())


class Names(Refuses):
    """A provider with such settings."""

    settings = NamesSettings


def test_problem_that_names_its_setting_passes() -> None:
    """A correct provider would be accused of the problems of its settings."""
    for name in ("plugin_messages", "hostile_strings"):
        assert failure(name, Names()) is None


def test_wrong_problem_is_reported_once() -> None:
    """An author would read a second message for each string that the problem refuses."""
    report = run(Refuses(), {}, Examples())

    assert list(report.failures) == ["plugin_messages"]
    assert report.repeated["hostile_strings"] == "plugin_messages"


class ResolvesSettings(keyturn.plugins.ConfidentialSettings):
    """Settings with problems that depend on the network."""

    def problems(self) -> Iterator[str]:
        """Yield a problem if a host name can't be resolved."""
        socket.gethostbyname("acme.example")
        yield from ()


class Resolves(Many):
    """A provider whose settings resolve a host name."""

    settings: Any = ResolvesSettings
    token_url = "https://acme.example/token"


def test_settings_that_use_the_network_are_reported_with_their_line() -> None:
    """The failure would not say that the check of a setting resolves a host name."""
    with pytest.raises(keyturn.errors.ConfigurationError) as raised:
        run(Resolves(), {}, Examples())

    assert "a check of its settings resolves a host name" in str(raised.value)
    assert "test_kit_causes.py:" in str(raised.value)


PRINTS = """'A provider that does something when it is imported.'
import keyturn
LIMITS = {}
LIMITS["day"] = 7
print("hello")
class Acme(keyturn.plugins.Provider):
    name = "acme"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://acme.example/token"
"""


def test_line_of_an_import_with_a_side_effect_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An author would have to search for the line."""
    (tmp_path / "acme_prints.py").write_text(PRINTS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("acme_prints")
    found = failure("import_effects", module.Acme())

    assert found is not None
    assert "the import of the provider prints" in found.what
    assert found.at == "acme_prints.py:5"
