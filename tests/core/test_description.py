"""Providers described by data alone: their settings, and every mistake reported at once."""

from __future__ import annotations

import tomllib
import typing
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import for_each

import keyturn
from keyturn import errors
from keyturn._providers.data import datum_types
from keyturn._providers.setting_tables import SETTING_KEYS
from keyturn._providers.settings import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    Platform = Callable[..., keyturn.Connection]

ADDRESS = {"token_url": "https://acme.example/token"}
ADDRESSES = {"token_url", "api_url", "revocation_url"}
KEY = "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"


def used(names: Iterable[str]) -> dict[str, str]:
    """Return parameters that use the settings, because an unused setting is a mistake."""
    return {f"of_{name}": f"{{{name}}}" for name in names if name != "scope"}


def problems(description: dict[str, Any]) -> list[str]:
    """Return the mistakes that are reported in a description."""
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.plugins.provider_from_data(ADDRESS | description, name="acme")
    assert f"acme has {len(caught.value.problems)} mistake(s)" in str(caught.value)
    return list(map(str, caught.value.problems))


# --- Credentials ---


CREDENTIALS: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    # Data; then the settings that are required, and those that aren't.
    "usual": ({}, ["client_id", "client_secret"], []),
    "client_secret": ({"credentials": "client_secret"}, ["client_id", "client_secret"], []),
    "public": ({"credentials": "public"}, ["client_id"], ["client_secret"]),
    "private_key": ({"credentials": "private_key"}, ["client_id", "private_key"], ["key_id"]),
    "certificate": ({"credentials": "certificate"}, ["client_id", "certificate"],
                    ["certificate_key", "certificate_password"]),
    "none": ({"credentials": "none"}, [], []),
    "of a key": ({"client_authentication": "private_key_jwt"}, ["client_id", "private_key"],
                 ["key_id"]),
    "of a certificate": ({"client_authentication": "tls_client_auth"},
                         ["client_id", "certificate"],
                         ["certificate_key", "certificate_password"]),
    "of Basic": ({"client_authentication": "client_secret_basic"},
                 ["client_id", "client_secret"], []),
}  # fmt: skip


@pytest.mark.parametrize(("data", "required", "optional"), CREDENTIALS.values(), ids=CREDENTIALS)
def test_credentials_are_asked_for(
    data: dict[str, Any], required: list[str], optional: list[str]
) -> None:
    """A user would be asked for credentials that the platform doesn't use, or not for its own."""
    schema = keyturn.plugins.provider_from_data(ADDRESS | data, name="acme").settings_schema()

    assert schema["required"] == required
    assert schema["properties"].keys() == {*required, *optional, "scope", *ADDRESSES}


# --- Settings ---


SETTINGS = tomllib.loads("""
[text]
title = "Text"
description = "Of any kind."

[label]
kind = "label"
title = "Label"

[url]
kind = "url"
title = "URL"

[domain]
kind = "domain"
title = "Domain"

[secret]
kind = "secret"
title = "Secret"

[choice]
kind = "choice"
title = "Choice"
choices = ["one", "two"]

[named]
kind = "choice"
title = "Named"
choices = { one = "1", two = "2" }

[integer]
kind = "integer"
title = "Integer"

[scope]
kind = "scope"
title = "Scope"
""")
GOOD: dict[str, Any] = {
    "text": "any string",
    "label": "shop-1",
    "url": "https://shop.example/x",
    "domain": "shop.example",
    "secret": "s3cret-for-tests",
    "choice": "two",
    "named": "two",
    "integer": 7,
    "scope": ["a", "b"],
}
BAD: dict[str, tuple[list[object], str]] = {
    "text": (["", " x", "a\nb", 7], "must be"),
    "label": (["a.b", "A", "", 7], "must be"),
    "url": (["http://shop.example", "shop.example", 7], "must be"),
    "domain": (["https://shop.example", "shop.example/", "Shop.example", 7], "must be a"),
    "secret": (["", "a\nb", 7], "must be"),
    "choice": (["tow", "", "1"], "must be one of one, two."),
    "named": (["1", "One"], "must be one of one, two."),
    "integer": (["seven", "7.5", 7.5, True], "must be an integer"),
    "scope": ([[], "", ["a b"], [7], 7], "must"),
}


