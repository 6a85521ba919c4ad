"""A provider's data: the token request that they describe, and the mistakes in them."""

from __future__ import annotations

import datetime as dt
import inspect
import typing
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.conftest import for_each

import keyturn
from keyturn import errors
from keyturn._http.transport import Transport
from keyturn._providers.data import DATA, datum_types
from keyturn._providers.provider_problems import problems
from keyturn._providers.settings import OPTION_NAMES
from keyturn._tokens.options import Options
from keyturn.plugins import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

    Platform = Callable[..., keyturn.Connection]


WRONG_KINDS: dict[str, object] = {
    "a string": 7,
    "a string or a list of strings": 7,
    'a table of strings, such as { audience = "…" }': ["a"],
    "a number": "7",
    "an integer": 7.5,
    'a rate limit such as "3/min burst 20", or a table with per_minute and burst': {
        "per_minute": 3
    },
    "a table of strings, numbers, booleans, lists and tables, such as "
    '{ audience = "…", days = 7 }': ["a"],
    "an integer or a list of integers": ["7"],
}


def reported(provider: keyturn.plugins.Provider[Any]) -> list[str]:
    """Return the mistakes in a provider."""
    return list(map(str, problems(provider)))


@for_each("name", DATA)
def test_datum_of_another_type_is_reported(world: World, name: str) -> None:
    """A provider would fail at the first request, with an unclear error."""
    provider = world.changed(**{name: object()})
    (problem,) = reported(provider)
    datum, _, wanted = problem.partition(": must be ")

    assert datum == name
    assert wanted in WRONG_KINDS or wanted.startswith("one of ")
    if wanted in WRONG_KINDS:
        worse = world.changed(**{name: WRONG_KINDS[wanted]})
        assert reported(worse) == [problem]


@pytest.mark.parametrize("number", [True, False])
@pytest.mark.parametrize("name", ["assertion_lifetime", "missing_lifetime", "token_status"])
def test_boolean_is_not_accepted_as_a_number(world: World, name: str, number: object) -> None:
    """True would be read as one second."""
    (problem,) = reported(world.changed(**{name: number}))

    assert problem.startswith(f"{name}: must be a")


@pytest.mark.parametrize("table", [{"a": 1}, {1: "a"}, {"a": None}])
def test_table_accepts_only_strings(world: World, table: object) -> None:
    """The server would receive a value such as None as a string."""
    (problem,) = reported(world.changed(token_headers=table))

    assert problem.startswith("token_headers: must be a table of strings")


DEEP: list[Any] = []
for _ in range(20):
    DEEP = [DEEP]
NO_JSON: list[dict[Any, object]] = [
    {1: "a"},
    *({"a": each} for each in ([None], {1: "a"}, {"b": float("inf")}, b"a", DEEP)),
    *({"a": each} for each in (None, float("nan"), dt.date(2027, 1, 15))),
]


@pytest.mark.parametrize("name", ["parameters", "assertion_claims"])
@pytest.mark.parametrize("table", NO_JSON)
def test_json_table_accepts_only_json_values(world: World, name: str, table: object) -> None:
    """The request could not be encoded, or the server would receive invalid JSON."""
    (problem,) = reported(world.changed(**{name: table, "body_format": "json"}))

    assert problem.startswith(f"{name}: must be a table of strings, numbers, booleans, lists")


