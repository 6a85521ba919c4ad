"""Settings: checked in each way to make them, all mistakes at once, with a matching schema."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, Literal

import attrs
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import for_each

import keyturn
from keyturn import errors
from keyturn._providers.schema import json_schema
from keyturn._providers.settings import read

if TYPE_CHECKING:
    from collections.abc import Callable


def even(value: int) -> str | None:
    """Return the problem of an odd number."""
    return None if value % 2 == 0 else "must be even"


class Everything(keyturn.plugins.ConfidentialSettings):
    """Settings with a field of every type."""

    tenant: str = keyturn.plugins.label("Tenant", "The first label of the host.")
    kind: Literal["big", "small"] = keyturn.plugins.setting("Kind")
    maybe: Literal["yes", "no"] | None = keyturn.plugins.setting("Maybe", default=None)
    number: int = keyturn.plugins.setting("Number", default=2, check=even, schema={"multipleOf": 2})
    count: int = keyturn.plugins.setting("Count", default=2, check=keyturn.plugins.between(-2, 40))
    share: float | None = keyturn.plugins.setting("Share", default=None)
    strict: bool = keyturn.plugins.setting("Strict", default=False)
    scope: tuple[str, ...] | None = keyturn.plugins.setting("Scope", default=None)
    spare_secret: keyturn.Secret | None = keyturn.plugins.setting("Spare secret", default=None)

    def problems(self) -> list[str]:
        """Return the mistakes in combinations of values."""
        return ["share: is only for the big"] if self.kind == "small" and self.share else []


GOOD: dict[str, Any] = {
    "client_id": "cid",
    "client_secret": "s3cret-for-tests",
    "tenant": "acme",
    "kind": "big",
}
SCHEMA = json_schema(Everything, "Everything")
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def problems_of(values: dict[str, Any]) -> list[str]:
    """Return the mistakes in values, after checking that there are settings or mistakes."""
    settings, problems = read(Everything, values)
    assert (settings is None) == bool(problems)
    return list(map(str, problems))


ACCEPTED: list[dict[str, Any]] = [
    {},
    {"maybe": "yes", "number": -4, "share": 0.5, "strict": True, "scope": ["a", "b"]},
    {"maybe": None, "share": None, "scope": None, "token_url": None, "spare_secret": None},
    {"share": 1},
    {"share": 1, "scope": "a b"},
    {"token_url": "https://a.example/x", "api_url": "http://127.0.0.1:8000"},
    {"spare_secret": "x"},
    {"count": "-2", "share": "0.50", "strict": "on", "scope": "a\tb\n"},
    {"count": 2.0, "strict": "false"},
    dict.fromkeys(("maybe", "number", "count", "share", "strict", "scope", "api_url"), ""),
]


@pytest.mark.parametrize("values", ACCEPTED)
def test_valid_values_are_accepted_by_reader_and_schema(values: dict[str, Any]) -> None:
    """An editor would mark valid settings as wrong, or the reader would refuse them."""
    assert problems_of(GOOD | values) == []
    VALIDATOR.validate(GOOD | values)


def test_values_are_converted_to_their_types() -> None:
    """A provider would get a string instead of a tuple, or a secret as a plain string."""
    values = {"scope": "a  b", "share": 1, "client_secret": keyturn.Secret("x")}
    settings, _ = read(Everything, GOOD | values)

    assert settings is not None
    assert settings.scope == ("a", "b")
    assert isinstance(settings.share, float)
    assert settings.client_secret == keyturn.Secret("x")
    assert settings.number == 2


def test_strings_of_a_form_are_converted_to_their_types() -> None:
    """A provider would get the string of an HTML form instead of a number."""
    form = {"count": "-2", "share": "0.5", "strict": "on", "maybe": "", "scope": "", "number": ""}
    settings, _ = read(Everything, GOOD | form)

    assert settings is not None
    assert (settings.count, settings.share, settings.strict) == (-2, 0.5, True)
    assert (settings.maybe, settings.scope, settings.number) == (None, None, 2)


SCOPE = (
    "scope: must have one or more scope values of visible ASCII characters (RFC 6749 section 3.3)"
)
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"client_id": ...}, "client_id: is required"),
    ({"client_secret": ...}, "client_secret: is required"),
    ({"tenant": ...}, "tenant: is required"),
    ({"kind": ...}, "kind: is required"),
    ({"kind": "bigg"}, "kind: must be one of big, small. Did you mean big?"),
    ({"kind": 7}, "kind: must be one of big, small."),
    ({"kind": ["big"]}, "kind: must be one of big, small."),
    ({"kind": None}, "kind: must be one of big, small."),
    ({"maybe": "perhaps"}, "maybe: must be one of yes, no."),
    ({"client_id": 7}, "client_id: must be a string"),
    ({"client_id": None}, "client_id: must be a string"),
    ({"client_secret": 7}, "client_secret: must be a string"),
    ({"client_secret": ["x"]}, "client_secret: must be a string"),
    ({"client_secret": ""}, "client_secret: is required"),
    ({"kind": ""}, "kind: is required"),
    ({"spare_secret": {}}, "spare_secret: must be a string"),
    ({"number": "2"}, "number: must be an integer"),
    ({"count": "two"}, "count: must be an integer"),
    ({"count": "+2"}, "count: must be an integer"),
    ({"count": "02"}, "count: must be an integer"),
    ({"count": "-3"}, "count: must be from -2 to 40"),
    ({"count": "41"}, "count: must be from -2 to 40"),
    ({"count": 2.5}, "count: must be an integer"),
    ({"number": 2.5}, "number: must be an integer"),
    ({"number": True}, "number: must be an integer"),
    ({"number": None}, "number: must be an integer"),
    ({"number": 3}, "number: must be even"),
    ({"share": "half"}, "share: must be a number"),
    ({"share": True}, "share: must be a number"),
    ({"strict": 1}, "strict: must be true or false"),
    ({"strict": "yes"}, "strict: must be true or false"),
    ({"scope": []}, SCOPE),
    ({"scope": 7}, "scope: must be a string or a list of strings"),
    ({"scope": " "}, SCOPE),
    ({"scope": ["a", 7]}, "scope: must be a string or a list of strings"),
    ({"scope": ["a", ""]},
     SCOPE),
    ({"tenant": "a.b"}, "tenant: must be one host label: 1 to 63 of a-z, 0-9 and inner hyphens"),
    ({"tenat": "acme"}, "tenat: is not known. Did you mean tenant?"),
    ({"zzz": 1}, "zzz: is not known."),
]  # fmt: skip


@for_each(("values", "problem"), REFUSED)
def test_wrong_value_is_refused_by_reader_and_schema(values: dict[str, Any], problem: str) -> None:
    """The reader or the schema would accept a wrong value, or the message be unclear."""
    given_values = {name: value for name, value in (GOOD | values).items() if value is not ...}

    assert problems_of(given_values) == [problem]
    assert not VALIDATOR.is_valid(given_values)


@for_each("text", [" x", "x ", "a\nb", "a\rb", "a\x00b", "a\x1b[0m", "\ud800", "\u2028"])
@for_each("name", ["client_id", "client_secret", "spare_secret"])
def test_string_is_one_printable_line(name: str, text: str) -> None:
    """A secret with a line break would be refused by the server for no visible reason."""
    expected = f"{name}: must be one line, without spaces around it"

    assert problems_of(GOOD | {name: text}) == [expected]


def test_all_mistakes_are_reported_at_once() -> None:
    """The user would have to correct one mistake after another."""
    problems = problems_of({"kind": "bigg", "tenant": "A", "number": 3, "tokn_url": "", "scope": 1})

    assert problems == [
        "client_id: is required",
        "client_secret: is required",
        "kind: must be one of big, small. Did you mean big?",
        "number: must be even",
        "scope: must be a string or a list of strings",
        "tenant: must be one host label: 1 to 63 of a-z, 0-9 and inner hyphens",
        "tokn_url: is not known. Did you mean token_url?",
    ]


def test_mistakes_in_combinations_are_reported_with_the_others() -> None:
    """The second mistake would be reported only after the first is corrected."""
    assert problems_of(GOOD | {"kind": "small", "share": 0.5, "number": 3}) == [
        "number: must be even",
        "share: is only for the big",
    ]
    assert problems_of(GOOD | {"kind": "small", "share": 0.5}) == ["share: is only for the big"]


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=10)
    | st.sampled_from(["big", "https://a.example", "acme", "yes", "a b", "2", "true", "0.5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
VALUES = st.dictionaries(
    st.sampled_from([*SCHEMA["properties"], "unknown"]) | st.text(max_size=5), ANYTHING
)


@given(VALUES)
def test_any_values_give_settings_or_mistakes(values: dict[str, Any]) -> None:
    """A configuration file would crash the reader."""
    settings, problems = read(Everything, GOOD | values)

    assert (settings is None) == bool(problems)
    assert all(problem.message for problem in problems)


@given(VALUES)
def test_schema_accepts_every_value_that_the_reader_accepts(values: dict[str, Any]) -> None:
    """An editor would mark valid settings as wrong."""
    if problems_of(GOOD | values) == []:
        VALIDATOR.validate(GOOD | values)


CANARY = "c4nary-v4lue"


@for_each("name", [*SCHEMA["properties"], "unknown"])
@for_each("shape", [str, lambda text: [text], lambda text: {"x": text}])
@for_each("around", ["{}", "{} ", "{}\n", "\u00e9{}"])
def test_no_value_shows_in_a_mistake(name: str, shape: Any, around: str) -> None:
    """A secret written into the wrong field would get into logs."""
    values = GOOD | {name: shape(around.format(CANARY))}

    assert CANARY not in "".join(problems_of(values))


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        (CANARY, CANARY),
        (CANARY.encode(), CANARY),
        ([CANARY], CANARY),
        ({"value": (CANARY, None)}, CANARY),
        (8_675_309_001, "8675309001"),
        (keyturn.Secret(CANARY), CANARY),
    ],
)
def test_constructor_shows_no_secret_of_any_type(secret: Any, shown: str) -> None:
    """A check's message would put a secret that is bytes or a number into logs."""

    class Quoting(keyturn.plugins.ConfidentialSettings):
        note: str = keyturn.plugins.setting("Note", check=lambda value: f"is wrong: {value}")

    with pytest.raises(errors.ConfigurationError) as caught:
        Quoting(client_id="a", client_secret=secret, note=f"my {shown}")

    assert "note: is wrong: my [hidden]" in str(caught.value)
    assert shown not in "".join(traceback.format_exception(caught.value))