def test_settings_are_read_by_their_kinds() -> None:
    """A value of the wrong kind would be sent."""
    provider = keyturn.plugins.provider_from_data(
        ADDRESS | {"credentials": "none", "settings": SETTINGS, "parameters": used(SETTINGS)},
        name="acme",
    )
    settings, mistakes = read(provider.settings, GOOD)
    assert settings is not None, mistakes
    values = attrs.asdict(settings, recurse=False)
    schema = provider.settings_schema()

    assert schema["required"] == list(SETTINGS)
    assert values["secret"].reveal() == "s3cret-for-tests"
    assert values["scope"] == ("a", "b")
    plain = {name: value for name, value in values.items() if name not in {"secret", "scope"}}
    assert plain.items() <= (GOOD | dict.fromkeys(ADDRESSES)).items()
    assert schema["properties"]["text"]["description"] == "Of any kind."
    assert schema["properties"]["secret"]["writeOnly"] is True
    assert schema["properties"]["named"]["enum"] == ["one", "two"]
    assert schema["properties"]["integer"]["type"] == ["integer", "string"]


@for_each(
    ("kind", "value"), [(kind, value) for kind, (values, _) in BAD.items() for value in values]
)
def test_wrong_value_of_a_setting_is_reported(kind: str, value: object) -> None:
    """A wrong value of a described setting would be sent unchecked."""
    provider_from_data = {"credentials": "none", "settings": {kind: SETTINGS[kind]}}
    provider = keyturn.plugins.provider_from_data(
        ADDRESS | provider_from_data | {"parameters": used([kind])}, name="acme"
    )

    (mistake,) = map(str, read(provider.settings, {kind: value})[1])
    assert mistake.startswith(f"{kind}: {'is required' if value == '' else BAD[kind][1]}")


@pytest.mark.parametrize("kind", SETTINGS)
def test_setting_may_be_absent(kind: str) -> None:
    """Every user would have to give a setting that only some users need."""
    table = SETTINGS[kind] | {"optional": True}
    provider_from_data = {"credentials": "none", "settings": {kind: table}}
    provider = keyturn.plugins.provider_from_data(
        ADDRESS | provider_from_data | {"parameters": used([kind])}, name="acme"
    )
    for given_values in ({}, {kind: None}):
        settings, mistakes = read(provider.settings, given_values)
        assert getattr(settings, kind) is None, mistakes


@for_each("optional", [True, False])
@for_each("kind", SETTINGS)
def test_setting_may_have_a_default(kind: str, *, optional: bool) -> None:
    """Every user would have to write a value that is the same for nearly all users."""
    table = SETTINGS[kind] | {"default": GOOD[kind], "optional": optional}
    provider_from_data = {"credentials": "none", "settings": {kind: table}}
    provider = keyturn.plugins.provider_from_data(
        ADDRESS | provider_from_data | {"parameters": used([kind])}, name="acme"
    )
    usual, _ = read(provider.settings, {})
    named, _ = read(provider.settings, {kind: GOOD[kind]})

    assert usual == named
    assert "s3cret" not in repr(usual)


@for_each(
    ("kind", "value"), [(kind, value) for kind, (values, _) in BAD.items() for value in values]
)
def test_wrong_default_is_reported_at_once(kind: str, value: object) -> None:
    """A wrong default would be sent, because it is not checked later."""
    (mistake,) = problems({"settings": {kind: SETTINGS[kind] | {"default": value}}})

    assert mistake.startswith(f"settings.{kind}.default: must")


def test_scope_is_asked_for(platform: Platform) -> None:
    """The token would have no permissions, or more than the user asked for."""
    scope = {"kind": "scope", "title": "Scope", "default": "read write"}

    assert platform({"settings": {"scope": scope}}).token_request().scope == ("read", "write")
    asked = platform({"settings": {"scope": scope}}, scope="admin").token_request()
    assert asked.body.endswith(b"&scope=admin")


