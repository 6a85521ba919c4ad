"""What the conformance kit makes of examples, and of data that few providers have."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.kit_subjects import REQUEST, Many, ManySettings, failure, provider_from_data

import keyturn
from keyturn.testing.provider_kit._examples import Examples
from keyturn.testing.provider_kit._run import CHECKS, check
from keyturn.testing.provider_kit._subject import opened


def test_large_rate_limit_is_checked_without_sending() -> None:
    """A check of a rate limit of thousands would take minutes."""
    provider = provider_from_data(rate_limit={"per_minute": 6000, "burst": 1000})
    with opened(provider, {}, Examples()) as subject:
        assert check("rate_limit", subject) is None
        assert subject.endpoint.received == []


def test_rate_limit_of_a_provider_without_client_id_is_found() -> None:
    """A provider without a client ID would seem to have no rate limit."""
    settings = {"api_key": {"title": "API key", "kind": "secret"}}
    provider = provider_from_data(
        credentials="none",
        settings=settings,
        parameters={"api_key": "{api_key}"},
        rate_limit={"per_minute": 6, "burst": 2},
    )

    assert failure("rate_limit", provider) is None


def test_api_address_in_the_response_is_followed() -> None:
    """An author would have to give an example although the response names the API's address."""
    for domains in ([], ["acme.example"]):
        provider = provider_from_data(api_url_field="instance_url", api_domains=domains)
        for name in ("api_address", "foreign_api_address"):
            assert failure(name, provider) is None


@pytest.mark.parametrize(
    ("name", "examples", "message"),
    [
        ("golden_request", {"request": REQUEST | {"body": "a"}}, "token request's body"),
        (
            "golden_request",
            {"request": REQUEST | {"body": "{changing}", "headers": {"X-A": "b"}}},
            "header x-a",
        ),
        ("fingerprint", {"context": frozenset({"nothing"})}, "names unknown settings"),
        ("lifetime", {"response": {"body": "no token"}}, "`response` gives no token"),
    ],
)
def test_wrong_example_is_reported(name: str, examples: dict[str, Any], message: str) -> None:
    """A typo in an example would look like a mistake of the provider."""
    found = failure(name, provider_from_data(), **examples)

    assert found is not None
    assert message in found.what


def test_rejected_value_is_not_varied() -> None:
    """A provider that rejects some combinations would seem to ignore a setting."""

    class OneSide(Many):
        def token_request(self, settings: ManySettings) -> keyturn.plugins.TokenRequest:
            if settings.side == "back":
                raise keyturn.errors.ConfigurationError("the back has no tokens.")
            return super().token_request(settings)

    with opened(OneSide(), {}, Examples()) as subject:
        assert check("fingerprint", subject) is None
        assert any("does not vary them: side." in note for note in subject.notes)


def test_fixed_scope_has_no_order_to_check() -> None:
    """A platform with one fixed scope could not be verified."""
    settings = {"scope": {"title": "Scope", "kind": "choice", "choices": ["read"]}}
    with opened(provider_from_data(settings=settings), {}, Examples()) as subject:
        assert check("scope_order", subject) is None
        assert subject.notes == [
            "scope: the kit can't generate two values, so it does not check their order."
        ]


def test_example_token_may_be_anywhere_if_the_provider_reads_it() -> None:
    """A provider that reads its response in code could not be checked with an example."""

    class Reads(Many):
        def read_token(
            self,
            settings: ManySettings,
            response: keyturn.plugins.Response,
            request: keyturn.plugins.TokenRequest,
        ) -> keyturn.Token:
            content = response.json()
            found = content.get("a") if isinstance(content, dict) else None
            if not isinstance(found, str):
                raise keyturn.errors.InvalidTokenResponse("there is no token.")
            now = response.sent_at
            return keyturn.Token(found, "Bearer", expires_at=now + 60, issued_at=now)

    examples = {"response": {"body": {"a": "made-up-token"}}, "lifetime": 60}
    for name in ("lifetime", "bad_lifetimes", "short_lifetime", "faults"):
        assert failure(name, Reads(), **examples) is None


def test_token_type_may_be_absent() -> None:
    """A platform whose responses have no token_type could not be verified."""
    assert failure("lifetime", provider_from_data(token_type="")) is None


def test_short_example_token_is_not_reported_as_leaked() -> None:
    """A token of one letter would seem to appear everywhere."""
    body = {"access_token": "t", "token_type": "Bearer", "expires_in": 60}
    for name in ("redaction", "revocation"):
        provider = provider_from_data(revocation_url="https://acme.example/revoke")
        assert failure(name, provider, response={"body": body}, lifetime=60) is None


def test_choice_named_token_kind_is_not_a_secret() -> None:
    """A platform with kinds of tokens to choose from could not be verified."""
    plain = {"title": "Kind of token"}
    choice = plain | {"kind": "choice", "choices": ["short", "long"]}
    parameters = {"kind": "{kind_of_token}"}
    found = [
        failure(
            "settings_class",
            provider_from_data(parameters=parameters, settings={"kind_of_token": each}),
        )
        for each in (plain, choice)
    ]

    assert "kind_of_token has the name of a secret" in str(found[0])
    assert found[1] is None


def test_documented_secret_in_api_requests_passes() -> None:
    """A platform that wants the client's secret in API requests could not be verified."""
    provider = provider_from_data(api_headers={"X-Secret": "{client_secret}"})
    assert failure("made_of_secrets", provider) is not None
    assert failure("made_of_secrets", provider, api={"headers": {}}) is None


def test_interrupt_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C would fail one check, and the rest would run on."""

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(CHECKS, "data", interrupted)
    with pytest.raises(KeyboardInterrupt):
        failure("data", provider_from_data())


class OfList(keyturn.plugins.Provider[Any]):
    """A provider whose API requests carry the second part of a token."""

    name = "of-list"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://acme.example/token"

    def authorization(self, settings: Any, token: keyturn.Token) -> tuple[str, str]:
        """Return the authorization header."""
        return "Authorization", f"Parts {token.extra['parts'][1]}"


def test_authorization_may_use_a_list() -> None:
    """A correct provider would fail, because the later token has another list."""
    content = {"access_token": "t", "token_type": "Bearer", "expires_in": 60, "parts": ["a", "b"]}
    response = {"status": 200, "body": content}

    assert failure("api_headers", OfList(), response=response, lifetime=60) is None