def test_check_that_raises_shows_no_secret() -> None:
    """The error of a check that raises would show the secret."""

    def check(value: keyturn.Secret) -> str:
        raise ValueError(value.reveal())

    class Raising(keyturn.plugins.Settings):
        pin: keyturn.Secret = keyturn.plugins.setting("PIN", check=check)

    with pytest.raises(errors.KeyturnError) as caught:
        Raising(pin=CANARY)

    assert str(caught.value).startswith(
        "the settings class Raising failed with ValueError in check"
    )
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_problems_that_are_none_are_reported_as_a_defect() -> None:
    """The author of the settings would read of a line in keyturn, and not of the method."""

    class Forgetful(keyturn.plugins.Settings):
        def problems(self) -> Any:
            return None

    with pytest.raises(errors.ConfigurationError) as caught:
        Forgetful()

    assert "Forgetful returned a wrong NoneType from problems. This is a bug" in str(caught.value)


def test_repr_of_settings_shows_no_secret() -> None:
    """A secret would get into a log or a traceback with locals."""
    settings, _ = read(Everything, GOOD | {"spare_secret": CANARY})

    assert CANARY not in repr(settings)
    assert "s3cret-for-tests" not in f"{settings} {settings!r}"
    assert "tenant='acme'" in repr(settings)