@for_each(
    ("table", "title", "choices"),
    [
        ({}, "My API ID", None),
        ({"kind": "label"}, "My API ID", None),
        ({"title": "Given"}, "Given", None),
        ({"choices": ["a"]}, "My API ID", ["a"]),
        ({"choices": {"a": "b"}}, "My API ID", ["a"]),
    ],
)
def test_title_and_kind_follow_from_the_name_and_the_choices(
    table: dict[str, Any], title: str, choices: list[str] | None
) -> None:
    """An author would have to write a title and a kind that follow from other data."""
    provider = keyturn.plugins.provider_from_data(
        {**ADDRESS, "settings": {"my_api_id": table}, "parameters": used(["my_api_id"])},
        name="acme",
    )
    schema = provider.settings_schema()["properties"]["my_api_id"]

    assert (schema["title"], schema.get("enum")) == (title, choices)


# --- Mistakes ---


def setting(**more: Any) -> dict[str, Any]:
    """Return a description with one setting."""
    return {"settings": {"one": {"title": "One", **more}}}


def named(name: str, **more: Any) -> dict[str, Any]:
    """Return a description with a setting of a name."""
    return {"settings": {name: {"title": "One", **more}}}


NAME = "can't be the name of a setting"
KINDS = (
    "settings.one.kind: must be one of text, label, url, domain, secret, choice, integer, file, "
    "scope"
)
CHOICES = (
    "settings.one.choices: must be a list of strings, or a table of strings or of tables of strings"
)
MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"tokn_url": "x"}, "tokn_url: is not known. Did you mean token_url?"),
    ({"setting": {}}, "setting: is not known. Did you mean settings?"),
    ({"credential": "none"}, "credential: is not known. Did you mean credentials?"),
    ({"xyz": 1}, "xyz: is not known."),
    ({"name": "other"}, "name: must be acme, which the provider is registered as"),
    ({"credentials": "secret"},
     "credentials: must be one of client_secret, public, private_key, certificate, client_secret_"),
    ({"credentials": ["none"]},
     "credentials: must be one of client_secret, public, private_key, certificate, client_secret_"),
    ({"settings": []}, "settings: must be a table with a table for each setting"),
    ({"settings": {"one": "string"}}, "settings.one: must be a table with kind and title"),
    (setting(titel="x"), "settings.one.titel: is not known. Did you mean title?"),
    (setting(kind="txt"), KINDS),
    (setting(kind=["text"]), KINDS),
    (setting(title=7), "settings.one.title: must be a string"),
    (setting(description=7), "settings.one.description: must be a string"),
    (setting(optional="no"), "settings.one.optional: must be true or false"),
    (setting(kind="choice"), "settings.one.choices: must be given if kind is choice, and absent"),
    (setting(kind="text", choices=["a"]), "settings.one.choices: must be given if kind is choice,"),
    *((setting(kind="choice", choices=choices), CHOICES) for choices in
      ([1], [date(2026, 1, 1)], "ab", {"a": 1}, {"a": {"b": 1}}, {"a": ["b"]}, 7)),
    *((named(name), f"settings.{name}: {NAME}") for name in
      ("token_url", "api_url", "problems", "self", "uuid", "class", "Upper", "_x", "a__b", "a_",
       "1a", "a-b", "", "é", "ﬁ", None)),
    *((named(name), f"settings.{name}: can't be the name of a setting: keyturn.connect takes it")
      for name in ("store", "timeout", "provider")),
    (named("client_secret", kind="text"),
     "settings.client_secret.kind: must be secret, as the credential of that name is"),
    (named("private_key", kind="url"),
     "settings.private_key.kind: must be secret, as the credential of that name is"),
    (named("client_id", kind="integer"),
     "settings.client_id.kind: must be text, as the credential of that name is"),
    ({"token_url": None}, "token_url: is required"),
    ({"method": "DELETE"}, "method: must be one of POST, GET, PUT, PATCH"),
    ({"client_authentication": {"a": 1}}, "client_authentication: must be one of"),
    ({"rate_limit": {"per_minute": "3", "burst": 1}},
     "rate_limit: must have a per_minute and a burst above 0"),
    ({"rate_limit": {"per_minute": 3}}, 'rate_limit: must be a rate limit such as "3/min burst'),
    ({"rate_limit": {"per_minute": 0, "burst": 1}},
     "rate_limit: must have a per_minute and a burst above 0"),
    ({"api_domains": [7]}, "api_domains: must be a string or a list of strings"),
    ({"parameters": {"a": "{x}"}}, "parameters: '{x}' names {x}, which is not a setting"),
    ({"client_authentication": "client_secret_jwt", "credentials": "none"},
     "client_authentication: needs the setting client_secret"),
    ({"client_authentication": "private_key_jwt", "credentials": "none"},
     "client_authentication: needs the setting private_key"),
    ({"client_authentication": "client_secret_jwt", "credentials": "public"},
     "credentials: let client_secret be absent, which client_authentication = "),
    ({"client_authentication": "tls_client_auth",
      "settings": {"certificate": {"kind": "file", "title": "Certificate", "optional": True}}},
     "settings.certificate: let certificate be absent, which client_authentication = "),
]  # fmt: skip


