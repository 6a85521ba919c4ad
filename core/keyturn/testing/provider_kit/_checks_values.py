"""Checks of values in the token request: sent unchanged, and made only from their inputs."""

from __future__ import annotations

import base64
import copy
import html
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, quote_plus

import attrs

from keyturn import errors
from keyturn._http.credentials import ClientAssertion
from keyturn._http.request import encode
from keyturn._http.values import DynamicValue, fingerprint_parts
from keyturn._providers.kinds import fields_of, kind_of
from keyturn._providers.settings import Settings, read
from keyturn._secret import Secret
from keyturn.testing.provider_kit._computed import made, no_randomness
from keyturn.testing.provider_kit._elsewhere import elsewhere
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._made_up import secret_settings
from keyturn.testing.provider_kit._variants import varied
from keyturn.testing.provider_kit._watch import stopped, tomorrow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyturn._http.request import TokenRequest
    from keyturn.testing.provider_kit._subject import Subject

_NOW = 1_900_000_000.0
_SECRET = "Made+Up/S3cret%2B%20=&\\" + "xY7" * 90
_OTHER = "another-s3cret"
# Each differs from the one above by something that a careless method removes.
_NEAR = (
    _SECRET.swapcase(),
    f"{_SECRET}=",
    f"{_SECRET}/",
    f"{_SECRET}+",
    f"0{_SECRET}",
    f"{_SECRET[:-1]}Z",
    _SECRET.replace("\\", ""),
    _SECRET.replace("%2B", "+"),
    _SECRET.replace("%20", " "),
    _SECRET.replace("+", " "),
    f"{_SECRET} ",
    f" {_SECRET}",
)
# With characters beyond ASCII, where they are accepted.
_WIDE = f"{_SECRET}\ufb01\u00e9"
_NEAR_WIDE = (
    _SECRET,
    f"{_SECRET}?\u00e9",
    f"{_SECRET}fi\u00e9",
    f"{_SECRET}\ufb01e\u0301",
    f"{_SECRET}??",
)


def exact_credentials(subject: Subject) -> None:
    """Credentials are sent unchanged: no character is lost, changed or encoded twice."""
    cls = subject.provider.settings
    for name in ("client_id", *secret_settings(cls)):
        if name not in subject.values:
            continue
        usual, other = (_sent(subject, name, value) for value in (_SECRET, _OTHER))
        if usual is None or usual == other:
            continue  # it is not in the request, or must have its own format
        pairs = [(value, usual) for value in _NEAR]
        wide = _sent(subject, name, _WIDE)
        pairs += [(value, wide) for value in _NEAR_WIDE if wide is not None]
        for value, sent in pairs:
            if _sent(subject, name, value) == sent:
                raise CheckFailed(
                    f"token_request sends the same for two values of {name} that differ in a few "
                    "characters.",
                    f"let token_request send settings.{name} as it is: not stripped, cut, "
                    "folded or decoded.",
                )
        values = list(_decoded(usual))
        twice = {quote(_SECRET, safe=""), quote_plus(_SECRET), quote(_SECRET), html.escape(_SECRET)}
        if not any(_SECRET in each for each in values) and any(
            form in each for form in twice for each in values
        ):
            raise CheckFailed(
                f"token_request sends {name} encoded twice.",
                f"let token_request give settings.{name} itself as the parameter: keyturn "
                "encodes it.",
            )


def dynamic_values(subject: Subject) -> None:
    """A `DynamicValue` declares all its inputs, and depends only on them and on `now`."""
    usual = dict(own_values(subject.request()))
    for key, value in usual.items():
        _judge_value(key, value)
    fields = fields_of(subject.provider.settings)
    for name, other in varied(subject).items():
        try:
            changed = dict(own_values(subject.request(**{name: other})))
        except errors.ConfigurationError:
            continue
        for key in usual.keys() & changed.keys():
            one, two = usual[key], changed[key]
            try:
                is_other = _is_made_of(name, one, two) if _varies(one) else made(one) != made(two)
            except errors.ConfigurationError:
                continue  # such as for a file that there is not
            if not is_other:
                continue
            kind = type(one).__name__
            if fingerprint_parts(one) == fingerprint_parts(two):
                raise CheckFailed(
                    f"the setting {name} changes what {kind}.value makes, but not {kind}.inputs: "
                    "two connections that differ in it share a token.",
                    f"let {kind}.inputs return settings.{name} too, where token_request makes it.",
                )
            if kind_of(fields[name].type)[0] is Secret and not list(one.secrets()):
                raise CheckFailed(
                    f"{kind}.value uses the secret {name}, but {kind}.secrets returns none.",
                    f"let {kind}.inputs return {name} as a Secret, and leave secrets as it is.",
                )
    found = elsewhere(subject) if usual else None
    if found and set(found.made) & set(found.made_here):
        raise CheckFailed(
            f"{', '.join(type(each).__name__ for each in usual.values())}.value is a counter: "
            "another process returns the same values.",
            "let value use uuid, secrets or keyturn's {uuid} for a value unique to a request.",
        )