# --- Ways to make settings ---


def refused(make: Callable[[], object]) -> list[str]:
    """Return the mistakes for which settings are refused, and check that they show no secret."""
    with pytest.raises(errors.ConfigurationError) as caught:
        make()
    assert "s3cret" not in f"{caught.value}{caught.value!r}"
    return list(map(str, caught.value.problems))


def test_constructor_checks_and_converts() -> None:
    """Typed code would skip all checks, and a plain secret would show in every repr."""
    made = Everything(**GOOD | {"scope": "a b", "share": 1})

    assert made == Everything(**GOOD | {"scope": ("a", "b"), "share": 1.0})
    assert made.client_secret == keyturn.Secret("s3cret-for-tests")
    assert "s3cret" not in repr(made)
    assert refused(lambda: Everything(**GOOD | {"number": 3, "tenat": "x", "client_id": 7})) == [
        "client_id: must be a string",
        "number: must be even",
        "tenat: is not known. Did you mean tenant?",
    ]
    assert refused(lambda: Everything(**GOOD | {"kind": "small", "share": 0.5})) == [
        "share: is only for the big"
    ]


def test_changed_copy_is_checked() -> None:
    """`attrs.evolve` would bypass every check."""
    made = Everything(**GOOD)
    changed = attrs.evolve(made, tenant="other", client_secret="other")

    assert (changed.tenant, changed.kind) == ("other", "big")
    assert changed.client_secret == keyturn.Secret("other")
    assert attrs.evolve(made) == made
    assert refused(lambda: attrs.evolve(made, tenant="A.B")) == [
        "tenant: must be one host label: 1 to 63 of a-z, 0-9 and inner hyphens"
    ]


