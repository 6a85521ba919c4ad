"""The provider kit with unusual settings, responses and classes."""

from __future__ import annotations

import contextlib
import os
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import pytest

import keyturn
from keyturn import Secret
from keyturn.testing.provider_kit import _elsewhere as elsewhere
from keyturn.testing.provider_kit import _run as kit
from keyturn.testing.provider_kit._examples import Examples
from keyturn.testing.provider_kit._subject import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS: dict[str, Any] = {"client_id": "made-up", "client_secret": "s3cret-for-tests"}
_MOST_SCOPES = 3
_XML = "<r><token>made-up-token</token><life>3600</life></r>"


class LimitedSettings(keyturn.plugins.ConfidentialSettings):
    """Settings of which some combinations are rejected."""

    side: str = keyturn.plugins.setting("Side", default="front")
    shelf: str = keyturn.plugins.setting("Shelf", default="top")
    scope: tuple[str, ...] | None = keyturn.plugins.setting("Scope", default=None)

    def problems(self) -> Iterator[str]:
        """Yield the combination that is rejected."""
        if self.side != "front" and self.shelf != "top":
            yield "shelf: only the front has other shelves."
        if len(self.scope or ()) > _MOST_SCOPES:
            yield f"scope: at most {_MOST_SCOPES} values are allowed."


class Limited(keyturn.plugins.Provider[Any]):
    """A correct provider."""

    name = "acme"
    settings = LimitedSettings
    token_url = "https://acme.example/oauth/token"
    api_url = "https://acme.example/api"
    api_headers: ClassVar = {"X-Side": "{side}", "X-Shelf": "{shelf}"}


class AddsUp(Limited):
    """Collects the scope values of all connections."""

    _seen: ClassVar[dict[str, None]] = {}

    def scope(self, settings: Any) -> tuple[str, ...]:
        """Return the scope values of this connection and of all earlier ones."""
        self._seen.update(dict.fromkeys(super().scope(settings)))
        return tuple(self._seen)[:_MOST_SCOPES]


class OfProcess(Limited):
    """Sends the process ID."""

    def token_request(self, settings: Any) -> keyturn.plugins.TokenRequest:
        """Return the usual request with another header."""
        request = super().token_request(settings)
        header = ("X-Made-Up", f"{os.getpid()}")
        return attrs.evolve(request, extra_headers=(*request.extra_headers, header))


class WrongDomain(Limited):
    """Has a wrong datum below an assignment to two names."""

    _first, _second = "a", "b"
    api_domains: ClassVar[Any] = ("not a domain",)


LIMITED, OF_PROCESS, ADDS_UP = Limited(), OfProcess(), AddsUp()
# Values that JSON does not have.
GIVEN: tuple[dict[str, Any], ...] = (
    {"client_secret": Secret("s3cret-for-tests")},
    {"scope": ("read", "write")},
)


@pytest.fixture(scope="module", autouse=True)
def _one_second_process() -> None:
    """Start one second process for all cases, instead of one for each."""
    with contextlib.ExitStack() as stack:
        tried = [(LIMITED, {}), (ADDS_UP, {}), *product((LIMITED, OF_PROCESS), GIVEN)]
        elsewhere.start(
            [
                stack.enter_context(opened(each, SETTINGS | given, Examples()))
                for each, given in tried
            ]
        )


def failure(name: str, provider: keyturn.plugins.Provider[Any], **settings: Any) -> str:
    """Return the failure of one check of a provider; empty if it passes."""
    with opened(provider, SETTINGS | settings, Examples()) as subject:
        found = kit.check(name, subject)
    return "" if found is None else str(found)


@pytest.mark.parametrize("name", ["isolation", "forgotten_settings", "nothing_changed"])
def test_settings_that_exclude_each_other_are_varied_one_by_one(name: str) -> None:
    """A provider whose settings exclude each other could not be verified."""
    assert failure(name, LIMITED) == ""


def test_fewer_scope_values_are_tried_where_many_are_rejected() -> None:
    """A provider that limits the number of scope values could mix those of its tenants unseen."""
    assert "scope returns another" in failure("isolation", ADDS_UP)


@pytest.mark.parametrize("settings", GIVEN)
def test_secrets_and_tuples_reach_the_second_process(settings: dict[str, Any]) -> None:
    """A conformance class with a Secret or a tuple would fail, or skip the second process."""
    assert failure("other_process", LIMITED, **settings) == ""
    assert "header X-Made-Up" in failure("other_process", OF_PROCESS, **settings)


def test_line_is_named_below_an_assignment_to_several_names() -> None:
    """The failure would name the wrong line, and the author would look there."""
    assert "At: api_domains, test_kit_lines_d.py:" in failure("data", WrongDomain())


@pytest.mark.parametrize(
    "name", ["lifetime", "token_as_sent", "short_lifetime", "missing_lifetime"]
)
def test_documented_response_may_be_xml(name: str) -> None:
    """A platform that responds in XML could not be verified by its documented response."""
    data = {"response_format": "xml", "token_field": "token", "lifetime_field": "life"}
    provider = keyturn.plugins.provider_from_data(
        {"token_url": "https://acme.example/token", "token_type": ""} | data, name="acme"
    )
    response = {"headers": {"Content-Type": "application/xml"}, "body": _XML}
    with opened(provider, SETTINGS, Examples(response=response, lifetime=3600)) as subject:
        assert kit.check(name, subject) is None
