"""The token request: its fingerprint is the only key, and its repr shows no secret."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qsl

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from joserfc import jwk, jwt

from keyturn import Secret
from keyturn._http.credentials import BasicCredentials, ClientAssertion, ClientCertificate
from keyturn._http.request import encode
from keyturn._http.values import DynamicValue, RandomId
from keyturn.errors import ConfigurationError, KeyturnError
from keyturn.plugins import TokenRequest

KEY = b"k" * 32
SECRET = "s3cret-for-tests"
PAIR = "Y2lkOnMzY3JldC1mb3ItdGVzdHM="
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
COMPUTED = (
    st.just(RandomId())
    | st.builds(BasicCredentials, NAMES, NAMES.map(Secret), st.booleans())
    | st.builds(
        ClientAssertion,
        private_key=NAMES.map(Secret),
        key_id=st.none() | NAMES,
        algorithm=st.sampled_from(["RS256", "ES256"]),
        claims=st.dictionaries(NAMES, NAMES, max_size=2),
        lifetime=st.sampled_from([60.0, 300.0]),
    )
)
VALUES = NAMES | NAMES.map(Secret) | COMPUTED
PAIRS = st.dictionaries(NAMES, VALUES, max_size=3).map(lambda pairs: tuple(pairs.items()))
REQUESTS = st.builds(
    TokenRequest,
    provider=NAMES,
    url=NAMES,
    parameters=PAIRS,
    scope=st.lists(NAMES, max_size=3).map(tuple),
    scope_separator=st.sampled_from([" ", ","]),
    method=st.sampled_from(["POST", "GET"]),
    body_format=st.sampled_from(["form", "json", "query"]),
    scope_name=st.sampled_from(["scope", ""]),
    certificate=st.none()
    | st.builds(ClientCertificate, NAMES, st.none() | NAMES, st.none() | NAMES.map(Secret)),
    extra_headers=PAIRS,
    partition=NAMES,
    response_mapping=NAMES,
)


def shown(value: object) -> object:
    """Return a field's value without the differences that don't matter, such as order."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, DynamicValue):
        return [type(value).__qualname__, *map(shown, value.inputs())]
    if isinstance(value, ClientCertificate):
        return [shown(each) for each in attrs.astuple(value, recurse=False)]
    return [shown(each) for each in value] if isinstance(value, tuple) else value


def meaning(request: TokenRequest) -> object:
    """Return everything that must distinguish two requests."""
    return {
        **{name: shown(getattr(request, name)) for name in FIELDS},
        "scope": sorted(set(request.scope)),
        "parameters": sorted(map(str, map(shown, request.parameters))),
        "extra_headers": sorted(
            str([name.lower(), shown(value)]) for name, value in request.extra_headers
        ),
    }


FIELDS = [
    field.name for field in attrs.fields(TokenRequest) if field.init and field.name != "fingerprint"
]


@given(REQUESTS, REQUESTS, st.sampled_from(FIELDS))
def test_any_differing_field_gives_another_fingerprint(
    one: TokenRequest, other: TokenRequest, field: str
) -> None:
    """Two accounts would share a token."""
    changed = attrs.evolve(one, **{field: getattr(other, field)})

    same = one.with_fingerprint(KEY).fingerprint == changed.with_fingerprint(KEY).fingerprint
    assert same == (meaning(one) == meaning(changed))


@given(REQUESTS, st.randoms())
def test_order_makes_no_difference(request_: TokenRequest, random: Any) -> None:
    """One account would have several tokens, and cause too many token requests."""
    shuffled: dict[str, Any] = {}
    for name in ("scope", "parameters", "extra_headers"):
        order = list(getattr(request_, name))
        random.shuffle(order)
        shuffled[name] = tuple(order)
    other = attrs.evolve(request_, **shuffled)

    assert request_.with_fingerprint(KEY).fingerprint == other.with_fingerprint(KEY).fingerprint


@given(st.lists(NAMES, min_size=1, max_size=4), st.lists(NAMES, min_size=1, max_size=4))
def test_delimiters_cannot_collide(one: list[str], other: list[str]) -> None:
    """A crafted tenant's name could be read as a part of the next field."""
    assume(sorted(set(one)) != sorted(set(other)))
    prints = [
        TokenRequest("p", "u", scope=tuple(scope)).with_fingerprint(KEY).fingerprint
        for scope in (one, other)
    ]
    assert prints[0] != prints[1]


