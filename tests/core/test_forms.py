"""Forms: a provider's JSON Schema and `keyturn.problems` refuse the same values of a setting."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import jsonschema
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.conftest import for_each

import keyturn

SECRET = {"client_id": "made-up", "client_secret": "made-up"}
DESCRIBED = keyturn.plugins.provider_from_data(
    {
        "name": "described",
        "token_url": "https://{region}.acme.example/{account}/token",
        "parameters": {name: f"{{{name}}}" for name in ("shop", "domain", "pin", "plan", "number")},
        "settings": {
            "region": {"kind": "label", "title": "Region", "optional": True},
            "account": {"kind": "text", "title": "Account", "optional": True},
            "shop": {"kind": "url", "title": "Shop"},
            "domain": {"kind": "domain", "title": "Domain", "default": "acme.example"},
            "pin": {"kind": "secret", "title": "PIN", "optional": True},
            "plan": {"kind": "choice", "title": "Plan", "choices": ["a", "b"], "optional": True},
            "number": {"kind": "integer", "title": "Number", "optional": True},
            "scope": {"kind": "scope", "title": "Scope", "default": ["read"]},
        },
    }
)


def _even_problem(value: int) -> str | None:
    return "must be even" if value % 2 else None


class RuledSettings(keyturn.plugins.Settings):
    """Settings with rules and checks that no built-in provider has."""

    number: int = keyturn.plugins.setting("Number", check=_even_problem, schema={"multipleOf": 2})
    method: Literal["GET", "POST", "PUT"] = keyturn.plugins.setting("Method", default="POST")
    format: Literal["json", "form"] = keyturn.plugins.setting("Format", default="json")
    is_strict: bool = keyturn.plugins.setting("Strict", default=True)
    note: str | None = keyturn.plugins.setting("Note", default=None, check=lambda _: None)
    share: float = keyturn.plugins.setting(
        "Share", default=1.0, check=keyturn.plugins.between(0, 100)
    )
    rules = (
        keyturn.plugins.Rule(
            "format", "must be json", when={"method": ("GET", "POST")}, must_be=("json", "x")
        ),
        keyturn.plugins.Rule(
            "note", "must be absent", when={"is_strict": True}, must_be=keyturn.plugins.ABSENT
        ),
    )


class Ruled(keyturn.plugins.Provider[RuledSettings]):
    """A provider with those settings."""

    name = "ruled"
    settings = RuledSettings
    token_url = "https://acme.example/token"


SHOP = {"shop": "https://shop.example", "region": "eu", "account": "b"}
PROVIDERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "norce-commerce": ("norce-commerce", SECRET | {"client": "acme", "environment": "stage"}),
    "norce-storm": ("norce-storm", SECRET | {"scope": "lab"}),
    "orocommerce": ("orocommerce", SECRET | {"url": "https://shop.example"}),
    "commercelayer": ("commercelayer", {"client_id": "made-up", "kind": "sales_channel"}),
    "described": (DESCRIBED, SECRET | SHOP),
    "ruled": (Ruled(), {"number": 2}),
    "generic": ("generic", {"token_url": "https://a.example/token"}),
}
ABSENT = object()
STRINGS = [
    *["GET", "POST", "PUT", "private_key_jwt", "tls_client_auth", "-----BEGIN PRIVATE KEY-----"],
    *["json", "query", "Host", "X-Host", "alg", "a.b", "0.5", "100.0", "100.5", "-0.5", "HS256"],
    *["https://{client_id}.a.example/x", "{token_url}/x", "epoch", "299", "300"],
    *["", " ", "\n", "a", "a ", " a", "a\n", "a\u2028", "a\x00", "\ud800", "a b", "a\tb", "a\x85b"],
    *["a\x1cb", "\u00e9", "\U0001f511", "\ufeffa", "a\u00a0", "a\u200b", "A", "-a", "a.b", "a..b"],
    *["1", "01", "-1", "-0", "0", "1.0", "1e3", "+1", "\u0661", "7199", "7200", "31536000"],
    *["31536001", "9" * 15, "9" * 16, "on", "true", "false", "off", "stage", "prod", "lab"],
    *["lab qa", "lab\n", "storefront", "form", "integration", "sales_channel", "all", "id:x"],
    *["code:", "code:a b", "market:all", "market:all ", "store:all", "market:x", "market:id:x:y"],
    *["market:all stock_location:id:x", "stock_location:id:x", "store:id:x\nmarket:id:y"],
    *["a" * 59, "a" * 60, "a" * 63, "a" * 64, "a.example", "a.example\n", "a.127", "127.0.0.1"],
    *["https://a.example", "http://a.example", "http://localhost:8000/x", "http://127.0.0.1"],
    *["http://[::1]:1", "https://u@a.example", "https://a.example#x", "https://a.example?x"],
    *["https://a.example/../x", "https://a.example/%2E./x", "https://a.example/%2ex"],
    *[
        "//a.example",
        "https://a.example:0",
        "https://a.example:65535",
        "https://a.example:65536",
        "ftp://a.b",
    ],
    *[
        "https://1.2.3",
        "https://1.2.3.4",
        "https://256.1.1.1",
        "https://0x7f.1",
        "HTTPS://A.Example",
    ],
    *["https://a.example\n", "https://a.example\\@b", "https://\uff41.example"],
    *[f"https://{'a.' * 125}aa", f"https://{'a.' * 126}aa", "a." * 94 + "a", "a." * 95 + "a"],
]
OTHERS = [
    *[ABSENT, None, True, False, 0, 1, -1, 7200, 7199.0, 7200.0, 7200.5, 31_536_001, 10**20],
    *[[], ["a"], ["a", ""], ["a b"], ["a\n"], [1], ["lab", "production"], ["stock_location:id:x"]],
    *[["store:code:x", "market:id:y"], ["market:all"], [None], {}, {"a": "b"}, {"env": "SECRET"}],
]
VALUES = st.sampled_from([*STRINGS, *OTHERS]) | st.text(max_size=8) | st.integers()


def schema(provider: Any, dialect: Any, style: Any = None) -> dict[str, Any]:
    """Return the JSON Schema of a provider, or of the provider of a name."""
    found = keyturn.provider(provider) if isinstance(provider, str) else provider
    made: dict[str, Any] = found.settings_schema(dialect=dialect, style=style)
    return made


def validator(found: dict[str, Any]) -> Any:
    """Return the validator of a schema's dialect, which checks formats too."""
    cls = jsonschema.validators.validator_for(found)
    assert cls.META_SCHEMA["$id"].rstrip("#") == found["$schema"].rstrip("#")
    cls.check_schema(found)
    return cls(found, format_checker=cls.FORMAT_CHECKER)


