"""Reading token responses: each datum that names a field, and edge cases."""

from __future__ import annotations

import email.utils
import json
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import for_each

import keyturn
from keyturn import errors
from keyturn._providers.data import TokenResponseMapping
from keyturn._providers.lifetime_formats import LifetimeFormat
from keyturn._providers.provider_problems import problems
from keyturn._providers.token_response import read_error, read_token
from keyturn._tokens.entries import TokenEntry, entry_from_json, entry_to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

    Platform = Callable[..., keyturn.Connection]

NOW = 1_800_000_000.0
JSON = {"content-type": "application/json"}
USUAL = {"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}
YEAR = 31_536_000.0
DATE = email.utils.formatdate(NOW, usegmt=True)


# --- The whole response ---


def test_large_response_fits_into_an_entry(read: Callable[..., keyturn.Token]) -> None:
    """Each process would send its own token request, because none could read the entry."""
    body = USUAL | {"access_token": "t" * 65_536, "small": {"a": "é"}, "scope": "s" * 32_768}
    token = read({}, body | {"most": "x" * 65_500, "large": "é" * 80_000, "list": ["é"] * 6000})

    assert token.extra.keys() == {"small", "list"}
    assert token.extra["small"] == {"a": "é"}
    entry = entry_to_json(TokenEntry(token, "clock", NOW), "fingerprint")
    stored = entry_from_json(entry, "fingerprint")
    assert stored is not None
    assert stored.token.extra == token.extra


def test_scope_that_is_too_long_for_an_entry_is_refused(read: Callable[..., keyturn.Token]) -> None:
    """A response could fill the store of all connections."""
    with pytest.raises(errors.InvalidTokenResponse, match="scope"):
        read({}, USUAL | {"scope": "s" * 32_769})


# --- The token ---


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("token", {"token": "t0ken"}),
        ("data.token", {"data": {"token": "t0ken"}}),
        ("tokens.1.value", {"tokens": [7, {"value": "t0ken"}]}),
        ("0.token", {"0": {"token": "t0ken"}}),
        ("", "t0ken"),
    ],
)
def test_token_is_read_from_the_platforms_field(
    read: Callable[..., keyturn.Token], field: str, body: object
) -> None:
    """No token of the many platforms that nest it in other fields could be read."""
    data = {"token_field": field, "token_type": "", "missing_lifetime": 60}

    assert read(data, body).access_token == "t0ken"


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("data.token", {"data": None}),
        ("data.token", {"data": "t0ken"}),
        ("data.token", {"data": []}),
        ("tokens.1", {"tokens": ["t0ken"]}),
        ("tokens.x", {"tokens": ["t0ken"]}),
        ("tokens.99999", {"tokens": ["t0ken"]}),
        ("token", ["t0ken"]),
        ("", {"access_token": "t0ken"}),
        ("", ["t0ken"]),
        ("", None),
        ("", 7),
        ("", True),
        ("", b""),
        ("", b'{"access_token":"t0ken"'),
        ("", "a b"),
    ],
)
def test_missing_token_is_reported(
    read: Callable[..., keyturn.Token], field: str, body: object
) -> None:
    """Another value would be sent to the API as a token."""
    data = {"token_field": field, "token_type": "", "missing_lifetime": 60}

    with pytest.raises(errors.InvalidTokenResponse, match=field or "a token by itself"):
        read(data, body)


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("response.access_token", 'Set token_field to "access_token"'),
        ("response.body.data.token", 'Set token_field to "data.token"'),
        ("response.other", "Set token_field to the path"),
        ("other", "Set token_field to the path"),
    ],
)
def test_path_with_a_prefix_of_another_tool_is_corrected(
    read: Callable[..., keyturn.Token], field: str, hint: str
) -> None:
    """An author could not see that the path begins with a name of the response itself."""
    with pytest.raises(errors.InvalidTokenResponse) as caught:
        read({"token_field": field, "missing_lifetime": 60}, USUAL | {"data": {"token": "t0ken"}})

    assert hint in str(caught.value)


def test_token_may_contain_a_space(
    world: World, platform: Platform, read: Callable[..., keyturn.Token]
) -> None:
    """A token with a space, which RFC 6749 appendix A.12 allows, would be refused."""
    token = read({}, USUAL | {"access_token": "QSDK t0ken"})

    assert token.access_token == "QSDK t0ken"
    assert platform({}).token() == token
    assert platform({}).headers() == {"Authorization": "Bearer QSDK t0ken"}
    assert len(world.endpoint.requests) == 1


