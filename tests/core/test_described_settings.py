"""Settings of a description: patterns, formats, bounds, and the setting for the scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from tests.conftest import for_each

import keyturn
from keyturn import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    Platform = Callable[..., keyturn.Connection]

ADDRESS = {"token_url": "https://acme.example/token"}
USUAL = {"client_id": "made-up", "client_secret": "made-up"}


def described(**data: Any) -> keyturn.plugins.Provider[Any]:
    """Return a provider that is described by data."""
    return keyturn.plugins.provider_from_data(ADDRESS | data, name="acme")


def mistakes_in(**data: Any) -> list[str]:
    """Return the mistakes that are reported in a description."""
    with pytest.raises(errors.ConfigurationError) as caught:
        described(**data)
    return list(map(str, caught.value.problems))


# --- Patterns, formats and bounds ---

# A setting's table; valid values; invalid values, each with words of its message.
BOUNDS: list[tuple[dict[str, Any], list[Any], list[Any], str]] = [
    ({"pattern": "[0-9]{6}"}, ["123456"], ["12345", "1234567", "12345a", "123456\n"],
     "must match the pattern [0-9]{6}"),
    ({"pattern": r"^\d{2}-\w+$"}, ["12-ab_3"], ["1-a", "١٢-ab", "12-é"],
     r"must match the pattern ^\d{2}-\w+$"),
    ({"pattern": r"[\w.-]+|x y"}, ["a.b-c", "x y"], ["x  y", "é"],
     r"must match the pattern [\w.-]+|x y"),
    ({"pattern": "a.c"}, ["abc", "a😀c"], ["ac"], "must match the pattern a.c"),
    ({"format": "uuid"}, ["123e4567-e89b-12d3-a456-426614174000"],
     ["123e4567", "123e4567-e89b-12d3-a456-42661417400g"], "must be a UUID"),
    ({"format": "email"}, ["shop+x@acme.example"], ["shop", "a@b", "a b@acme.example"],
     "must be an email address"),
    ({"format": "uri"}, ["https://acme.example/a?b#c", "urn:acme:api"],
     ["acme.example", "urn:", "urn:a b", "urn:%zz"], "must be a URI"),
    ({"format": "hostname"}, ["Shop-1.acme.example", "localhost"],
     ["-a.example", "a..b", "a_b.example", ".".join(["a" * 60] * 5)], "must be a host name"),
    ({"format": "date"}, ["2027-01-31", "2028-02-29", "2000-02-29"],
     ["2027-02-29", "1900-02-29", "2027-13-01", "2027-04-31", "27-01-01", "0000-01-01"],
     "must be a date"),
    ({"min_length": 3, "max_length": 5}, ["abc", "abcde", "😀😀😀"], ["ab", "abcdef"],
     "must have 3 to 5 characters"),
    ({"max_length": 2}, ["a", "😀😀"], ["abc"], "must have at most 2 characters"),
    ({"min_length": 2}, ["ab"], ["a"], "must have 2 or more characters"),
    ({"kind": "secret", "min_length": 4, "pattern": "[a-f]+"}, ["abcd"], ["abc", "abcx"], "must"),
    ({"kind": "integer", "min": 1, "max": 99}, [1, "99"], [0, "100", -5], "must be from 1 to 99"),
    ({"kind": "integer", "min": -2}, [-2, "7"], [-3, "-10"], "must be -2 or more"),
    ({"kind": "integer", "max": 9}, [9, "-7"], [10, "11"], "must be 9 or less"),
]  # fmt: skip


@for_each("optional", [False, True])
@for_each(("table", "right", "wrong", "words"), BOUNDS)
def test_form_and_check_have_the_same_bounds(
    table: dict[str, Any], right: list[Any], wrong: list[Any], words: str, *, optional: bool
) -> None:
    """A form would accept a value that the connection refuses, or the reverse."""
    one = {"title": "One", "optional": optional, **table}
    provider = described(settings={"one": one}, parameters={"one": "{one}"})
    dialects: tuple[Any, ...] = ("2020-12", "draft-07")
    forms = [
        jsonschema.validators.validator_for(schema)(
            schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
        )
        for dialect in dialects
        for schema in [provider.settings_schema(dialect=dialect)]
    ]

    for value in right + ([""] if optional else []):
        assert keyturn.problems(provider, {**USUAL, "one": value}) == []
        assert all(form.is_valid({**USUAL, "one": value}) for form in forms), value
    for value in wrong:
        (problem,) = map(str, keyturn.problems(provider, {**USUAL, "one": value}))
        assert problem.startswith("one: must")
        assert "\n" in str(value) or words in problem
        assert not any(form.is_valid({**USUAL, "one": value}) for form in forms), value


@pytest.mark.parametrize("style", ["airbyte", "singer"])
def test_airbyte_and_singer_schemas_have_the_bounds(style: Any) -> None:
    """Airbyte's and Singer's forms would accept any value."""
    tables = {
        "mail": {"title": "Mail", "format": "email", "max_length": 40},
        "port": {"kind": "integer", "title": "Port", "min": 1, "max": 65535, "default": 443},
    }
    parameters = {"mail": "{mail}", "port": "{port}"}
    schema = described(settings=tables, parameters=parameters).settings_schema(style=style)
    form = jsonschema.validators.validator_for(schema)(schema)

    assert form.is_valid({**USUAL, "mail": "a@b.example", "port": 1})
    assert not form.is_valid({**USUAL, "mail": "a"})
    assert not form.is_valid({**USUAL, "mail": "a@b.example", "port": 0})
    assert schema["properties"]["mail"]["format"] == "email"
    assert schema["properties"]["mail"]["maxLength"] == 40


BAD_BOUNDS: list[tuple[dict[str, Any], str]] = [
    ({"pattern": "["}, "pattern: can't have '['"),
    ({"pattern": "(a"}, "pattern: is not a valid regular expression"),
    ({"pattern": "(?i)a"}, "pattern: can't have '(?i)a'"),
    ({"pattern": "a++"}, "pattern: can't have '++'"),
    ({"pattern": r"\s"}, r"pattern: can't have '\\s'"),
    ({"pattern": r"\Aa"}, r"pattern: can't have '\\Aa'"),
    ({"pattern": "[a&&b]"}, "pattern: can't have '[a&&b]'"),
    ({"pattern": "[[a]]"}, "pattern: can't have '[[a]]'"),
    ({"pattern": "(?P<a>b)"}, "pattern: can't have '(?P<a>b)'"),
    ({"format": "mail"}, "format: must be one of uuid, email, uri, hostname, date"),
    ({"min_length": 0}, "min_length: must be from 1 to 1000"),
    ({"min_length": 3, "max_length": 2}, "min_length: must not be more than max_length"),
    ({"kind": "integer", "min": 3, "max": 2}, "min: must not be more than max"),
    ({"kind": "integer", "min": "3"}, "min: must be an integer"),
    ({"min": 3}, "min: is for the kind integer only"),
    ({"kind": "label", "pattern": "a"}, "pattern: is for the kind text or secret only"),
    ({"kind": "secret", "format": "uuid"}, "format: is for the kind text only"),
    ({"kind": "url", "max_length": 2}, "max_length: is for the kind text or secret only"),
    ({"pattern": "a", "default": "b"}, "default: must match the pattern a"),
    ({"kind": "integer", "min": 2, "default": 1}, "default: must be 2 or more"),
]


@for_each(("table", "mistake"), BAD_BOUNDS)
def test_invalid_bound_is_reported(table: dict[str, Any], mistake: str) -> None:
    """An invalid bound would be ignored, or mean something else in the user's form."""
    (found,) = mistakes_in(settings={"one": {"title": "One", **table}}, parameters={"a": "{one}"})

    assert found.startswith(f"settings.one.{mistake}")