def refused(by: Any, form: dict[str, Any]) -> set[str]:
    """Return the names of the settings that a validator refuses or misses."""
    paths = set[str]()
    for error in by.iter_errors(form):
        if error.validator == "required":
            paths |= {name for name in error.validator_value if name not in form}
        elif error.validator == "additionalProperties":
            paths |= form.keys() - error.schema["properties"].keys()
        else:
            paths.add(str(error.absolute_path[0]))
    return paths


def reported(provider: Any, form: dict[str, Any]) -> set[str]:
    """Return the settings at which mistakes are reported."""
    return {each.path for each in keyturn.problems(provider, form)}


def _strings(value: Any) -> list[str]:
    """Return a string that is not empty, or those of a list, or the names of a table."""
    found = value if isinstance(value, (dict, list)) else [value]
    return [each for each in found if isinstance(each, str) and each]


@pytest.mark.parametrize("dialect", ["2020-12", "draft-07"])
@pytest.mark.parametrize("name", PROVIDERS)
def test_schema_refuses_the_settings_that_problems_reports(name: str, dialect: str) -> None:
    """A form would accept a value that is refused later, or mark another field."""
    provider, right = PROVIDERS[name]
    found = schema(provider, dialect)
    by = validator(found)
    choices = {name: each.get("enum", []) for name, each in found["properties"].items()}
    changes = st.sampled_from([*choices, "unknown"]).flatmap(
        lambda setting: st.tuples(
            st.just(setting), st.sampled_from([*choices.get(setting, []), ABSENT]) | VALUES
        )
    )

    @settings(max_examples=20)
    @given(st.lists(changes, min_size=1, max_size=4))
    def check(changed: list[tuple[str, Any]]) -> None:
        form = {key: each for key, each in (right | dict(changed)).items() if each is not ABSENT}
        # Which placeholders name a setting is what the schema can't say: see the page on forms.
        for template in map(form.get, ("assertion_audience", "body", "authorization_value")):
            assume(
                not isinstance(template, str)
                or template in STRINGS
                or not {*"{}"} & {*str(template)}
            )
        # Nor can it say that two names must differ, such as those of the token and of an error.
        if name == "generic":
            given = [each for setting in dict(changed) for each in _strings(form.get(setting))]
            assume(len(given) == len({*given}))
        assert refused(by, form) == reported(provider, form)

    assert reported(provider, right) == set()
    check()