@pytest.mark.parametrize("token", [" t0ken", "t0ken ", " ", "a\tb", "a\nb", "a\x7fb"])
def test_token_with_other_whitespace_is_refused(
    read: Callable[..., keyturn.Token], token: str
) -> None:
    """The header would be split, or the API would receive another token."""
    with pytest.raises(errors.InvalidTokenResponse, match="visible ASCII"):
        read({}, USUAL | {"access_token": token})


@pytest.mark.parametrize("kind", ["text/plain", "text/plain;charset=utf-8", "application/jwt", ""])
def test_whole_body_may_be_the_token(read: Callable[..., keyturn.Token], kind: str) -> None:
    """A response that is only the token and a line break could not be read."""
    data = {"token_field": "", "token_type": "", "missing_lifetime": 60}
    token = read(data, b" t0ken\r\n", content_type=kind)

    assert (token.access_token, dict(token.extra)) == ("t0ken", {})


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"t0ken"),
        ("Text/HTML; charset=utf-8", b"<html>"),
        ("application/xml", b"<Error/>"),
        ("text/json", b'{"error":1}'),
        ("text/plain", b"two words"),
        ("text/plain", "tökên".encode()),
        ("text/plain", b""),
        ("text/plain", b"x" * 65_537),
    ],
)
def test_page_is_not_read_as_a_token(
    read: Callable[..., keyturn.Token], kind: str, body: bytes
) -> None:
    """A login page or an error would be sent to the API as a token."""
    data = {"token_field": "", "token_type": "", "missing_lifetime": 60}

    with pytest.raises(errors.InvalidTokenResponse, match="a token by itself"):
        read(data, body, content_type=kind)


@pytest.mark.parametrize(
    ("required", "given", "token_type"),
    [
        ("Bearer", "BEARER", "BEARER"),
        ("N_A", "n_a", "n_a"),
        ("N_A", "Bearer", None),
        ("", "N_A", "N_A"),
        ("", ..., "Bearer"),
        ("", None, "Bearer"),
        ("", "two words", "Bearer"),
        ("", 7, "Bearer"),
        ("Bearer", ..., None),
    ],
)
def test_token_type_must_be_the_one_that_the_platform_declares(
    read: Callable[..., keyturn.Token], required: str, given: object, token_type: str | None
) -> None:
    """A token of another type, such as DPoP, would be sent as a bearer token."""
    body = {**USUAL, "token_type": given}
    if given is ...:
        del body["token_type"]
    if token_type:
        assert read({"token_type": required}, body).token_type == token_type
    else:
        with pytest.raises(errors.InvalidTokenResponse, match=f"is not {required}"):
            read({"token_type": required}, body)


def test_token_is_read_at_the_platforms_status(read: Callable[..., keyturn.Token]) -> None:
    """A platform that sends a token with status 201 would give no token."""
    assert read({"token_status": 201}, USUAL, status=201).access_token == "t0ken"
    with pytest.raises(errors.InvalidTokenResponse, match="HTTP 200"):
        read({"token_status": 201}, USUAL)


@pytest.mark.parametrize(
    ("separator", "given", "granted"),
    [
        (" ", "a b", "a b"),
        (",", "a,b", "a b"),
        (",", "a, b", "a  b"),
        (";", "", None),
        (",", "a,,b", "a  b"),
    ],
)
def test_scope_is_read_in_the_platforms_format(
    read: Callable[..., keyturn.Token], separator: str, given: str, granted: str | None
) -> None:
    """Each response would seem to grant a narrower scope than requested."""
    assert read({"scope_separator": separator}, USUAL | {"scope": given}).scope == granted