WRONG_HEADERS = [{"": "x"}, {"X Y": "x"}, {"X:": "x"}, {"X": "a\r\nY: b"}, {"X": "é"}, {"É": "x"}]
PATH_MISTAKE = "must be a path such as data.token"
PATHS = ["lifetime_field", "error_field", "error_description_field", "token_field", "api_url_field"]
MISTAKES: list[tuple[str, object, str]] = [
    *((name, "http://a.example", "must begin with https://") for name in
      ("token_url", "api_url", "revocation_url")),
    ("token_url", "", "must not be empty"),
    ("token_url", "https://a b.example", "must be a URL"),
    ("api_url", "https://u@{tenant}.example", "must be a URL"),
    *((name, table, "must ") for name in ("token_headers", "api_headers")
      for table in WRONG_HEADERS),
    ("api_headers", {"X": "{uuid}"}, "would be the same for all requests"),
    *((name, path, PATH_MISTAKE) for name in PATHS for path in (".", "a..b", "a.", ".a", "a b")),
    *((name, "", PATH_MISTAKE) for name in PATHS[1:3]),
    *((name, number, "must be above 0") for name in ("missing_lifetime", "max_margin")
      for number in (0, -1, -0.5, float("nan"))),
    *(("assertion_lifetime", number, "must be from 1 to 86400 seconds")
      for number in (0, 0.5, -1, 86_401, float("inf"), float("nan"))),
    *((name, "", "must not be empty") for name in
      ("scope_separator", "assertion_name")),
    *(("assertion_key_header", name, "can't be") for name in ("", "alg", "crit", "typ", "b64")),
    *((datum, {name: "3"}, "is set by the HTTP client") for datum in
      ("token_headers", "api_headers") for name in ("Host", "content-length", "Transfer-Encoding")),
    ("authorization_header", "HOST", "is set by the HTTP client"),
    ("token_headers", {"X-A": "1", "x-a": "2"}, "has a header twice"),
    ("parameters", {"grant_type": "x"}, "grant_type is sent already"),
    ("parameters", {"client_secret": "x"}, "client_secret is sent already"),
    ("api_headers", {"authorization": "x"}, "authorization carries the token"),
    ("token_field", "error", "can't be the field of an error too"),
    *(("assertion_headers", {name: "x"}, "can't be alg, b64 or crit") for name in ("alg", "crit")),
    ("token_header", "Set-Cookie", "must be the name of a header, or Set-Cookie.NAME for a cookie"),
    ("token_header", "set-cookie.", "must be the name of a header, or Set-Cookie.NAME for a"),
    ("lifetime_timezone", "Seoul", "must be a time zone that this system knows"),
    ("lifetime_timezone", "Asia/Seoul", 'is for lifetime_format "date" or a pattern'),
    *((name, "X Y", "must be the name of a header") for name in
      ("token_header", "lifetime_header")),
    *(("assertion_algorithm", name, "must be an algorithm such as RS256")
      for name in ("none", "HS255", "rs256", "RS255", "RSA")),
    ("assertion_algorithm", "HS256", "HS512 are for client_secret_jwt only"),
    *((name, {"X": "{assertion}"}, "the JWT of private_key_jwt") for name in
      ("parameters", "token_headers", "query", "api_headers", "assertion_claims",
       "assertion_headers")),
    *(("token_status", status, "must be from 200 to 299") for status in (0, 199, 300, 400)),
    *(("authorization_header", name, "must be the name of a header") for name in ("", "X Y", "É")),
    *(("authorization_scheme", text, "must be one word, or empty") for text in ("a b", "é", "\n")),
    *(("rate_limit", RateLimit(*each), "must have a") for each in
      ((0, 1), (-1, 1), (3, 0), (float("nan"), 1), (float("inf"), 1), (3, 2.5), ("3", 1))),
    *(("api_domains", (name,), "must be a domain name") for name in
      ("", "https://a.example", "a.example/x", "A.example", "a.example:8443", ".a")),
    *(("error_codes", {"7": code}, "is not an error code of RFC 6749")
      for code in ("", "Two words", "E-7")),
    ("client_authentication", "private_key_jwt", "needs the setting private_key"),
    ("client_authentication", "tls_client_auth", "needs the setting certificate"),
]  # fmt: skip


@for_each(("name", "value", "words"), MISTAKES)
def test_mistake_in_a_datum_is_reported(world: World, name: str, value: object, words: str) -> None:
    """The mistake would be noticed only at the first request, as another error."""
    (problem,) = reported(world.changed(**{name: value}))
    datum = "body_format" if name == "method" else name

    assert problem.startswith(f"{datum}: ")
    assert words in problem


@pytest.mark.parametrize("part", ["token", "lifetime"])
def test_header_and_path_exclude_each_other(world: World, part: str) -> None:
    """One of the two would be ignored silently."""
    header = {f"{part}_header": "X-Made-Up"}

    assert reported(world.changed(**header)) == []
    assert reported(world.changed(**header, **{f"{part}_field": ""})) == []
    (problem,) = reported(world.changed(**header, **{f"{part}_field": "data.made_up"}))
    assert problem == f"{part}_header: can't be set beside {part}_field"


@pytest.mark.parametrize("name", ["client_id_name", "client_secret_name"])
def test_names_of_credentials_in_headers_must_be_header_names(world: World, name: str) -> None:
    """An HTTP client would refuse the header, and the error look like a network failure."""
    as_parameters = {name: "client id"}
    as_headers = as_parameters | {"client_authentication": "client_secret_headers"}
    empty = {name: "", "client_authentication": "client_secret_headers"}

    assert reported(world.changed(**as_parameters)) == []
    assert reported(world.changed(**as_headers)) == [
        f"{name}: must be the name of a header that keyturn may set"
    ]
    assert reported(world.changed(**empty)) == []
    (wrong,) = reported(world.changed(**as_headers | {name: 7}))
    assert wrong == f"{name}: must be a string"