# The other providers take long, and have no other kinds of settings.
@pytest.mark.parametrize("name", [name for name in PROVIDERS if name not in {"ruled", "generic"}])
def test_schema_of_one_setting_refuses_the_values_that_problems_reports(name: str) -> None:
    """The schema or `problems` would accept a hostile value that the other refuses."""
    provider, right = PROVIDERS[name]
    found = schema(provider, "2020-12")
    # Settings that several providers have are tested with the other providers.
    known = {"client_id", "client_secret", "token_url", "api_url"} if name == "described" else set()
    for setting in found["properties"].keys() - known:
        field = found["properties"][setting]
        # A rule between settings needs the whole form: the test above has it.
        ruled = setting in {"scope", "market", "stock_location", "kind", "client_secret"}
        if name == "commercelayer" and ruled:
            continue
        by = jsonschema.Draft202012Validator(field)
        for value in [*STRINGS, *OTHERS[1:]]:
            is_wrong = setting in reported(provider, right | {setting: value})
            is_absent = value in {"", None} if isinstance(value, (str, type(None))) else False
            if name == "described" and setting in {"region", "account"} and is_absent:
                continue  # as above
            assert by.is_valid(value) is not is_wrong, (setting, value)


LAYER = {"client_id": "made-up"}
SALES, OFFICE = LAYER | {"kind": "sales_channel"}, LAYER | {"kind": "integration"}
STOCK, EUROPE = "stock_location:id:x", "market:code:europe"
RULES: list[tuple[dict[str, Any], set[str]]] = [
    (OFFICE, {"client_secret"}),
    (OFFICE | {"client_secret": ""}, {"client_secret"}),
    (OFFICE | {"client_secret": None}, {"client_secret"}),
    (OFFICE | {"client_secret": "made-up"}, set()),
    (SALES | {"stock_location": "id:x"}, {"market"}),
    (SALES | {"stock_location": "id:x", "market": ""}, {"market"}),
    (SALES | {"stock_location": "id:x", "market": "all"}, set()),
    (SALES | {"stock_location": ""}, set()),
    (SALES | {"stock_location": "x"}, {"stock_location", "market"}),
    (SALES | {"scope": STOCK}, {"scope"}),
    (SALES | {"scope": [STOCK]}, {"scope"}),
    (SALES | {"scope": [STOCK, EUROPE]}, set()),
    (SALES | {"scope": f" {EUROPE}\n{STOCK} "}, set()),
    (SALES | {"scope": EUROPE, "market": "all"}, {"scope"}),
    (SALES | {"scope": [EUROPE], "store_scope": "id:x"}, {"scope"}),
    (SALES | {"scope": "", "market": "all"}, set()),
    (SALES | {"require_market": True}, {"market"}),
    (SALES | {"require_market": "on", "market": ""}, {"market"}),
    (SALES | {"require_market": "true", "scope": "store:id:x"}, {"scope"}),
    (SALES | {"require_market": "true", "scope": EUROPE}, set()),
    (SALES | {"require_market": "false"}, set()),
    (OFFICE | {"require_market": "on", "client_secret": "x"}, set()),
    ({"kind": "sales"} | LAYER | {"require_market": "on"}, {"kind"}),
]


@pytest.mark.parametrize("dialect", ["2020-12", "draft-07"])
def test_rules_between_settings(dialect: str) -> None:
    """A form would accept settings that Commerce Layer refuses, or mark a valid field."""
    by = validator(schema("commercelayer", dialect))
    for form, expected in RULES:
        assert reported("commercelayer", form) == expected, form
        assert refused(by, form) == expected, form