@for_each(("description", "mistake"), MISTAKES)
def test_mistake_in_a_description_is_reported(description: dict[str, Any], mistake: str) -> None:
    """An author would have to guess what is wrong."""
    (found,) = problems(description)

    assert found.startswith(mistake)


def test_missing_address_is_reported() -> None:
    """A description without a token endpoint would be accepted."""
    with pytest.raises(errors.ConfigurationError, match="token_url: is required"):
        keyturn.plugins.provider_from_data({}, name="acme")


def test_all_mistakes_are_reported_at_once() -> None:
    """An author would have to correct the mistakes one by one."""
    found = problems(
        {
            "titel": "Acme",
            "token_url": "http://acme.example",
            "token_status": 404,
            "settings": {"class": {}, "one": {"kind": "txt", "titel": "x", "optional": 1}},
        }
    )

    assert [mistake.partition(":")[0] for mistake in found] == [
        "titel",
        "settings.class",
        *[f"settings.one.{key}" for key in ("kind", "optional", "titel")],
        "token_url",
        "token_status",
    ]


def test_mistakes_are_those_of_a_settings_class_too() -> None:
    """A description with a settings class in Python would not be checked."""
    with pytest.raises(
        errors.ConfigurationError, match=r"names \{tenant\}, which is not a setting"
    ):
        keyturn.plugins.provider_from_data(
            {"token_url": "https://{tenant}.example", "settings": keyturn.plugins.ClientSettings},
            name="acme",
        )


def test_settings_class_is_used_as_it_is() -> None:
    """Settings that are shared with other providers would have to be described again."""
    description = {**ADDRESS, "name": "acme", "settings": keyturn.plugins.KeySettings}

    assert keyturn.plugins.provider_from_data(description).settings is keyturn.plugins.KeySettings


def test_name_may_be_only_in_the_description() -> None:
    """The name in a description would have to be given a second time."""
    assert keyturn.plugins.provider_from_data({**ADDRESS, "name": "acme"}).name == "acme"
    with pytest.raises(errors.ConfigurationError, match="name: is required"):
        keyturn.plugins.provider_from_data(ADDRESS)


def test_name_may_be_repeated() -> None:
    """A file that contains its own name would be refused."""
    assert (
        keyturn.plugins.provider_from_data({**ADDRESS, "name": "acme"}, name="acme").name == "acme"
    )


# --- Arbitrary descriptions ---


