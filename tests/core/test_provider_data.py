"""What a provider's data make of a token request, and what is wrong with them, by their names."""

from __future__ import annotations

import inspect
import typing
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import keyturn
from keyturn import errors
from keyturn._config import checks as _checks
from keyturn._http.transport import Transport
from keyturn._providers import data as provider_data
from keyturn._tokens.acquisition import Options
from keyturn.plugins import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

    Platform = Callable[..., keyturn.Connection]


WRONG_KINDS: dict[str, object] = {
    "a text": 7,
    "several texts": "acme.example",
    "names and texts": ["a"],
    "a number": "7",
    "a number, or absent": "7",
    "a whole number": 7.5,
    "a rate_limit: per_minute and burst, or absent": {"per_minute": 3},
}


@pytest.mark.parametrize("name", provider_data.kinds())
def test_datum_of_another_kind_is_told(world: World, name: str) -> None:
    """A provider would fail at the first request, somewhere deep inside."""
    provider = world.changed(**{name: object()})
    (problem,) = provider_data.problems(provider)
    datum, _, wanted = problem.partition(": must be ")

    assert datum == name
    assert wanted in WRONG_KINDS or wanted.startswith("one of ")
    if wanted in WRONG_KINDS:
        worse = world.changed(**{name: WRONG_KINDS[wanted]})
        assert provider_data.problems(worse) == [problem]


@pytest.mark.parametrize("number", [True, False])
@pytest.mark.parametrize("name", ["assertion_lifetime", "missing_lifetime", "token_status"])
def test_truth_value_is_no_number(world: World, name: str, number: object) -> None:
    """True would be taken for one second."""
    (problem,) = provider_data.problems(world.changed(**{name: number}))

    assert problem.startswith(f"{name}: must be a ")


@pytest.mark.parametrize("texts", [{"a": 1}, {1: "a"}, {"a": None}])
def test_names_and_texts_are_texts(world: World, texts: object) -> None:
    """The server would get a word of Python's."""
    (problem,) = provider_data.problems(world.changed(parameters=texts))

    assert problem == "parameters: must be names and texts"


HEADER_TEXTS = [{"": "x"}, {"X Y": "x"}, {"X:": "x"}, {"X": "a\r\nY: b"}, {"X": "é"}, {"É": "x"}]
PATH_MISTAKE = "must be a path such as data.token"
PATHS = ["lifetime_field", "error_field", "error_description_field", "token_field", "api_url_field"]
MISTAKES: list[tuple[str, object, str]] = [
    *((name, "http://a.example", "must begin with https://") for name in
      ("token_url", "api_url", "revocation_url")),
    ("token_url", "", "is required"),
    ("token_url", "https://a b.example", "must be a URL"),
    ("api_url", "https://u@{tenant}.example", "must be a URL"),
    *((name, texts, "no header") for name in ("token_headers", "api_headers")
      for texts in HEADER_TEXTS),
    ("api_headers", {"X": "{uuid}"}, "would be the same for all requests"),
    *((name, path, PATH_MISTAKE) for name in PATHS for path in (".", "a..b", "a.", ".a", "a b")),
    *((name, "", PATH_MISTAKE) for name in PATHS[:3]),
    *((name, number, "must be above 0") for name in ("missing_lifetime", "max_margin")
      for number in (0, -1, -0.5, float("nan"))),
    *(("assertion_lifetime", number, "must be from 1 to 86400 seconds")
      for number in (0, 0.5, -1, 86_401, float("inf"), float("nan"))),
    *((name, "", "must not be empty") for name in
      ("scope_separator", "assertion_name")),
    *(("assertion_key_header", name, "can't be") for name in ("", "alg", "crit", "typ", "b64")),
    *((datum, {name: "3"}, "is for the HTTP client alone") for datum in
      ("token_headers", "api_headers") for name in ("Host", "content-length", "Transfer-Encoding")),
    ("authorization_header", "HOST", "is for the HTTP client alone"),
    ("token_headers", {"X-A": "1", "x-a": "2"}, "has a header twice"),
    ("parameters", {"grant_type": "x"}, "grant_type is sent already"),
    ("parameters", {"client_secret": "x"}, "client_secret is sent already"),
    ("api_headers", {"authorization": "x"}, "authorization carries the token"),
    ("token_field", "error", "can't be the field of an error as well"),
    *(("assertion_algorithm", name, "must be an algorithm with a private key")
      for name in ("", "none", "HS256", "rs256", "RS255", "RSA")),
    *(("token_status", status, "must be a status of success") for status in (0, 199, 300, 400)),
    *(("authorization_header", name, "must be the name of a header") for name in ("", "X Y", "É")),
    *(("authorization_scheme", text, "must be one word, or empty") for text in ("a b", "é", "\n")),
    *(("rate_limit", RateLimit(*each), "must have a per_minute above 0") for each in
      ((0, 1), (-1, 1), (3, 0), (float("nan"), 1), (float("inf"), 1), (3, 2.5))),
    *(("api_domains", (name,), "must be a domain name") for name in
      ("", "https://a.example", "a.example/x", "A.example", "a.example:8443", ".a")),
    *(("error_codes", {"7": code}, "is no code of RFC 6749") for code in ("", "Two words", "E-7")),
    ("method", "GET", "must be query with method GET"),
    ("client_authentication", "private_key_jwt", "needs the setting private_key"),
    ("client_authentication", "tls_client_auth", "needs the setting certificate"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "words"), MISTAKES)