TOKEN = {"X-Token": "{assertion}"}
BODY = {"body": "x", "content_type": "text/plain"}
SIGNED = {"client_authentication": "private_key_jwt", "private_key": "-----BEGIN PRIVATE KEY-----"}
HMAC = {"client_authentication": "client_secret_jwt", "client_secret": "made-up"}
HEADERS = {"client_authentication": "client_secret_headers"}
DATA_FORMS: list[tuple[dict[str, Any], set[str]]] = [
    ({"method": "GET"}, set()),
    ({"method": "GET", "body_format": "json"}, {"body_format"}),
    ({"method": "GET", "body_format": "query", "body": ""}, set()),
    (BODY | {"method": "GET", "body_format": "query"}, {"body"}),
    ({"method": "GET", "body": "x", "parameters": {"a": "b"}}, {"body"}),
    (SIGNED | BODY | {"method": "GET"}, {"body"}),
    ({"method": "GET", "parameters": {"a": [1]}}, {"parameters"}),
    ({"body": "x"}, {"content_type"}),
    ({"body": "x", "content_type": ""}, {"content_type"}),
    ({"body": None}, {"body", "content_type"}),
    (BODY | {"parameters": {}}, set()),
    (BODY | {"parameters": {"a": "b"}}, {"parameters"}),
    (BODY | {"parameters": {"a": "b"}, "body_format": "query"}, set()),
    ({"parameters": {"a": {"env": "X"}}, "body_format": "json"}, {"parameters"}),
    ({"parameters": {"a": {"env": "X", "b": ""}}, "body_format": "json"}, set()),
    ({"parameters": {"a": [1]}, "body_format": "json"}, set()),
    ({"parameters": {"a": [1]}}, {"parameters"}),
    ({"parameters": {"a": [1]}, "body_format": ""}, {"parameters"}),
    ({"parameters": {"a": "{client_id:json}"}}, {"parameters"}),
    ({"parameters": {"a": 1, "b": True, "c": "d"}, "body_format": "query"}, set()),
    ({"content_type": "a/b", "token_headers": {"content-TYPE": "a/b"}}, {"token_headers"}),
    ({"content_type": "", "token_headers": {"content-TYPE": "a/b"}}, set()),
    (HEADERS | {"client_id_name": "", "client_secret_name": "Host"}, {"client_secret_name"}),
    (HEADERS | {"client_id_name": "a b"}, {"client_id_name"}),
    ({"client_id_name": "a b"}, set()),
    ({"assertion_algorithm": "HS256"}, {"assertion_algorithm"}),
    ({"assertion_algorithm": "HS256", "client_authentication": "x"}, {"client_authentication"}),
    (SIGNED | {"assertion_algorithm": "HS512"}, {"assertion_algorithm"}),
    (SIGNED | {"assertion_algorithm": "ES512"}, set()),
    (HMAC | {"assertion_algorithm": "ES512"}, {"assertion_algorithm"}),
    (HMAC | {"assertion_algorithm": ""}, set()),
    (HMAC | {"assertion_algorithm": "HS384"}, set()),
    (HMAC | BODY, {"body"}),
    (HMAC | BODY | {"body": "<a>{assertion}</a>"}, set()),
    (HMAC | BODY | {"token_headers": TOKEN}, set()),
    (HMAC | BODY | {"token_headers": {"X-Token": "x"}}, {"body"}),
    (SIGNED | BODY | {"query": {"a": "{client_id|assertion}"}}, set()),
    (SIGNED | BODY | {"body_format": "query"}, set()),
    ({"client_authentication": "private_key_jwt"}, {"private_key"}),
    ({"client_authentication": "client_secret_jwt", "client_secret": None}, {"client_secret"}),
    ({"client_authentication": "tls_client_auth", "certificate": ""}, {"certificate"}),
    ({"token_header": "X-Token"}, set()),
    ({"token_header": "X-Token", "token_field": ""}, set()),
    ({"token_header": "X-Token", "token_field": "a"}, {"token_header"}),
    ({"token_header": "X-Token", "token_field": "a b"}, {"token_field"}),
    ({"lifetime_header": "X-Token", "lifetime_field": "a.b"}, {"lifetime_header"}),
    ({"lifetime_timezone": "Asia/Seoul"}, {"lifetime_timezone"}),
    ({"lifetime_timezone": "Asia/Seoul", "lifetime_format": "date"}, set()),
    ({"lifetime_timezone": "Asia/Seoul", "lifetime_format": "%Y-%m-%d"}, set()),
    ({"lifetime_timezone": "UTC", "lifetime_format": "epoch"}, set()),
]


@pytest.mark.parametrize("dialect", ["2020-12", "draft-07"])
def test_rules_between_data(dialect: str) -> None:
    """A form for `generic` would take what no token request can be made of, or blame what is right.

    A description would be refused for another reason than the form.
    """
    by, right = validator(schema("generic", dialect)), {"token_url": "https://a.example/token"}
    for form, expected in DATA_FORMS:
        whole = right | form
        assert refused(by, whole) == reported("generic", whole) == expected, form
    assert {name for _, every in DATA_FORMS for name in every} >= {
        rule.setting for rule in keyturn.plugins.DescriptionSettings.rules
    }