def test_all_mistakes_are_reported_at_once(world: World) -> None:
    """An author would have to correct the mistakes one by one."""
    provider = world.changed(
        token_url="",
        method="TRACE",
        token_status=404,
        error_codes={"1": "?"},
        parameters={"a": "{b}"},
    )
    names = [problem.partition(":")[0] for problem in reported(provider)]

    assert sorted(names) == ["error_codes", "method", "parameters", "token_status", "token_url"]


@pytest.mark.parametrize("name", ["provider", *OPTION_NAMES])
def test_setting_with_the_name_of_an_option_is_reported(world: World, name: str) -> None:
    """`keyturn.connect` would read the setting as its option."""
    settings = type(
        "Settings",
        (keyturn.plugins.ConfidentialSettings,),
        {
            "__annotations__": {name: str | None},
            name: keyturn.plugins.setting("Taken", default=None),
        },
    )
    (problem,) = reported(
        world.changed(settings=settings, token_url="https://acme.example", api_url="")
    )
    assert problem.startswith(f"settings.{name}: can't be the name of a setting")


def test_every_option_is_reserved() -> None:
    """An option of `keyturn.connect` would shadow a setting of the same name."""
    parameters = inspect.signature(keyturn.connect).parameters.values()
    options = {field.name for field in attrs.fields(Options)}
    keywords = {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}

    assert options < keywords == set(OPTION_NAMES)


@pytest.mark.parametrize("name", ["norce-commerce", "norce-storm", "orocommerce", "commercelayer"])
def test_built_in_providers_have_no_mistakes(name: str) -> None:
    """Authors would copy a mistake from a built-in provider."""
    assert reported(keyturn.provider(name)) == []


def test_every_choice_of_a_datum_is_reported(world: World) -> None:
    """An author who mistypes a choice would have to guess the others."""
    for name, kind in datum_types().items():
        if typing.get_origin(kind) is typing.Literal:
            (problem,) = reported(world.changed(**{name: "rubbish"}))
            assert all(choice in problem for choice in typing.get_args(kind))


MISSPELT = {
    "lifetime_fromat": "lifetime_format",
    "read_tokn": "read_token",
    "readToken": "read_token",
    "Token_URL": "token_url",
    "error_code": "error_codes",
    "titel": "title",
    "setings": "settings",
    "api_header": "api_headers",
    "authorisation": "authorization",
}


@pytest.mark.parametrize(("name", "meant"), MISSPELT.items())
def test_misspelt_name_is_reported(world: World, name: str, meant: str) -> None:
    """A misspelt datum or method would silently have no effect."""
    expected = f"{name}: is not known. Did you mean {meant}? Begin a name of your own with _."
    inherited = type("Further", (type(world.changed(**{name: "x"})),), {})()
    on_the_object = world.changed()
    setattr(on_the_object, name, "x")

    assert reported(inherited) == [expected]
    assert reported(on_the_object) == [expected]


@pytest.mark.parametrize("name", ["_lifetime_fromat", "regions", "tenant_of", "storefront_url"])
def test_additional_name_in_a_provider_is_allowed(world: World, name: str) -> None:
    """A provider could not have a helper method or attribute."""
    assert reported(world.changed(**{name: "x"})) == []


def test_mutable_value_is_reported_by_its_type(world: World) -> None:
    """A list instead of a tuple would be accepted here and refused by a type checker."""
    assert reported(world.changed(api_domains=["acme.example"])) == ["api_domains: must be a tuple"]
    assert reported(world.changed(rate_limit={"per_minute": 3, "burst": 1})) == [
        "rate_limit: must be a RateLimit"
    ]


@pytest.mark.parametrize("settings", [None, 7, object, keyturn.plugins.Provider])
def test_settings_are_a_settings_class(world: World, settings: object) -> None:
    """The first connection would fail with an unclear error."""
    assert reported(world.changed(settings=settings)) == [
        "settings: must be a class derived from keyturn.plugins.Settings"
    ]


# --- The rest of the request ---


