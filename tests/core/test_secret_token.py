"""A secret and a token are shown only when code reads them explicitly."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import for_each

from keyturn import Secret, Token
from keyturn._tokens.entries import TokenEntry, entry_from_json, entry_to_json
from keyturn.stores._encrypted import EncryptedStore
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = "c4nary-s3cret"
SECRET = Secret(CANARY)
TOKEN = Token(CANARY, "Bearer", 2_000.0, "a b", {"created_at": 7}, 1_000.0)
KEY = "0123abcd" * 8

SHOWN: list[Callable[[object], str]] = [
    repr,
    str,
    format,
    lambda value: f"{value}",
    lambda value: f"{value!r} {value!s} {value!a}",
    lambda value: "%s %r" % (value, value),  # noqa: UP031 - as logging formats it
    lambda value: repr([value, {"x": value}, (value,)]),
    lambda value: json.dumps(value, default=repr),
    lambda value: repr(dir(value)),
]


@pytest.mark.parametrize("value", [SECRET, TOKEN], ids=["secret", "token"])
@for_each("show", SHOWN)
def test_no_string_form_of_a_secret_shows_it(value: object, show: Callable[[object], str]) -> None:
    """A log would show the secret or the token."""
    assert CANARY not in show(value)


@pytest.mark.parametrize("value", [SECRET, TOKEN], ids=["secret", "token"])
def test_secret_and_token_have_no_vars(value: object) -> None:
    """A debugger or an error reporter that reads all attributes would record the value."""
    with pytest.raises(TypeError):
        vars(value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [SECRET, TOKEN], ids=["secret", "token"])
def test_secret_and_token_cannot_be_pickled(value: object, protocol: int) -> None:
    """The value would be written to a queue, a cache or a file unencrypted."""
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps({"deep": [value]}, protocol)


WAYS: list[Callable[[object], object]] = [
    lambda value: value.__getstate__(),
    lambda value: value.__reduce__(),
    *(lambda value, number=number: value.__reduce_ex__(number) for number in range(6)),
    object.__reduce__,
    *(lambda value, number=number: object.__reduce_ex__(value, number) for number in range(6)),
]


@pytest.mark.parametrize(
    "value",
    [SECRET, TOKEN, EncryptedStore(MemoryStore(), EncryptedStore.generate_key())],
    ids=["secret", "token", "encrypted store"],
)
@for_each("way", WAYS)
def test_no_serializer_reveals_the_value(value: object, way: Callable[[object], object]) -> None:
    """Other serializers, such as jsonpickle, would read the value from the object's state."""
    with pytest.raises(TypeError, match="can't be pickled"):
        way(value)


def test_each_field_of_a_token_hides_what_may_be_secret() -> None:
    """Tracebacks of rich and structlog, which show each field's repr, would show the token."""
    shown = {field.name for field in attrs.fields(Token) if field.repr}

    assert shown == {"token_type", "expires_at", "scope", "issued_at"}


@pytest.mark.parametrize("value", [SECRET, TOKEN], ids=["secret", "token"])
def test_copy_is_the_same_object(value: object) -> None:
    """Copying settings would fail, or make copies of the secret in memory."""
    assert copy.copy(value) is value
    assert copy.deepcopy({"x": value})["x"] is value


def test_secret_is_immutable() -> None:
    """One connection could change another one's secret."""
    with pytest.raises(AttributeError, match="immutable"):
        SECRET.value = "x"
    with pytest.raises(AttributeError, match="immutable"):
        SECRET._Secret__value = "x"  # noqa: SLF001 - an attack
    with pytest.raises(AttributeError, match="immutable"):
        del SECRET._Secret__value  # type: ignore[attr-defined]  # noqa: SLF001 - an attack
    assert SECRET.reveal() == CANARY


def test_secret_compares_by_value_and_is_false_if_empty() -> None:
    """Settings could not be compared, or an empty secret would count as given."""
    assert Secret(CANARY) == SECRET
    assert Secret("other\u00e9") != SECRET
    assert SECRET != CANARY
    assert SECRET
    assert not Secret("")


def test_secret_has_no_hash() -> None:
    """A weak secret could be tested against its hash."""
    with pytest.raises(TypeError):
        hash(SECRET)


