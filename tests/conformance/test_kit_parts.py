"""Parts of the conformance kit that the other files don't reach."""

from __future__ import annotations

import logging
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, get_args

import attrs
import httpx
import pytest
from tests.conformance.kit_subjects import Many, ManySettings, failure, provider_from_data

import keyturn
from keyturn._providers.lifetime_formats import LifetimeFormat
from keyturn.testing._messages import Response
from keyturn.testing.provider_kit._audit import Watch, unwatched, watched
from keyturn.testing.provider_kit._canaries import canaries_for, is_partly_in
from keyturn.testing.provider_kit._endpoint import RESET, Endpoint
from keyturn.testing.provider_kit._examples import CheckFailed, Examples
from keyturn.testing.provider_kit._patterns import matching
from keyturn.testing.provider_kit._run import check, run
from keyturn.testing.provider_kit._subject import opened
from keyturn.testing.provider_kit._watch import captured_output, tomorrow

if TYPE_CHECKING:
    from pathlib import Path


def test_settings_of_every_kind_are_generated() -> None:
    """`keyturn verify` would ask for settings that it can generate."""
    with opened(Many(), {"number": 9}, Examples()) as subject:
        values = subject.values

    assert values == {
        "client_id": "made-up",
        "client_secret": "made-up",
        "label": "made-up",
        "address": "https://made-up.example",
        "kind": "b",
        "selector": "code:made-up",
        "number": 9,
        "share": 1,
        "is_live": True,
        "scope": ["made-up"],
        "side": "front",
    }


@pytest.mark.parametrize(
    "pattern",
    [
        r"^acs_[A-Za-z0-9_-]{48}$",
        r"^(?:us|eu|pac)-[a-z]+-[1-9](?:\.\d{2,})?$",
        r"^(?=^[^\r\n]*$)(?=^(?:[a-f0-9]{8,16})$)",
        r"^(?!0)[0-9]+(?::\d+)?(?:/[\w.-]*)*$",
        r"\x41[]^-]?[^@]+@.+x{3}",
        r"(?P<half>[a-z]{3})-a*",
    ],
)
def test_strings_are_generated_from_a_pattern(pattern: str) -> None:
    """An author would have to give a value for each setting with a pattern."""
    made = [*matching(pattern)]

    assert len(made) >= 2
    assert all(re.search(pattern, each) for each in made)


@pytest.mark.parametrize("pattern", ["", r"([a-z])\1", "é"])
def test_unusual_pattern_gives_no_wrong_string(pattern: str) -> None:
    """A check would fail with a value that the setting rejects."""
    assert [*matching(pattern)] == []


def test_setting_that_cannot_be_generated_is_named() -> None:
    """An author would not know which setting to give."""
    impossible = keyturn.plugins.setting(
        "Impossible", check=lambda value: f"must not be {len(value)} long"
    )
    namespace = {"__annotations__": {"riddle": str}, "__module__": __name__, "riddle": impossible}
    cls = type("Riddles", (keyturn.plugins.ConfidentialSettings,), namespace)
    provider = type("Riddle", (Many,), {"settings": cls})()

    with pytest.raises(keyturn.errors.ConfigurationError, match="riddle: is required"):
        run(provider, {}, Examples())


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES384", "Ed25519", "Ed448"])
def test_generated_key_can_sign(algorithm: str) -> None:
    """A provider with signed assertions could not be verified."""
    provider = provider_from_data(
        client_authentication="private_key_jwt", assertion_algorithm=algorithm
    )

    assert failure("sync_and_async", provider) is None


def test_generated_secrets_have_no_part_in_common() -> None:
    """An author would read by chance that another secret is shown than the one that is."""
    found = [*canaries_for(map(str, range(60))).values()]

    for number, each in enumerate(found):
        assert not any(is_partly_in(each, other) for other in found[:number])


def test_endpoint_survives_any_client() -> None:
    """One client that disconnects would stop the endpoint, and fail every later check."""
    with Endpoint() as endpoint:
        with socket.create_connection(("127.0.0.1", int(endpoint.url.split(":")[2][:5]))):
            pass
        endpoint.reply = RESET
        with pytest.raises(httpx.HTTPError):
            httpx.get(endpoint.url, trust_env=False)
        endpoint.reply = lambda request: Response(201, request.body)

        assert httpx.post(endpoint.url, content=b"echo", trust_env=False).text == "echo"
    assert [request.method for request in endpoint.received] == ["GET", "POST"]
    with pytest.raises(httpx.HTTPError):
        httpx.get(endpoint.url, trust_env=False)