def test_settings_cannot_be_changed() -> None:
    """A connection's settings would differ from those of its tokens."""
    made = Everything(**GOOD)

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.tenant = "other"  # type: ignore[misc]


class Scoped(keyturn.plugins.Settings):
    """Settings that several classes share."""

    scope: tuple[str, ...] = keyturn.plugins.setting("Scope", default=("read",))


class Mixed(Scoped, keyturn.plugins.ConfidentialSettings):
    """Settings with two base classes."""

    tenant: str = keyturn.plugins.label("Tenant", default="shop")


class Narrowed(Mixed):
    """Settings that require a value which is optional in their base."""

    tenant: str = keyturn.plugins.label("Tenant")


def test_settings_of_several_bases() -> None:
    """A mixed-in setting would be missing, or not be checked."""
    made = Mixed(client_id="cid", client_secret=keyturn.Secret("x"), scope=("write",))

    assert (made.scope, made.tenant, made.client_id) == (("write",), "shop", "cid")
    assert refused(lambda: Narrowed(client_id=" ", scope=[])) == [  # type: ignore[arg-type]
        "client_id: must be one line, without spaces around it",
        "client_secret: is required",
        SCOPE,
        "tenant: is required",
    ]


def test_wrong_default_is_reported() -> None:
    """A provider would get a default of a wrong type."""

    class Wrong(keyturn.plugins.Settings):
        number: int = keyturn.plugins.setting("Number", default="x")  # type: ignore[assignment]

    assert refused(Wrong) == ["number: must be an integer"]


def test_rule_of_an_unknown_setting_is_refused_where_the_class_is_defined() -> None:
    """The rule would never apply, and the JSON Schema would be a KeyError from inside keyturn."""
    rule = keyturn.plugins.Rule("client_secert", "is required", when={"knid": "office"})
    kind = keyturn.plugins.choice("Kind", choices={"office": "o"})
    with pytest.raises(errors.ConfigurationError) as caught:
        type(
            "OfficeSettings",
            (keyturn.plugins.ClientSettings,),
            {"__annotations__": {"kind": str}, "kind": kind, "rules": (rule,)},
        )

    assert str(caught.value) == (
        "OfficeSettings has 2 mistake(s):\n"
        "  - rules: name client_secert, which is not a setting. Did you mean client_secret?\n"
        "  - rules: name knid, which is not a setting. Did you mean kind?"
    )


def test_problem_of_a_combination_needs_no_setting_name() -> None:
    """A mistake in a combination would be lost, or be reported for a wrong setting."""

    class Whole(keyturn.plugins.Settings):
        def problems(self) -> list[str]:
            return ["nothing fits"]

    assert refused(Whole) == ["nothing fits"]