TOKENS_IN_EXTRA: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "others of OAuth": ("a", {"a": "t0ken", "refresh_token": "r", "id_token": "i", "x": 1},
                        {"x": 1}),
    "others in camel case": ("a", {"a": "t0ken", "refreshToken": "r", "ID_TOKEN": "i", "x": 1},
        {"x": 1}),
    "nested": ("a.b", {"a": {"b": "t0ken", "c": 1, "refresh_token": "r"}}, {"a": {"c": 1}}),
    "in another place": (
        "a", {"a": "t0ken", "s": {"access_token": "x", "l": [{"id_token": "i", "y": 2}]}},
        {"s": {"l": [{"y": 2}]}},
    ),
    "twice": ("a", {"a": "t0ken", "b": "t0ken", "c": ["t0ken", 3], "d": {"e": "t0ken"}},
              {"c": [3], "d": {}}),
    "in a list": ("a.1.b", {"a": [{"b": "other"}, {"b": "t0ken"}], "c": 1}, {"a": [], "c": 1}),
    "known": ("a", {"a": "t0ken", "token_type": "x", "expires_in": 5, "scope": "s"}, {}),
}  # fmt: skip


@pytest.mark.parametrize(("field", "body", "extra"), TOKENS_IN_EXTRA.values(), ids=TOKENS_IN_EXTRA)
def test_extra_contains_no_token(
    read: Callable[..., keyturn.Token], field: str, body: dict[str, Any], extra: dict[str, Any]
) -> None:
    """A program that prints or logs `extra` would show a token."""
    data = {"token_field": field, "token_type": "", "missing_lifetime": 60}

    assert dict(read(data, body).extra) == extra


def test_nesting_of_extra_is_bounded(read: Callable[..., keyturn.Token]) -> None:
    """A deeply nested response would exhaust the stack of a program that stores it."""
    deep: Any = "bottom"
    for _ in range(100):
        deep = {"a": [deep]}
    extra = json.dumps(dict(read({}, USUAL | {"deep": deep}).extra))

    assert 10 < extra.count("{") < 40
    assert "bottom" not in extra


# --- Errors ---


@for_each("value", [None, "", 0, 0.0, "0", False, [], {}, ...])
@pytest.mark.parametrize("field", ["error", "status.code", "errors.0.code"])
def test_code_for_no_error_is_not_an_error(
    read: Callable[..., keyturn.Token], field: str, value: object
) -> None:
    """A platform that always sends a code would never give a token."""
    first, *rest = field.split(".")
    content: Any = value
    for name in reversed(rest):
        content = [content] if name == "0" else {name: content}
    body = USUAL | ({} if value is ... else {first: content})

    assert read({"error_field": field}, body).access_token == "t0ken"


@pytest.mark.parametrize("code", [200, "200", "SUCCESS"])
def test_code_that_means_success_is_no_error(
    read: Callable[..., keyturn.Token], code: object
) -> None:
    """Each token of a platform that sends a success code would be read as an error."""
    data = {"error_field": "code", "success_codes": ("200", "SUCCESS")}

    assert read(data, USUAL | {"code": code}).access_token == "t0ken"


ERROR_FIELDS: dict[str, tuple[dict[str, Any], object, type[Exception], str]] = {
    "usual": ({}, {"error": "invalid_client", "error_description": "unknown app"},
              errors.InvalidClient, "invalid_client: unknown app"),
    "nested": ({"error_field": "e.code", "error_description_field": "e.text"},
               {"e": {"code": "invalid_scope", "text": "no such"}},
               errors.InvalidScope, "invalid_scope: no such"),
    "number": ({"error_field": "code", "error_codes": {"401": "invalid_client"}},
               {"code": 401}, errors.InvalidClient, "invalid_client"),
    "number in a list": ({"error_field": "errors.0.code", "error_codes": {"7": "invalid_scope"}},
                         {"errors": [{"code": 7}]}, errors.InvalidScope, "invalid_scope"),
    "unknown number": ({"error_field": "code", "error_description_field": "text"},
                       {"code": 40013, "text": "bad app"}, errors.InvalidTokenResponse,
                       "40013 bad app"),
    "words for a code": ({}, {"error": "No such app!"}, errors.InvalidTokenResponse,
                         "No such app!"),
    "true": ({}, {"error": True, "error_description": "sorry"}, errors.InvalidTokenResponse,
             "True sorry"),
    "an object": ({}, {"error": {"code": 1}, "error_description": "sorry"},
                  errors.InvalidTokenResponse, "HTTP 200: sorry"),
    "a list": ({}, {"error": [1]}, errors.InvalidTokenResponse, "HTTP 200"),
    "a fraction": ({}, {"error": 1.5}, errors.InvalidTokenResponse, "HTTP 200"),
    "an odd description": ({}, {"error": "invalid_client", "error_description": ["x"]},
                           errors.InvalidClient, "invalid_client"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "body", "kind", "words"), ERROR_FIELDS.values(), ids=ERROR_FIELDS)