@pytest.mark.parametrize(
    "lifetime_format", [*get_args(LifetimeFormat), "%Y-%m-%d %H:%M", "%d %b %Y"]
)
def test_lifetimes_are_generated_in_every_format(lifetime_format: str) -> None:
    """A correct provider would fail the checks of lifetimes."""
    provider = provider_from_data(lifetime_format=lifetime_format, lifetime_field="data.0.end")

    for name in ("lifetime", "short_lifetime", "bad_lifetimes", "missing_lifetime"):
        assert failure(name, provider) is None


@pytest.mark.parametrize("lifetime_format", ["date", "%Y-%m-%d %H:%M"])
def test_lifetimes_are_generated_in_the_time_zone_of_the_provider(lifetime_format: str) -> None:
    """A correct provider would fail for a lifetime that is hours too short."""
    provider = provider_from_data(lifetime_format=lifetime_format, lifetime_timezone="Asia/Seoul")

    for name in ("lifetime", "short_lifetime"):
        assert failure(name, provider) is None


@pytest.mark.parametrize(
    "data",
    [
        {"token_header": "X-Token", "token_type": ""},
        {"token_header": "Set-Cookie.SID", "token_type": ""},
        {"lifetime_header": "X-Lifetime"},
        {"lifetime_header": "X-Lifetime", "missing_lifetime": 60, "token_header": "x-token"},
    ],
)
def test_token_and_lifetime_may_be_in_headers(data: dict[str, Any]) -> None:
    """A correct provider would fail for a body that its response does not need."""
    provider = provider_from_data(**data)

    for name in ("token_as_sent", "lifetime", "missing_lifetime", "faults"):
        assert failure(name, provider) is None


@pytest.mark.parametrize("accept", ["application/json", "text/html, */*;q=0.1"])
def test_provider_may_ask_for_what_it_reads(accept: str) -> None:
    """A platform that insists on a header Accept could not be verified."""
    provider = provider_from_data(token_headers={"Accept": accept})

    assert failure("well_formed_request", provider) is None


def test_provider_that_changes_the_token_of_a_header_fails() -> None:
    """The kit would pass a provider whose tokens no API accepts."""
    provider = provider_from_data(token_header="X-Token")

    def read_token(self: Any, *given: Any) -> keyturn.Token:
        token = keyturn.plugins.Provider.read_token(self, *given)
        return attrs.evolve(token, access_token=token.access_token.lower())

    type(provider).read_token = read_token  # type: ignore[method-assign]
    assert "read_token changes the token" in str(failure("token_as_sent", provider))


def test_code_and_message_may_share_a_field() -> None:
    """The message would overwrite the code of a made-up error."""
    provider = provider_from_data(error_field="error", error_description_field="error.message")

    assert failure("oauth_errors", provider) is None


def test_whole_body_is_a_token() -> None:
    """Platforms that respond with the bare token could not be verified."""
    provider = provider_from_data(token_field="", token_type="", missing_lifetime=600.0)

    for name in ("lifetime", "missing_lifetime", "error_inside_200", "faults", "short_lifetime"):
        assert failure(name, provider) is None


def test_files_of_the_kit_and_of_other_threads_are_not_reported(tmp_path: Path) -> None:
    """Other threads, and the kit's own work, would fail while a check runs."""
    path = tmp_path / "a"
    path.write_text("a", encoding="utf-8")
    with watched(Watch((__file__,), is_strict=True)) as seen:
        with pytest.raises(PermissionError):
            path.read_text(encoding="utf-8")
        with ThreadPoolExecutor(1) as pool, unwatched():
            other = pool.submit(path.read_text, encoding="utf-8").result()
    assert [what for what, _ in seen] == ["opens a file"]
    assert seen[0][1].startswith("test_kit_parts.py:")
    assert other == "a"
    assert path.read_text(encoding="utf-8") == "a"