def test_settings_of_a_described_token_endpoint() -> None:
    """A token endpoint would lack a part, and the form would mark no field."""
    by, rest = validator(schema(DESCRIBED, "draft-07")), SECRET | {"shop": "https://a.example"}
    for form, expected in [
        (rest, {"region", "account"}),
        (rest | {"region": "eu", "account": ""}, {"account"}),
        (rest | {"token_url": "https://a.example/token"}, set[str]()),
    ]:
        assert reported(DESCRIBED, form) == refused(by, form) == expected


@pytest.mark.parametrize("name", PROVIDERS)
def test_patterns_mean_the_same_in_javascript(name: str) -> None:
    """A browser would report another mistake than the server, or none."""
    provider = PROVIDERS.get(name, (name, {}))[0]
    text = json.dumps(schema(provider, "2020-12"))
    patterns = re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', text)

    assert patterns
    for pattern in map(json.loads, patterns):
        # In both, [\s\S] is any character, and all other classes of letters differ.
        assert not re.search(r"\\[sSdDwWbBAZpP]", pattern.replace(r"[\s\S]", ""))
        assert not pattern.startswith("^") or pattern.endswith((r"$(?!\n)", "|$)"))


def test_secrets_are_marked() -> None:
    """A form would show a secret, or a platform would store it unencrypted."""
    plain = schema("commercelayer", "2020-12")["properties"]["client_secret"]
    singer = schema("commercelayer", "2020-12", "singer")["properties"]["client_secret"]

    assert (plain["writeOnly"], plain["format"]) == (True, "password")
    assert {name: each for name, each in plain.items() if name != "pattern"} == {
        name: each for name, each in singer.items() if name != "secret"
    }
    assert singer["secret"] is True


@pytest.mark.parametrize("style", ["airbyte", "singer"])
@pytest.mark.parametrize(
    ("provider", "given"),
    [
        ("orocommerce", {"client_secret": "made-up-canary\n", "url": "no URL"}),
        ("orocommerce", {"client_secret": ""}),
        ("commercelayer", {"client_secret": "made-up-canary\n"}),
        ("commercelayer", {"kind": "sales_channel", "client_secret": "made-up-canary"}),
        ("generic", {"private_key": "made-up-canary"}),
    ],
)
def test_validators_of_platforms_quote_no_secret(
    style: str, provider: str, given: dict[str, str]
) -> None:
    """The log of a platform that validates the form would show an invalid secret."""
    found = [
        error.message for error in validator(schema(provider, "draft-07", style)).iter_errors(given)
    ]
    assert found
    assert "made-up-canary" not in str(found)
    assert keyturn.problems(provider, given)


# Keywords that Airbyte's acceptance tests of connectors forbid.
FORBIDDEN = {"allOf", "anyOf", "if", "then", "else", "not", "patternProperties", "prefixItems"}


@pytest.mark.parametrize("name", PROVIDERS)
def test_style_of_airbyte(name: str) -> None:
    """Airbyte would omit a field, show a secret, or refuse the connector."""
    provider, right = PROVIDERS[name]
    found = schema(provider, "draft-07", "airbyte")
    fields = found["properties"]
    secrets = {key for key, field in fields.items() if field.get("airbyte_secret")}

    assert refused(validator(found), right) == set()
    assert [field["order"] for field in fields.values()] == list(range(len(fields)))
    assert all(isinstance(field["type"], str) and field["title"] for field in fields.values())
    assert secrets == {key for key, field in fields.items() if field.get("writeOnly")}
    assert secrets or name == "ruled"
    assert found["additionalProperties"] is True
    assert not FORBIDDEN & {*found}.union(*fields.values())


@pytest.mark.parametrize("wrong", [{"dialect": "draft-06"}, {"style": "airbite"}, {"style": 7}])
def test_unknown_dialect_or_style_is_refused(wrong: dict[str, Any]) -> None:
    """A misspelt dialect or style would return a schema of another kind."""
    (name,) = wrong
    with pytest.raises(keyturn.errors.ConfigurationError) as caught:
        keyturn.provider("orocommerce").settings_schema(**wrong)

    assert [each.path for each in caught.value.problems] == [name]