def test_mistake_in_a_datum_is_told(world: World, name: str, value: object, words: str) -> None:
    """It would show at the first request, and then as something else."""
    (problem,) = provider_data.problems(world.changed(**{name: value}))
    datum = "body_format" if name == "method" else name

    assert problem.startswith(f"{datum}: ")
    assert words in problem


@pytest.mark.parametrize("name", ["client_id_name", "client_secret_name"])
def test_credentials_names_must_be_headers_where_they_are(world: World, name: str) -> None:
    """An HTTP client refuses such a header, which would look like a failure of the network."""
    as_parameters = {name: "client id"}
    as_headers = as_parameters | {"client_authentication": "client_secret_headers"}
    empty = {name: "", "client_authentication": "client_secret_headers"}

    assert provider_data.problems(world.changed(**as_parameters)) == []
    assert provider_data.problems(world.changed(**as_headers)) == [
        f"{name}: must be the name of a header"
    ]
    assert provider_data.problems(world.changed(**empty)) == []
    (wrong,) = provider_data.problems(world.changed(**as_headers | {name: 7}))
    assert wrong == f"{name}: must be a text"


def test_all_mistakes_are_told_at_once(world: World) -> None:
    """An author would mend them one by one."""
    provider = world.changed(
        token_url="",
        method="PUT",
        token_status=404,
        error_codes={"1": "?"},
        parameters={"a": "{b}"},
    )
    names = [problem.partition(":")[0] for problem in provider_data.problems(provider)]

    assert sorted(names) == ["error_codes", "method", "parameters", "token_status", "token_url"]


@pytest.mark.parametrize("name", sorted(provider_data.TAKEN))
def test_setting_that_nobody_could_give_is_told(world: World, name: str) -> None:
    """`keyturn.connect` would take it for a word of its own."""
    settings = attrs.make_class(
        "Settings",
        {name: keyturn.plugins.setting("Taken", default=None)},
        bases=(keyturn.plugins.ConfidentialSettings,),
        frozen=True,
        kw_only=True,
    )
    (problem,) = provider_data.problems(
        world.changed(settings=settings, token_url="https://acme.example", api_url="")
    )
    assert problem == f"settings: none may be named {name}, a word of keyturn.connect's own"


def test_no_other_setting_is_taken() -> None:
    """A word that `keyturn.connect` comes to take would shadow a setting."""
    words = set(inspect.signature(keyturn.connect).parameters) - {"settings"}
    options = {field.name for field in attrs.fields(Options)}

    assert words | options | set(_checks._OWN) == provider_data.TAKEN  # noqa: SLF001 - to compare


@pytest.mark.parametrize("name", ["norce-commerce", "norce-storm", "orocommerce", "commercelayer"])
def test_built_in_providers_have_no_mistakes(name: str) -> None:
    """They are what authors copy."""
    assert provider_data.problems(keyturn.provider(name)) == []


def test_every_choice_of_a_datum_is_told(world: World) -> None:
    """Who mistypes one can't guess the others."""
    for name, kind in provider_data.kinds().items():
        if typing.get_origin(kind) is typing.Literal:
            (problem,) = provider_data.problems(world.changed(**{name: "rubbish"}))
            assert all(choice in problem for choice in typing.get_args(kind))


# --- What else is sent ---


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
def test_token_request_is_what_the_data_say(
    platform: Platform,
    serve: Any,
    token_response: bytes,
    data: dict[str, Any],
    method: str,
    query: str,
    body: str,
) -> None:
    """The platform would not understand what it gets."""
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


def test_secret_in_a_query_stays_out_of_sight(
    platform: Platform, serve: Any, http_response: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An address is logged and quoted by everyone: errors, logs, transcripts."""
    caplog.set_level(1)
    server = serve(http_response({"error": "invalid_request"}, 400))
    connection = platform({"body_format": "query"}, real=True, token_url=server.url)
    with pytest.raises(errors.TokenRequestRefused) as caught:
        connection.token()
    server.close()
    with pytest.raises(errors.EndpointUnavailable) as unreachable:
        Transport().send(connection.token_request(), 10)
    told = [caught.value, unreachable.value, connection.token_request(), connection.explain()]

    assert b"client_secret=s3cret-for-tests" in server.received[0]
    assert "s3cret" not in "".join(map(repr, told)) + "".join(map(str, told)) + caplog.text


def test_platforms_header_replaces_the_usual_one(platform: Platform) -> None:
    """Two headers of one name, differing in case, would be sent."""
    data = {"token_headers": {"accept": "application/vnd.acme+json", "CONTENT-TYPE": "x/y"}}

    assert platform(data).token_request().headers == {
        "Accept-Encoding": "identity",
        "accept": "application/vnd.acme+json",
        "CONTENT-TYPE": "x/y",
    }


def test_rate_limit_is_kept(world: World, platform: Platform) -> None:
    """A platform's rate limit would be met by its negative_cache."""
    connection = platform({"rate_limit": {"per_minute": 3, "burst": 1}})
    connection.token()
    connection.forget()

    with pytest.raises(errors.RateLimited) as limited:
        connection.token()
    assert limited.value.retry_after == pytest.approx(20)
    assert len(world.endpoint.requests) == 1


def test_margin_is_capped(world: World, platform: Platform) -> None:
    """A server that gives no new token yet would be asked again and again."""
    connection = platform({"max_margin": 60})
    first = connection.token()
    world.clock.advance(3600 - 70)
    assert connection.token() == first
    assert len(world.endpoint.requests) == 1

    world.clock.advance(65)
    connection.token()
    world.land()
    assert len(world.endpoint.requests) == 2