TEMPLATES = st.sampled_from(
    [
        "x",
        "",
        "{a_text}",
        "{a_secret}",
        "{a_choice}",
        "{uuid}",
        "{client_id}",
        "{a_text}-{a_secret}",
    ]
)
ODD_TEXTS = st.text(max_size=8) | st.sampled_from(
    ["{", "{a_choice[x]}", "https://{a_label}.example"]
)
ODD_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-1, 400)
    | st.floats()
    | ODD_TEXTS
    | st.sampled_from([date(2026, 11, 27), time(12), datetime(2026, 11, 27, tzinfo=UTC)])  # of TOML
)
ODD = (
    ODD_VALUES
    | st.lists(ODD_VALUES, max_size=2)
    | st.dictionaries(ODD_TEXTS, ODD_VALUES | st.lists(ODD_VALUES, max_size=1), max_size=1)
)
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "Mapping": st.dictionaries(st.sampled_from(["a", "X-B"]), TEMPLATES),
    "tuple": st.lists(st.just("acme.example"), max_size=2),
    "RateLimit": st.fixed_dictionaries(
        {"per_minute": st.integers(1, 9), "burst": st.integers(1, 9)}
    ),
    "float": st.floats(1, 1e9),
    "int": st.integers(200, 201),
    "str": st.sampled_from(["x", "data.token", "RS256", ""]),
}


def likely(kind: object) -> st.SearchStrategy[Any]:
    """Return values of which most are valid for a datum of a kind."""
    if typing.get_origin(kind) is typing.Literal:
        return st.sampled_from(typing.get_args(kind))
    return next(values for name, values in LIKELY.items() if name in str(kind))


TABLES = st.fixed_dictionaries(
    {"title": st.just("Made up") | ODD},
    optional=dict.fromkeys([key for key in SETTING_KEYS if key != "title"], ODD)
    | {
        "kind": st.sampled_from(["label", "url", "domain", "secret", "choice", "integer", "scope"]),
        "default": ODD,
        "optional": st.booleans() | ODD,
        "choices": st.lists(ODD_TEXTS, max_size=2) | st.dictionaries(ODD_TEXTS, ODD),
    },
)
USUAL_SETTINGS = {
    "a_text": {"title": "Text", "optional": True},
    "a_label": {"kind": "label", "title": "Label", "default": "x"},
    "a_secret": {"kind": "secret", "title": "Secret", "default": "x"},
    "a_choice": {"kind": "choice", "title": "Choice", "choices": ["x"], "default": "x"},
}
DATA = {name: kind for name, kind in datum_types().items() if name not in ADDRESSES}


@st.composite
def descriptions(draw: st.DrawFn) -> dict[str, Any]:
    """Return descriptions, of which about half contain an unusual value."""
    names = draw(st.lists(st.sampled_from(sorted(DATA)), max_size=4))
    data = {name: draw(likely(DATA[name])) for name in names}
    data |= {"token_url": "https://{a_label}.example/token", "settings": USUAL_SETTINGS}
    data.setdefault("assertion_claims", used(USUAL_SETTINGS))
    data |= draw(st.sampled_from([{}, {"credentials": "none"}, {"credentials": "public"}]))
    if draw(st.booleans()):
        name = draw(st.sampled_from(["scope", "client_id", "one", "A", "class"]))
        data["settings"] = USUAL_SETTINGS | {name: draw(TABLES)}
        data[draw(st.sampled_from([*sorted(DATA), *ADDRESSES]))] = draw(ODD)
    return data


def settings_that_fit(provider: keyturn.plugins.Provider[Any]) -> dict[str, Any]:
    """Return settings that fit a provider."""
    kinds = {"integer": 7, "string": "x"}
    given_values: dict[str, Any] = {"private_key": KEY, "url": "https://acme.example"}
    schema = provider.settings_schema()
    for name in schema["required"]:
        field = schema["properties"][name]
        kind = "https://a.example" if field.get("format") == "uri" else kinds.get(field.get("type"))
        given_values.setdefault(name, field.get("enum", [kind or "x"])[0])
    return {name: given_values[name] for name in schema["required"]}