def test_error_with_status_200_is_an_error(
    read: Callable[..., keyturn.Token],
    data: dict[str, Any],
    body: dict[str, Any],
    kind: type[Exception],
    words: str,
) -> None:
    """An error that a platform sends with status 200 would be read as a token."""
    with pytest.raises(kind) as caught:
        read(data, USUAL | body)

    assert type(caught.value) is kind
    assert words in str(caught.value)


CODES = {
    "invalid_client": errors.InvalidClient,
    "invalid_scope": errors.InvalidScope,
    "unauthorized_client": errors.TokenRequestRefused,
    "invalid_grant": errors.TokenRequestRefused,
    "invalid_request": errors.TokenRequestRefused,
    "unsupported_grant_type": errors.TokenRequestRefused,
    "server_error": errors.EndpointUnavailable,
    "temporarily_unavailable": errors.EndpointUnavailable,
}


@pytest.mark.parametrize("status", [200, 400, 403])
@pytest.mark.parametrize(("code", "kind"), CODES.items())
def test_platforms_code_is_translated(
    read: Callable[..., keyturn.Token], code: str, kind: type[errors.KeyturnError], status: int
) -> None:
    """The error would not say what to correct, and a transient failure would not be retried."""
    data = {"error_field": "code", "error_codes": {"E-17": code}}

    with pytest.raises(errors.KeyturnError) as caught:
        read(data, {"code": "E-17"}, status=status)

    assert type(caught.value) is kind
    assert code in str(caught.value)


def test_secret_in_an_error_is_hidden(read: Callable[..., keyturn.Token]) -> None:
    """An error message that quotes the request would show the secret."""
    data = {"error_field": "code", "error_description_field": "text"}

    with pytest.raises(errors.KeyturnError) as caught:
        read(data, {"code": "no s3cret-for-tests", "text": "got s3cret-for-tests"}, status=400)

    assert "s3cret" not in str(caught.value)
    assert "[hidden]" in str(caught.value)


# --- The API ---


API_ADDRESSES = {
    "own host": ("https://login.acme.example/v2/", (), "https://login.acme.example/v2"),
    "own host, other port": ("https://login.acme.example:8443", (), None),
    "own host, http": ("http://login.acme.example", (), None),
    "other host": ("https://api.acme.example", (), None),
    "below": ("https://eu.api.acme.example/x", ("acme.example",), "https://eu.api.acme.example/x"),
    "the domain itself": ("https://acme.example", ("b.example", "acme.example"),
                          "https://acme.example"),
    "look-alike": ("https://evilacme.example", ("acme.example",), None),
    "own host, not below": ("https://login.acme.example", ("other.example",), None),
    "user": ("https://acme.example@evil.example", ("acme.example",), None),
    "user of the right host": ("https://evil@acme.example", ("acme.example",), None),
    "http": ("http://acme.example", ("acme.example",), None),
    "query": ("https://acme.example?x", ("acme.example",), None),
    "dots": ("https://acme.example/../x", ("acme.example",), None),
    "empty": ("", ("acme.example",), None),
    "number": (7, ("acme.example",), None),
    "missing": (None, ("acme.example",), None),
}  # fmt: skip


@pytest.mark.parametrize(
    ("address", "domains", "api_url"), API_ADDRESSES.values(), ids=API_ADDRESSES
)
def test_api_url_of_a_response_is_used_only_within_its_domains(
    world: World, platform: Platform, address: object, domains: tuple[str, ...], api_url: str | None
) -> None:
    """A token would be sent to any host that a response names."""
    world.endpoint.responses.append(world.endpoint.token("t0ken", urls={"api": address}))
    connection = platform({"api_url_field": "urls.api", "api_domains": list(domains)})
    if api_url:
        assert connection.api_url == api_url
        return
    with pytest.raises(errors.ConfigurationError, match="names no address of the API below") as bad:
        _ = connection.api_url
    assert "Set api_url" in str(bad.value)
    assert len(world.endpoint.requests) == 1