def test_only_a_loop_of_the_provider_is_one_that_waits() -> None:
    """An author would get a failure where keyturn, and not the provider, reads the clock."""
    watch = Watch(("elsewhere.py",))
    for _ in range(2000):
        watch.loops()
    assert watch.attempts == []

    watch = Watch((__file__,))
    for _ in range(1000):
        watch.loops()
    with pytest.raises(PermissionError):
        watch.loops()
    assert [what for what, _ in watch.attempts] == ["waits in a loop that reads the clock"]


def test_clock_is_restored_after_a_check_of_tomorrow() -> None:
    """The process would keep a wrong clock."""
    before = time.time()
    with tomorrow():
        assert time.time() - before >= 86_400
        assert time.time_ns() / 1e9 - before >= 86_400
    assert time.time() - before < 86_400


def test_logged_and_printed_output_is_captured(capsys: pytest.CaptureFixture[str]) -> None:
    """A secret that is logged or printed would be overlooked."""
    with captured_output() as output:
        logging.getLogger("acme").debug("a %s", "canary")
        print("another canary")  # noqa: T201 - the output to capture
    seen = dict(output)

    assert seen["the log acme"] == "a canary"
    assert seen["what is printed"] == "another canary\n"
    assert "canary" in seen["an argument in the log acme"]
    assert capsys.readouterr().out == ""


def test_defect_in_a_method_is_reported_for_that_method() -> None:
    """The settings would be blamed for it."""

    class Raising(Many):
        def token_request(self, settings: ManySettings) -> keyturn.plugins.TokenRequest:
            raise ZeroDivisionError

    found = failure("repeatable_request", Raising())

    assert found is not None
    assert "token_request failed" in found.what
    assert "ZeroDivisionError" in found.what


def test_unexpected_error_is_a_failure() -> None:
    """An unexpected error in one check would end the whole run."""

    class Rejecting(Many):
        def token_request(self, settings: ManySettings) -> keyturn.plugins.TokenRequest:
            raise keyturn.errors.ConfigurationError("not today")

    report = run(Rejecting(), {}, Examples())

    assert report.request is None
    assert any("not today" in each.what for each in report.failures.values())


def test_invalid_settings_of_a_check_are_reported() -> None:
    """A check that tries invalid settings would fail without a message."""
    with opened(Many(), {}, Examples()) as subject, pytest.raises(CheckFailed, match="number:"):
        subject.settings(number="many")


def test_context_setting_that_changes_the_request_is_reported() -> None:
    """Each application would need a token of its own, for no visible reason."""
    parameters = {"application": "{application}"}
    settings = {"application": {"title": "Application", "optional": True}}
    provider = provider_from_data(parameters=parameters, settings=settings)
    found = failure("fingerprint", provider, context=frozenset({"application"}))

    assert found is not None
    assert "`context`" in found.fix


@pytest.mark.parametrize("more", [{}, {"pattern": "[A-Z0-9]{32}"}])
def test_secret_for_api_requests_alone_passes(more: dict[str, str]) -> None:
    """Platforms with an API key beside the token could not be verified."""
    settings = {"api_key": {"title": "API key", "kind": "secret", **more}}
    provider = provider_from_data(api_headers={"X-Api-Key": "{api_key}"}, settings=settings)

    assert failure("fingerprint", provider) is None


@pytest.mark.parametrize("kind", ["text", "scope"])
def test_scope_may_be_a_string_or_a_tuple(kind: Literal["text", "scope"]) -> None:
    """The order of scope values would go unchecked where the setting is a string."""
    settings = {"scope": {"title": "Scope", "kind": kind, "optional": True}}

    assert failure("scope_order", provider_from_data(settings=settings)) is None


def test_addresses_on_this_machine_may_be_http() -> None:
    """A provider could not be tested against a local server."""
    settings = {"shop": {"title": "Shop", "kind": "url"}}
    provider = keyturn.plugins.provider_from_data(
        {
            "token_url": "{shop}/token",
            "revocation_url": "{shop}/revoke",
            "settings": settings,
        },
        name="local",
    )
    with opened(provider, {"shop": "http://127.0.0.1:9"}, Examples()) as subject:
        assert check("well_formed_request", subject) is None
        assert check("revocation", subject) is None