def basic(client_id: str, secret: str, *, form_encoded: bool = True) -> dict[str, Any]:
    """Return a request's headers with HTTP Basic."""
    credentials = BasicCredentials(client_id, Secret(secret), form_encoded=form_encoded)
    return {"extra_headers": (("Authorization", credentials),)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"provider": "ab", "url": "c"}, {"provider": "a", "url": "bc"}),
        ({"parameters": (("a", "b&c=d"),)}, {"parameters": (("a", "b"), ("c", "d"))}),
        ({"scope": ("a b",)}, {"scope": ("a", "b")}),
        ({"parameters": (("a", '"],["b","'),)}, {"parameters": (("a", ""), ("b", ""))}),
        (basic("a", "b:c"), basic("a:b", "c")),
        (basic("a", "b"), basic("a", "b", form_encoded=False)),
        ({"parameters": (("a", RandomId()),)}, {"parameters": (("a", "RandomId"),)}),
        ({"partition": "x"}, {"method": "x"}),
        ({"partition": "x"}, {"partition": "y"}),
        ({"response_mapping": "x"}, {"response_mapping": "y"}),
        ({"partition": "x"}, {"response_mapping": "x"}),
        ({"certificate": ClientCertificate("x")}, {"certificate": ClientCertificate("y")}),
        ({"provider": "ab", "partition": ""}, {"provider": "a", "partition": "b"}),
        ({"parameters": (("ab", "c"),)}, {"parameters": (("a", "bc"),)}),
        ({"parameters": (("a", "1"),)}, {"extra_headers": (("a", "1"),)}),
    ],
)
def test_values_with_equal_concatenations_have_different_fingerprints(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    """A crafted value would give another account's key."""
    base = {"provider": "p", "url": "u"}
    prints = {
        TokenRequest(**(base | fields)).with_fingerprint(KEY).fingerprint for fields in (one, other)
    }
    assert len(prints) == 2


def test_fingerprint_depends_on_its_key() -> None:
    """A reader of a store's keys could test guessed secrets against them."""
    request = TokenRequest("p", "u", parameters=(("client_secret", Secret("123456")),))
    one, other = request.with_fingerprint(KEY), request.with_fingerprint(b"other" * 4)

    assert one.fingerprint != other.fingerprint
    assert len(one.fingerprint) == 64
    assert set(one.fingerprint) <= set("0123456789abcdef")


REQUEST = TokenRequest(
    "acme",
    "https://acme.example/token",
    parameters=(("client_id", "cid"), ("client_secret", Secret(SECRET))),
    scope=("a", "b"),
    extra_headers=(
        ("X-Tenant", "7"),
        ("X-Key", Secret(SECRET)),
        ("Authorization", BasicCredentials("cid", Secret(SECRET))),
    ),
)


def test_repr_shows_no_secret() -> None:
    """A secret would get into logs and tracebacks."""
    for text in (repr(REQUEST), str(REQUEST), f"{REQUEST}", repr([REQUEST])):
        assert SECRET not in text
    assert "url='https://acme.example/token'" in repr(REQUEST)


def test_redacted_request_is_the_same_without_secrets() -> None:
    """A transcript would show a secret, or another request than the one sent."""
    redacted = REQUEST.redacted()

    assert SECRET.encode() not in redacted.body
    assert redacted.body == b"client_id=cid&client_secret=REDACTED&scope=a+b"
    assert redacted.headers == REQUEST.headers | {
        "X-Key": "REDACTED",
        "Authorization": "REDACTED",
    }
    secrets = [secret.reveal() for secret in attrs.evolve(REQUEST).secrets()]
    assert secrets == [*[SECRET] * 3, PAIR]
    assert TokenRequest("p", "u").redacted() == TokenRequest("p", "u")


def test_headers_are_a_new_dict_each_time() -> None:
    """A caller that changes the dict would change the request."""
    REQUEST.headers.clear()

    assert REQUEST.headers["X-Tenant"] == "7"
    assert REQUEST.headers["Authorization"] == f"Basic {PAIR}"


@pytest.mark.parametrize("body_format", ["form", "json"])
@given(pairs=st.dictionaries(NAMES, NAMES, max_size=4))
def test_body_encodes_any_parameters(body_format: Any, pairs: dict[str, str]) -> None:
    """A server would receive another secret if it has unusual characters."""
    assume("scope" not in pairs)
    request = TokenRequest(
        "p", "u", parameters=tuple(pairs.items()), scope=("a", "b"), body_format=body_format
    )
    expected = pairs | {"scope": "a b"}
    if body_format == "json":
        assert json.loads(request.body) == expected
    else:
        found = parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True)
        assert dict(found) == expected


def test_request_is_hashable() -> None:
    """A provider could not use a request as a dictionary key, because a secret has no hash."""
    one, other = (
        TokenRequest("p", url, (("s", Secret(SECRET)),)).with_fingerprint(KEY) for url in "ab"
    )

    assert {one: 1, other: 2}[one] == 1


def test_other_scope_separators() -> None:
    """A provider with comma-separated scopes could not be described."""
    request = TokenRequest("p", "u", scope=("a", "b"), scope_separator=",", body_format="json")

    assert request.body == b'{"scope":"a,b"}'


def test_password_of_a_certificate_is_one_of_the_secrets() -> None:
    """An error that quotes the password would show it."""
    certificate = ClientCertificate("client.pem", password=Secret(SECRET))
    request = TokenRequest("p", "u", certificate=certificate)

    assert [secret.reveal() for secret in request.secrets()] == [SECRET]