def test_api_url_of_the_user_overrides_that_of_the_response(
    world: World, platform: Platform
) -> None:
    """A gateway before the API could not be used."""
    world.endpoint.responses.append(world.endpoint.token("t0ken", api="https://evil.example"))
    connection = platform({"api_url_field": "api"}, api_url="https://gateway.example")

    assert connection.api_url == "https://gateway.example"
    assert world.endpoint.requests == []


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        ({}, {"Authorization": "Bearer token-1"}),
        ({"authorization_scheme": ""}, {"Authorization": "token-1"}),
        ({"authorization_scheme": "Zoho-oauthtoken"}, {"Authorization": "Zoho-oauthtoken token-1"}),
        ({"authorization_header": "X-Token", "authorization_scheme": ""}, {"X-Token": "token-1"}),
        (
            {"api_headers": {"X-Tenant": "{tenant}", "X-User": "{user}", "X-Key": "{key}"}},
            {"Authorization": "Bearer token-1", "X-Tenant": "t", "X-Key": "k"},
        ),
    ],
)
def test_api_request_has_the_declared_headers(
    platform: Platform, data: dict[str, Any], headers: dict[str, str]
) -> None:
    """The API would not find the token, or another header that it needs."""
    settings = {
        "tenant": {"title": "Tenant", "default": "t"},
        "user": {"title": "User", "optional": True},
        "key": {"kind": "secret", "title": "Key", "default": "k"},
    }
    used = {name: each for name, each in settings.items() if f"{{{name}}}" in str(data)}
    connection = platform(data | {"settings": used})

    assert connection.headers() == headers
    assert "X-Key: k" not in connection.explain()


# --- Arbitrary responses ---


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "0", "", "access_token", "scope"]), inner)
    ),
    max_leaves=12,
)
PATHS = st.sampled_from(["a", "a.b", "a.0", "b.0.a", "access_token", "0", "a.a.a"])
MAPPINGS = st.builds(
    lambda **data: type("Mapping", (TokenResponseMapping,), data)(),
    token_field=PATHS | st.just(""),
    token_type=st.sampled_from(["", "Bearer"]),
    lifetime_field=PATHS,
    lifetime_format=st.sampled_from(get_args(LifetimeFormat)),
    error_field=PATHS,
    error_description_field=PATHS,
    error_codes=st.dictionaries(st.text(max_size=3), st.just("invalid_client"), max_size=2),
    scope_separator=st.sampled_from([" ", ",", ";", ", "]),
)
BODIES = JSON_VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60)


@given(MAPPINGS, BODIES, st.sampled_from(["application/json", "text/plain", "text/html", ""]))
def test_any_response_gives_a_token_or_a_keyturn_error(
    mapping: TokenResponseMapping, body: bytes, kind: str
) -> None:
    """An unforeseen response would break the program with a raw Python error."""
    response = keyturn.plugins.Response(200, {"content-type": kind, "date": DATE}, body, NOW)
    error = read_error(response, mapping)
    assert error is None or isinstance(error.code, str)
    try:
        token = read_token(response, mapping, requested_scope="a")
    except errors.InvalidTokenResponse:
        return
    assert token.access_token.isprintable()
    assert 0 < token.lifetime <= YEAR
    assert token.access_token not in [value for value in token.extra.values() if value != ""]


@pytest.mark.parametrize("declared", [[200, 201], [201], 201])
def test_token_is_read_at_each_declared_status(
    read: Callable[..., keyturn.Token], declared: object
) -> None:
    """A platform that creates a session with 201 and returns an open one with 200 would fail."""
    wanted = [declared] if isinstance(declared, int) else declared
    for status in (200, 201, 202):
        if status in wanted:  # type: ignore[operator]
            assert read({"token_status": declared}, USUAL, status=status).access_token == "t0ken"
        else:
            with pytest.raises(errors.InvalidTokenResponse, match=f"HTTP {status}"):
                read({"token_status": declared}, USUAL, status=status)


@pytest.mark.parametrize("declared", [[], [200, 404], [100], ["200"], [True], 200.5, "200"])
def test_wrong_statuses_are_reported(platform: Platform, declared: object) -> None:
    """No token would be read, or an error page would be read as a token."""
    with pytest.raises(errors.ConfigurationError, match=r"token_status: must be (from 200|an int)"):
        platform({"token_status": declared})


def test_statuses_may_be_a_frozenset(world: World) -> None:
    """A provider class could declare only one status."""
    for declared in (201, frozenset({200, 201})):
        assert problems(world.changed(token_status=declared)) == []
    assert (
        str(problems(world.changed(token_status=[200]))[0]) == "token_status: must be a frozenset"
    )