def own_values(request: TokenRequest) -> Iterator[tuple[str, DynamicValue]]:
    """Yield a request's dynamic values of classes that are not keyturn's, with their place."""
    for kind, pairs in (("parameter", request.parameters), ("header", request.extra_headers)):
        for name, value in pairs:
            if isinstance(value, DynamicValue) and not type(value).__module__.startswith(
                "keyturn."
            ):
                yield f"{kind} {name}", value


def _judge_value(key: str, value: DynamicValue) -> None:
    kind = type(value).__name__
    if list(value.inputs()) != list(value.inputs()):
        raise CheckFailed(
            f"{kind}.inputs of the {key} returns something else each time.",
            f"let {kind}.inputs return only constant values.",
        )
    first: Any = made(value)
    if not isinstance(first, str):
        raise CheckFailed(
            f"{kind}.value of the {key} returns {type(first).__name__}.",
            f"let {kind}.value return a string.",
        )
    if made(value) != first:  # it has its own random numbers, or reads a clock
        with stopped(type(value)):
            reads_clock = made(value) == made(value)
    else:
        with tomorrow():
            reads_clock = made(value) != first
    if reads_clock:
        raise CheckFailed(
            f"{kind}.value of the {key} reads the clock.",
            f"let {kind}.value use its argument now.",
        )


def _varies(value: DynamicValue) -> bool:
    return made(value) != made(value)


def _is_made_of(name: str, one: DynamicValue, other: DynamicValue) -> bool:
    """Return whether a setting is in a value that differs each time.

    Args:
        name: The setting.
        one: The value.
        other: That for another value of the setting.
    """
    theirs = vars(other)
    for key, held in vars(one).items():
        if isinstance(held, Settings):
            if name in _read_by(one, key, held):
                return True
        elif key in theirs and held != theirs[key]:
            return True
    return False


def _read_by(value: DynamicValue, key: str, settings: Settings) -> set[str]:
    """Return the settings that a value reads from the settings object in it."""
    seen: set[str] = set()

    class Traced(type(settings)):  # type: ignore[misc]  # a class of the provider's
        def __getattribute__(self, name: str) -> Any:
            seen.add(name)
            return super().__getattribute__(name)

    traced = object.__new__(Traced)
    traced.__dict__.update(vars(settings))
    changed = copy.copy(value)
    object.__setattr__(changed, key, traced)
    seen.clear()
    made(changed)
    return seen


def _sent(subject: Subject, name: str, value: str) -> tuple[str, dict[str, str], bytes] | None:
    """Return the sent string for a value of a setting; None if it is rejected."""
    settings, _ = read(subject.provider.settings, {**subject.values, name: value})
    if settings is None:
        return None
    try:
        request = subject.prepared(settings)[1]
        # A signature is slow to make, and hides its inputs.
        parameters = [
            each for each in request.parameters if not isinstance(each[1], ClientAssertion)
        ]
        request = attrs.evolve(request, parameters=tuple(parameters))
        with no_randomness():
            return encode(request, _NOW)
    except errors.KeyturnError as error:
        if value in str(error):
            raise CheckFailed(
                f"token_request raises an error that quotes the secret {name}.",
                "let token_request name the setting, and never its value.",
            ) from None
        return None


def _decoded(sent: tuple[str, dict[str, str], bytes]) -> Iterator[str]:
    """Yield the values that a server reads."""
    url, headers, body = sent
    text = body.decode("utf-8", "replace")
    for query in (url.partition("?")[2], text):
        yield from (value for _, value in parse_qsl(query))
    try:
        content = json.loads(text)
        yield from map(str, content.values())
    except (ValueError, AttributeError):
        pass
    for name, value in headers.items():
        yield value
        if name.lower() == "authorization" and value.startswith("Basic "):
            pair = base64.b64decode(value[6:] + "==").decode("utf-8", "replace")
            # RFC 6749 section 2.3.1 has each of both form-encoded.
            yield pair
            yield from (each for _, each in parse_qsl(f"a={pair.replace(':', '&b=')}"))