def test_fingerprint_is_the_documented_hmac() -> None:
    """Two versions of keyturn that share a store would not find each other's tokens."""
    request = TokenRequest("p", "https://a.example", (("a", "b"), ("c", Secret("d"))), ("s",))
    fields = [
        "p", "", "", "POST", "https://a.example", "form",
        [["a", "given", "b"], ["c", "given", "d"]], ["s"], [" ", "scope"], [], None,
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps(fields).encode()).digest()
    expected = hmac.new(KEY, digest, "sha256").hexdigest()

    assert request.with_fingerprint(KEY).fingerprint == expected


class Listed(DynamicValue):
    """A value with any strings as inputs."""

    def __init__(self, *parts: str) -> None:
        self.parts = parts

    def value(self, now: float) -> str:
        """Return the time."""
        return str(now)

    def inputs(self) -> tuple[str, ...]:
        """Return the strings."""
        return self.parts


def test_inputs_of_two_claims_are_separated_in_the_fingerprint() -> None:
    """Two clients with crafted claims would share a token."""
    kind = f"{Listed.__module__}.{Listed.__qualname__}"
    claims: list[dict[str, Any]] = [
        {"a": Listed("x"), "b": "y"},
        {"a": Listed("x", "b", "given", "y")},
        {"a": Listed(), "b": "y"},
        {"a": "made", "b": "y"},
        {"a": kind, "b": "y"},
    ]
    prints = {
        TokenRequest("p", "u", (("j", ClientAssertion(private_key=Secret("k"), claims=each)),))
        .with_fingerprint(KEY)
        .fingerprint
        for each in claims
    }
    assert len(prints) == len(claims)


def test_request_is_encoded_once_for_the_wire() -> None:
    """The sent request would differ from the shown one, or a value would be computed twice."""
    request = TokenRequest(
        "p", "https://a.example", (("t", Listed()),), extra_headers=(("accept", Listed()),)
    )
    url, headers, body = encode(request, 7.0)

    assert (url, body) == (request.url, b"t=7.0")
    assert headers == {
        "Accept-Encoding": "identity",
        "Content-Type": "application/x-www-form-urlencoded",
        "accept": "7.0",
    }


@pytest.mark.parametrize(
    ("parameters", "url", "query"),
    [((("a", "b c"),), "https://a.example?a=b+c", "a=b+c"), ((), "https://a.example", "")],
)
def test_query_is_part_of_the_url(parameters: Any, url: str, query: str) -> None:
    """A platform that reads parameters from the query would receive none."""
    request = TokenRequest("p", "https://a.example", parameters, body_format="query")

    assert encode(request, 0.0)[::2] == (url, b"")
    assert (request.query, request.body) == (query, b"")
    assert TokenRequest("p", "https://a.example", parameters).query == ""


@pytest.mark.parametrize("body_format", ["form", "json", "query"])
def test_lone_surrogate_is_reported_and_not_shown(body_format: Any) -> None:
    """A raw Python error would be raised that contains the secret."""
    parameters = (("client_secret", Secret(f"{SECRET}\ud800")),)
    request = TokenRequest("p", "u", parameters, body_format=body_format)
    with pytest.raises(ConfigurationError, match="contains a surrogate") as caught:
        encode(request, 0.0)

    assert caught.value.__context__ is None
    assert SECRET not in str(caught.value)


def test_times_of_an_assertion_use_the_clock_of_the_connection() -> None:
    """A connection with a shifted clock would sign times that the server refuses."""
    key = jwk.ECKey.generate_key("P-256")
    pem = Secret(key.as_pem(private=True).decode())
    assertion = ClientAssertion(private_key=pem, algorithm="ES256", lifetime=60)
    claims = jwt.decode(assertion.value(5e9), key, algorithms=["ES256"]).claims

    assert (claims["iat"], claims["exp"]) == (5_000_000_000, 5_000_000_060)


def test_each_step_of_a_chain_is_digested_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fingerprint of a chain whose steps share others would take exponential time."""
    digests = []
    original = hashlib.sha256

    def counted(content: bytes) -> object:
        digests.append(content)
        return original(content)

    monkeypatch.setattr(hashlib, "sha256", counted)
    request = TokenRequest("p", "https://a.example/first")
    for number in range(9):
        both = (("one", request), ("other", request))
        request = TokenRequest("p", f"https://a.example/{number}", steps=both)

    request.with_fingerprint(b"key")

    assert len(digests) == 10


class Failing(Listed):
    """A value whose computation fails with a message that contains a secret."""

    def value(self, now: float) -> str:
        """Fail."""
        raise RuntimeError(f"the key {self.parts[0]} is bad")


def test_failed_value_is_named_without_the_reason() -> None:
    """A defect of a provider would show a secret, or not name the failed value."""
    request = TokenRequest("p", "https://a.example/token", (("nonce", Failing("s3cret")),))

    with pytest.raises(KeyturnError, match=r"Failing, .* RuntimeError in value, line") as caught:
        encode(request, 0.0)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