def test_credential_may_have_a_pattern() -> None:
    """A client ID of another platform would be noticed only when a token request is refused."""
    client_id = {"title": "Client ID", "pattern": "shop-[0-9]+"}
    provider = described(settings={"client_id": client_id})
    (problem,) = keyturn.problems(provider, USUAL)

    assert str(problem) == "client_id: must match the pattern shop-[0-9]+"
    assert keyturn.problems(provider, USUAL | {"client_id": "shop-7"}) == []


@pytest.mark.parametrize("keys", [{}, {"kind": "secret"}])
def test_credential_described_again_keeps_its_kind_and_its_description(
    keys: dict[str, str],
) -> None:
    """An author who gives a secret another title would show the secret, or lose its description."""
    provider = described(settings={"client_secret": {"title": "API secret", **keys}})
    found = provider.settings_schema()["properties"]["client_secret"]
    usual = described().settings_schema()["properties"]["client_secret"]

    assert found == usual | {"title": "API secret"}
    assert found["writeOnly"]


@pytest.mark.parametrize("name", ["private_key", "certificate"])
def test_key_and_certificate_keep_their_own_check(name: str) -> None:
    """A pattern for a key or a certificate would be ignored silently."""
    kind = {"private_key": "secret", "certificate": "text"}[name]
    table = {"kind": kind, "title": "Key", "pattern": "x"}
    found = mistakes_in(credentials=name, settings={name: table})
    del table["pattern"]
    provider = described(credentials=name, settings={name: table})

    assert keyturn.problems(provider, {"client_id": "x", name: "-----x"}) == (
        [
            keyturn.Problem(
                name, "must be a private key as PEM, from -----BEGIN to the last line, or as JWK"
            )
        ]
        if name == "private_key"
        else []
    )
    problem = f"settings.{name}.pattern: can't be set: this credential has its own check"
    assert found == [f'{problem} (it is "x")']