def test_token_is_frozen_and_compares_by_value() -> None:
    """A caller could change a token that others use."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        TOKEN.expires_at = 1.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        TOKEN.extra["x"] = 1  # type: ignore[index]
    assert {TOKEN: 1}[attrs.evolve(TOKEN, issued_at=5.0)] == 1
    assert TOKEN.lifetime == 1000
    assert repr(TOKEN) == (
        "Token(access_token=********, token_type='Bearer', expires_at=2000.0, scope='a b', "
        "extra=['created_at'])"
    )


def written(token: Token, key: str = KEY) -> str:
    """Return the store's entry of a token."""
    return entry_to_json(TokenEntry(token, "clock", 7.0), key)


ISSUED = st.floats(0, 1e10)
TOKENS = st.builds(
    lambda issued_at, lifetime, **fields: Token(
        expires_at=issued_at + lifetime, issued_at=issued_at, **fields
    ),
    access_token=st.from_regex(r"[\x21-\x7e]{1,50}", fullmatch=True),
    token_type=st.sampled_from(["Bearer", "bearer"]),
    issued_at=ISSUED,
    lifetime=st.floats(0, 31_000_000),
    scope=st.none() | st.text(),
    extra=st.dictionaries(st.text(), st.none() | st.integers() | st.text()),
)


@given(TOKENS)
def test_token_is_unchanged_when_read_from_its_entry(token: Token) -> None:
    """Two processes would read two different tokens from one entry."""
    found = entry_from_json(written(token), KEY)

    assert found == TokenEntry(token, "clock", 7.0)
    assert found is not None
    assert (found.token.extra, found.token.issued_at) == (token.extra, token.issued_at)


@given(TOKENS, st.text(min_size=1))
def test_entry_of_another_key_gives_no_token(token: Token, other: str) -> None:
    """A swapped entry would give one account the token of another."""
    assert entry_from_json(written(token), KEY + other) is None


def entry(**changes: object) -> str:
    """Return a valid entry with some members changed; `...` leaves one out."""
    fields = json.loads(written(TOKEN)) | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...})


GARBAGE = [
    "",
    "null",
    "[]",
    "7",
    '"text"',
    "{}",
    "not json",
    "[" * 100_000,
    entry()[:-1],
    entry(v=...),
    entry(fingerprint=...),
    entry(fingerprint=None),
    entry(fingerprint=[KEY]),
    entry(access_token=...),
    entry(access_token=""),
    entry(access_token=None),
    entry(access_token="a "),
    entry(access_token="a\r\nX: y"),
    entry(access_token=7),
    entry(access_token="a" * 300_000),
    entry(token_type=""),
    entry(token_type=None),
    entry(token_type="a" * 300),
    entry(expires_at="soon"),
    entry(expires_at=None),
    entry(expires_at=float("nan")),
    entry(expires_at=float("inf")),
    entry(expires_at=-1),
    entry(expires_at=10**400),
    entry(expires_at=1e300),
    entry(expires_at=TOKEN.issued_at + 31_536_001),
    entry(expires_at=TOKEN.issued_at - 1),
    entry(issued_at=[]),
    entry(issued_at=-1e9),
    entry(issued=10**400),
    entry(issued="x"),
    entry(clock=7),
    entry(scope=["a"]),
    entry(extra=None),
    entry(extra=7),
    entry(extra="text"),
    entry(more=1),
]


@for_each("text", GARBAGE)
def test_invalid_entry_gives_no_token_and_is_logged(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged or forged entry would crash the caller, be used, or not be logged."""
    caplog.clear()
    assert entry_from_json(text, KEY) is None
    assert caplog.messages == [
        f"the store's entry at {KEY} is not a valid token for that key; ignoring it"
    ]


def test_valid_entry_gives_its_token() -> None:
    """The test of invalid entries would pass even if no entry could be read."""
    found = entry_from_json(entry(), KEY)

    assert found is not None
    assert found.token == TOKEN


@pytest.mark.parametrize("version", [0, 2, "2", None])
def test_entry_of_another_version_is_a_miss(version: object) -> None:
    """Two versions of keyturn could not share a Redis during a rollout."""
    assert entry_from_json(entry(v=version, fingerprint=...), KEY) is None


@given(st.text())
def test_any_string_as_an_entry_gives_no_token(text: str) -> None:
    """A damaged store would crash the caller."""
    assert entry_from_json(text, KEY) is None