def test_schema_is_complete() -> None:
    """A form made from the schema would lack a title, or show a secret."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    properties = SCHEMA["properties"]

    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["required"] == ["client_id", "client_secret", "tenant", "kind"]
    assert properties["client_secret"]["writeOnly"] is True
    assert properties["spare_secret"]["writeOnly"] is True
    assert properties["tenant"]["description"] == "The first label of the host."
    assert properties["maybe"] == {
        "title": "Maybe",
        "type": ["string", "null"],
        "enum": ["yes", "no", "", None],
    }
    assert properties["number"]["default"] == 2
    assert properties["strict"]["type"] == ["boolean", "string"]
    assert properties["strict"]["default"] is False


PROVIDERS = ["norce-commerce", "norce-storm", "orocommerce", "commercelayer"]


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_gives_a_schema(name: str) -> None:
    """`keyturn schema` would print an invalid schema, or a secret as a plain string."""
    schema = keyturn.provider(name).settings_schema()
    jsonschema.Draft202012Validator.check_schema(schema)

    assert schema["title"] == keyturn.provider(name).title
    assert schema["properties"]["client_secret"]["writeOnly"] is True
    assert all(field["title"] for field in schema["properties"].values())


SECRET = {"client_id": "c", "client_secret": "s"}
COMMERCE = SECRET | {"client": "acme", "environment": "stage"}
SHOP = SECRET | {"url": "https://shop.example"}
LAYER = SECRET | {"kind": "integration"}
EXAMPLES: list[tuple[str, dict[str, Any], bool]] = [
    ("norce-commerce", COMMERCE, True),
    ("norce-commerce", COMMERCE | {"application_id": 1, "scope": "a b", "region": "no"}, True),
    ("norce-commerce", COMMERCE | {"application_id": 0}, False),
    ("norce-commerce", COMMERCE | {"environment": "lab"}, False),
    ("norce-commerce", COMMERCE | {"client": "a.b"}, False),
    ("norce-storm", SECRET | {"scope": "lab qa"}, True),
    ("norce-storm", SECRET | {"scope": ["lab"]}, True),
    ("norce-storm", SECRET | {"scope": "staging"}, False),
    ("norce-storm", SECRET | {"scope": ["staging"]}, False),
    ("orocommerce", SHOP, True),
    ("orocommerce", SHOP | {"side": "storefront", "body_format": "form"}, True),
    ("orocommerce", SHOP | {"side": "front"}, False),
    ("orocommerce", SHOP | {"backend_prefix": "a/b"}, False),
    ("commercelayer", LAYER, True),
    ("commercelayer", LAYER | {"market": "all", "lifetime": 7200}, True),
    ("commercelayer", LAYER | {"market": "code:x", "stock_location": "id:y"}, True),
    ("commercelayer", {"client_id": "c", "kind": "sales_channel"}, True),
    ("commercelayer", LAYER | {"market": "europe"}, False),
    ("commercelayer", LAYER | {"market": "allx"}, False),
    ("commercelayer", LAYER | {"market": "code:"}, False),
    ("commercelayer", LAYER | {"store_scope": "all"}, False),
    ("commercelayer", LAYER | {"lifetime": 60}, False),
    ("commercelayer", LAYER | {"kind": "webapp"}, False),
    ("commercelayer", LAYER | {"domain": "a b"}, False),
]


@for_each(("name", "values", "right"), EXAMPLES)
def test_schema_and_reader_of_a_provider_agree(
    name: str, values: dict[str, Any], right: bool
) -> None:
    """An editor would accept settings that keyturn refuses, or the reverse."""
    provider = keyturn.provider(name)
    _, problems = read(provider.settings, values)
    schema = jsonschema.Draft202012Validator(provider.settings_schema())

    assert (problems == []) is right
    assert schema.is_valid(values) is right


def test_url_that_secrets_must_not_go_to_is_refused() -> None:
    """A typo would send the secret unencrypted."""
    for name in ("token_url", "api_url"):
        assert problems_of(GOOD | {name: "http://a.example"}) == [
            f"{name}: must begin with https:// (http:// is for loopback addresses only)"
        ]


class Anonymous(keyturn.plugins.Settings):
    """Settings without a secret."""

    tenant: str = keyturn.plugins.label("Tenant")


def test_settings_compare_by_value() -> None:
    """Two connections for the same settings could not be recognized as one."""
    assert Everything(**GOOD) == Everything(**GOOD)
    assert Everything(**GOOD) != Everything(**GOOD | {"tenant": "other"})
    assert Everything(**GOOD) != GOOD
    assert len({Anonymous(tenant="a"), Anonymous(tenant="a"), Anonymous(tenant="b")}) == 2