# --- The scope ---


def test_flow_with_a_scope_has_a_setting_for_it(platform: Platform) -> None:
    """A user could not request a scope, although the platform supports scopes."""
    assert b"scope" not in platform().token_request().body
    assert platform(scope="a b").token_request().body.endswith(b"&scope=a+b")
    assert platform({"scope_name": "scp"}, scope="a").token_request().body.endswith(b"&scp=a")
    assert "scope" not in described().settings_schema()["required"]


@pytest.mark.parametrize(
    "data",
    [{"scope": False}, {"scope_name": ""}, {"parameters": {"scope": "always"}}],
)
def test_flow_without_a_scope_has_no_setting_for_it(data: dict[str, Any]) -> None:
    """A user could set a scope that is never sent."""
    assert "scope" not in described(**data).settings_schema()["properties"]


def test_described_scope_is_one_or_several_values(platform: Platform) -> None:
    """An author would have to write the kind of the only kind of scope."""
    connection = platform({"settings": {"scope": {"default": ["a", "b"]}}})

    assert connection.token_request().scope == ("a", "b")
    (problem,) = mistakes_in(settings={"scope": {"pattern": "a"}})
    assert problem.startswith("settings.scope.pattern: is for the kind text or secret only")


def test_scope_may_be_required() -> None:
    """A user would notice only from a refused token request that a scope is required."""
    assert "scope" in described(scope="required").settings_schema()["required"]
    claims = {"scope": "{scope}"}
    signed = described(
        client_authentication="private_key_jwt",
        scope="required",
        scope_name="",
        assertion_claims=claims,
    )
    assert "scope" in signed.settings_schema()["required"]


SCOPE = {"kind": "scope", "title": "Scope"}


@pytest.mark.parametrize(
    ("data", "mistake"),
    [
        ({"scope": "read write"}, 'must be "required", or false for no setting of that name. A'),
        ({"scope": True}, 'must be "required", or false for no setting of that name. A'),
        ({"scope": ["a"]}, 'must be "required", or false for no setting of that name. A'),
        ({"scope": False, "settings": {"scope": SCOPE}}, "must be absent if the settings have"),
        ({"scope": "required", "settings": keyturn.plugins.ClientSettings},
         "must be absent if the settings have"),
    ],
)  # fmt: skip
def test_invalid_scope_datum_is_reported(data: dict[str, Any], mistake: str) -> None:
    """The scope that an author declares would silently not be sent."""
    (found,) = mistakes_in(**data)

    assert found.startswith(f"scope: {mistake}")