@pytest.mark.parametrize(
    "odd",
    [{}, [], [{}], {"a": {}}, 7, -1.5, True, None, "x y", "", date(2026, 11, 27), [time(12)]],
    ids=repr,
)
def test_one_invalid_datum_is_reported(odd: object) -> None:
    """A mistake in one datum would be a raw Python error, or be reported for another datum."""
    usual = {
        "token_url": "https://{a_label}.example/token",
        "settings": {"a_label": USUAL_SETTINGS["a_label"]},
    }
    for name in DATA:
        try:
            keyturn.plugins.provider_from_data(usual | {name: odd}, name="acme")
        except errors.ConfigurationError as error:
            assert any(name in str(each) for each in error.problems), name  # noqa: PT017 - if raised


@given(descriptions())
def test_any_description_is_refused_or_works(description: dict[str, Any]) -> None:
    """An unforeseen description would break the program with a raw Python error."""
    try:
        provider = keyturn.plugins.provider_from_data(description, name="acme")
    except errors.ConfigurationError as error:
        assert error.problems  # noqa: PT017 - if raised
        return
    settings, mistakes = read(provider.settings, settings_that_fit(provider))
    assert settings is not None, mistakes
    try:
        request = provider.token_request(settings)
    except errors.ConfigurationError as error:
        assert "address" in str(error)  # noqa: PT017 - if raised
        return
    shown = request.redacted()
    assert isinstance(shown.body, bytes)
    assert all(isinstance(each, str) for each in shown.headers.values())
    assert request.with_fingerprint(b"made-up-key-for-tests").fingerprint


@pytest.mark.parametrize("name", ["", "../x", "a b", "a\n", "-a", None])
def test_invalid_name_is_refused(name: Any) -> None:
    """An invalid name would be used as a file name, or break lists and messages."""
    with pytest.raises(errors.ConfigurationError, match=r"name: (must|is)"):
        keyturn.plugins.provider_from_data({"token_url": "https://acme.example/token"}, name=name)


@pytest.mark.parametrize(
    ("description", "words"),
    [
        (None, "must be a table"),
        ([], "must be a table"),
        ("x", "must be a table"),
        ({5: "x"}, "5: is not known"),
        ({"settings": {5: {"title": "Five"}}}, "settings.5: can't be the name of a setting"),
    ],
)
def test_description_that_is_not_a_table_is_refused(description: Any, words: str) -> None:
    """A raw Python error would be raised that does not name the mistake."""
    with pytest.raises(errors.ConfigurationError, match=words):
        keyturn.plugins.provider_from_data(description, name="acme")


# --- Files ---


def test_file_describes_a_provider(tmp_path: Path) -> None:
    """A provider without code would need its own package."""
    path = tmp_path / "acme.toml"
    path.write_text('title = "Ácme"\ntoken_url = "https://acme.example/token"', encoding="utf-8")
    provider = keyturn.plugins.provider_from_file(path)

    assert (provider.name, provider.title) == ("acme", "Ácme")
    assert keyturn.plugins.provider_from_file(str(path), name="other").name == "other"
    path.write_text('name = "emca"\ntoken_url = "https://acme.example/token"', encoding="utf-8")
    assert keyturn.plugins.provider_from_file(path).name == "emca"
    with pytest.raises(errors.ConfigurationError, match="name: must be other"):
        keyturn.plugins.provider_from_file(path, name="other")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "acme.toml can't be read: No such file or directory"),
        (b"x", "acme.toml is not TOML: the end, line 1: Expected '=' after a key"),
        (b'title = "\xff"', "acme.toml is not UTF-8: line 1 has another encoding"),
        (b"x = " + b"[" * 5000, "acme.toml is not TOML: its tables or lists are nested too deeply"),
        (b"titel = 'x'", "titel: is not known. Did you mean title?"),
    ],
)
def test_mistake_in_a_file_is_reported(tmp_path: Path, content: bytes | None, words: str) -> None:
    """The error would not name the file, or would not be a KeyturnError."""
    path = tmp_path / "acme.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(errors.ConfigurationError, match=words):
        keyturn.plugins.provider_from_file(path)