REQUESTS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    # Data; then method, query and body.
    "usual": ({}, "POST", "", "grant_type=client_credentials&a=1&scope=x+y"),
    "other grant": ({"grant_type": "account_credentials"}, "POST", "",
                    "grant_type=account_credentials&a=1&scope=x+y"),
    "no grant": ({"grant_type": ""}, "POST", "", "a=1&scope=x+y"),
    "scope renamed": ({"scope_name": "scopes"}, "POST", "",
                      "grant_type=client_credentials&a=1&scopes=x+y"),
    "scope with commas": ({"scope_separator": ","}, "POST", "",
                          "grant_type=client_credentials&a=1&scope=x%2Cy"),
    "scope not sent": ({"scope_name": ""}, "POST", "", "grant_type=client_credentials&a=1"),
    "JSON": ({"body_format": "json"}, "POST", "",
             '{"grant_type":"client_credentials","a":"1","scope":"x y"}'),
    "JSON beyond ASCII": ({"body_format": "json", "parameters": {"ä": 'ö"'}, "scope_name": ""},
                          "POST", "", '{"grant_type":"client_credentials","ä":"ö\\""}'),
    "query": ({"body_format": "query"}, "POST", "grant_type=client_credentials&a=1&scope=x+y", ""),
    "GET": ({"method": "GET"}, "GET", "grant_type=client_credentials&a=1&scope=x+y", ""),
    "query of a GET": ({"body_format": "query", "method": "GET"}, "GET",
                       "grant_type=client_credentials&a=1&scope=x+y", ""),
    "query with odd characters": (
        {"body_format": "query", "grant_type": "", "scope_name": "",
         "parameters": {"a&b": "ö#?/ +%"}},
        "POST", "a%26b=%C3%B6%23%3F%2F+%2B%25", ""),
    "nothing": ({"grant_type": "", "scope_name": "", "parameters": {}, "body_format": "query"},
                "POST", "", ""),
}  # fmt: skip


@pytest.mark.parametrize(("data", "method", "query", "body"), REQUESTS.values(), ids=REQUESTS)
def test_token_request_follows_the_data(
    platform: Platform,
    serve: Any,
    token_response: bytes,
    data: dict[str, Any],
    method: str,
    query: str,
    body: str,
) -> None:
    """The platform would not understand the request."""
    server = serve(token_response)
    scope = {"scope": {"kind": "scope", "title": "Scope", "default": ["x", "y"]}}
    usual = {"credentials": "none", "parameters": {"a": "1"}, "settings": scope}
    connection = platform(usual | data, real=True, token_url=server.url)
    request = connection.token_request()

    assert (request.method, request.query, request.body.decode()) == (method, query, body)
    assert connection.token().access_token == "t0ken"
    head, _, sent = server.received[0].decode().partition("\r\n\r\n")
    assert head.splitlines()[0] == f"{method} /token{'?' if query else ''}{query} HTTP/1.1"
    assert sent == body
    assert ("content-type: " in head.lower()) == (request.body_format != "query")


def test_secret_in_a_query_is_masked(
    platform: Platform, serve: Any, http_response: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors, logs and transcripts would show a secret in a URL."""
    caplog.set_level(1)
    server = serve(http_response({"error": "invalid_request"}, 400))
    connection = platform({"body_format": "query"}, real=True, token_url=server.url)
    with pytest.raises(errors.TokenRequestRefused) as caught:
        connection.token()
    server.close()
    with pytest.raises(errors.EndpointUnavailable) as unreachable:
        Transport().send(connection.token_request(), 10)
    shown = [caught.value, unreachable.value, connection.token_request(), connection.explain()]

    assert b"client_secret=s3cret-for-tests" in server.received[0]
    assert "s3cret" not in "".join(map(repr, shown)) + "".join(map(str, shown)) + caplog.text


def test_platforms_header_replaces_the_usual_one(platform: Platform) -> None:
    """Two headers of one name, differing in case, would be sent."""
    data = {"token_headers": {"accept": "application/vnd.acme+json", "CONTENT-TYPE": "x/y"}}

    assert platform(data).token_request().headers == {
        "Accept-Encoding": "identity",
        "accept": "application/vnd.acme+json",
        "CONTENT-TYPE": "x/y",
    }


def test_rate_limit_is_kept(world: World, platform: Platform) -> None:
    """The platform would refuse requests beyond its rate limit."""
    connection = platform({"rate_limit": {"per_minute": 3, "burst": 1}})
    connection.token()
    connection.forget()

    with pytest.raises(errors.RateLimited) as limited:
        connection.token()
    assert limited.value.retry_after == pytest.approx(20)
    assert len(world.endpoint.requests) == 1


def test_margin_is_capped(world: World, platform: Platform) -> None:
    """A server that issues no new token yet would get one request after another."""
    connection = platform({"max_margin": 60})
    first = connection.token()
    world.clock.advance(3600 - 70)
    assert connection.token() == first
    assert len(world.endpoint.requests) == 1

    world.clock.advance(65)
    connection.token()
    world.land()
    assert len(world.endpoint.requests) == 2