def test_strings_of_an_html_form_are_accepted() -> None:
    """Each platform would have to convert the strings that a form sends."""
    form = SECRET | {"client": "acme", "environment": "prod", "application_id": "1042"}
    blank = dict.fromkeys(["region", "scope", "token_url", "api_url"], "")
    with keyturn.connect("norce-commerce", form | blank, store="memory://") as connection:
        assert connection.settings.application_id == 1042
        assert connection.api_url == "https://acme.api-se.norce.tech"


@pytest.mark.parametrize("form", [None, [], "client_id", 7])
def test_form_that_is_not_a_mapping_is_refused(form: Any) -> None:
    """A missing database row would be reported as a form with blank fields."""
    with pytest.raises(keyturn.errors.ConfigurationError, match="must be a mapping or an instance"):
        keyturn.problems("orocommerce", form)


STEPS: dict[str, dict[str, Any]] = {
    "discovery": {
        "token_url": "{discovery.token_endpoint}",
        "discovery": {"url": "https://{host}/{part}/.well-known"},
    },
    "previous": {
        "token_url": "https://a.example/token",
        "parameters": {"first": "{previous.access_token}"},
        "previous": {"token_url": "https://{host}/{part}/token"},
    },
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"host": "a.example", "part": "x"}, None),
        ({"host": "a_b.example", "part": "x"}, {""}),
        ({"host": "127.1", "part": "x"}, {""}),
        ({"host": "a.example", "part": ".."}, {"part"}),
        ({"host": "a.example"}, {"part"}),
    ],
)
def test_url_of_a_previous_step_is_checked_as_connect_checks_it(
    step: str, form: dict[str, str], expected: set[str] | None
) -> None:
    """A form would be refused forever, or accepted and fail with the first token request."""
    settings = {"host": {"title": "Host"}, "part": {"title": "Part", "optional": True}}
    data = {"name": "described", "settings": settings, **STEPS[step]}
    provider = keyturn.plugins.provider_from_data(data)
    assert reported(provider, SECRET | form) == (expected or set())
    if expected:
        with pytest.raises(keyturn.errors.ConfigurationError):
            keyturn.connect(provider, SECRET | form, store="memory://")
    else:
        keyturn.connect(provider, SECRET | form, store="memory://")
    if expected != {""}:
        assert refused(validator(schema(provider, "2020-12")), SECRET | form) == (expected or set())


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({}, {"a"}),
        ({"a": "1"}, set()),
        ({"b": "1"}, set()),
        ({"a": "."}, {"a"}),
        ({"b": ".."}, {"b"}),
    ],
)
def test_part_of_an_address_is_one_of_two_settings(
    form: dict[str, str], expected: set[str]
) -> None:
    """The second setting could never be given alone, or a form could shorten a path."""
    settings = {name: {"title": name, "optional": True} for name in ("a", "b")}
    provider = keyturn.plugins.provider_from_data(
        {"name": "described", "token_url": "https://x.example/{a|b}/token", "settings": settings}
    )
    assert reported(provider, SECRET | form) == expected
    for dialect in ("2020-12", "draft-07"):
        assert refused(validator(schema(provider, dialect)), SECRET | form) == expected


def _nested(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


@for_each(
    "value",
    [
        "x" * 1_000_001,
        b"x" * 1_000_001,
        keyturn.Secret("x" * 1_000_001),
        ["x"] * 10_001,
        [{str(number): "" for number in range(6000)}] * 2,
        ["x" * 600_000] * 2,
        _nested(33),
        _nested(100_000),
        10**4000,
    ],
)
@pytest.mark.parametrize("setting", ["client_id", "client_secret", "environment", "application_id"])
def test_value_that_is_too_large_is_refused_before_it_is_checked(setting: str, value: Any) -> None:
    """One tenant's form could keep a process busy for a minute."""
    form = PROVIDERS["norce-commerce"][1] | {setting: value}
    problems = keyturn.problems("norce-commerce", form)

    assert [each.path for each in problems] == [setting]
    assert re.match("must (?:not|be a smaller) ", problems[0].message)
    with pytest.raises(keyturn.errors.ConfigurationError, match=r"must (?:not|be a smaller) "):
        keyturn.connect("norce-commerce", form)


def test_message_about_many_or_long_names_is_short() -> None:
    """A form could cause an error message of many megabytes."""
    form = PROVIDERS["norce-commerce"][1] | {
        f"{number}{'x' * 10_000}": "" for number in range(2000)
    }
    problems = keyturn.problems("norce-commerce", form)

    assert len(problems) == 100
    assert {len(each.path) for each in problems} == {100}
