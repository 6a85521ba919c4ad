"""Values of a token request that are made when it is sent, such as a signed assertion."""

from __future__ import annotations

import abc
import base64
import contextlib
import functools
import hmac
import json
import traceback
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar
from urllib.parse import quote_plus

import attrs

from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn._common.names import shown
from keyturn._common.once import importing
from keyturn._common.redaction import Redaction
from keyturn._common.system_errors import advice, system_failure
from keyturn._http.keys import jwk_of, private_key_problem
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")

DEFECT = "This is a defect of the provider: report it to the provider's authors."

# The kind of key of an algorithm, by its first two letters (RFC 7518 section 3.1, RFC 8037).
_KEY_TYPES: dict[str, Literal["RSA", "EC", "OKP"]] = {
    "RS": "RSA",
    "PS": "RSA",
    "ES": "EC",
    "Ed": "OKP",
}


class DynamicValue(abc.ABC):
    """A parameter or header of a token request that is made each time the request is sent.

    A subclass implements `value` and `inputs`. Both may read files and take time: keyturn calls
    them on the thread of the request, within its timeout, and holds no lock.
    """

    @abc.abstractmethod
    def value(self, now: float) -> str:
        """Return the string to send.

        Args:
            now: The connection's time, in epoch seconds. A timestamp comes from here, never from
                `time.time()`.
        """

    @abc.abstractmethod
    def inputs(self) -> Iterable[str | Secret]:
        """Return everything that the value is made of and that stays the same.

        The fingerprint covers it: two values with equal inputs share one token.
        """

    def secrets(self) -> Iterable[Secret]:
        """Return what must not show in a message or transcript; by default the secret inputs."""
        return [each for each in self.inputs() if isinstance(each, Secret)]


Value: TypeAlias = str | Secret | DynamicValue


class RandomId(DynamicValue):
    """A random UUID (RFC 9562 section 5.4), as some platforms require for each request."""

    def value(self, now: float) -> str:
        import uuid  # few providers need it

        return str(uuid.uuid4())

    def inputs(self) -> Iterable[str | Secret]:
        return ()  # a UUID is made of nothing that stays the same


@attrs.frozen(repr=False)
class BasicCredentials(DynamicValue):
    """The `Authorization` header of HTTP Basic (RFC 7617).

    Args:
        client_id: The client's identifier.
        client_secret: Its secret.
        form_encoded: Whether both are form-encoded first, as RFC 6749 section 2.3.1 says.
    """

    client_id: str
    client_secret: Secret
    form_encoded: bool = True

    __repr__ = shown

    def value(self, now: float) -> str:
        return f"Basic {self._pair()}"

    def inputs(self) -> Iterable[str | Secret]:
        return (self.client_id, self.client_secret, str(self.form_encoded))

    def secrets(self) -> Iterable[Secret]:
        return (self.client_secret, Secret(self._pair()))

    def _pair(self) -> str:
        encode = quote_plus if self.form_encoded else str
        pair = f"{encode(self.client_id)}:{encode(self.client_secret.reveal())}"
        return base64.b64encode(pair.encode()).decode()


@attrs.frozen(kw_only=True, repr=False)
class ClientAssertion(DynamicValue):
    """A JWT that proves who the client is (RFC 7523), with a `jti` that is never used twice.

    Args:
        private_key: The client's private key, as PEM or JWK; with HS256, HS384 and HS512, its
            secret.
        key_id: Names the key to the authorization server, if it knows several.
        key_header: The JWT's header that names it (RFC 7515 section 4.1).
        headers: Further headers of the JWT.
        algorithm: The signature's algorithm (RFC 7518 section 3.1), such as `RS256`.
        claims: The claims besides the times and the `jti`, among them `iss`, `sub` and `aud`.
        lifetime: Seconds for which it is valid.
    """

    private_key: Secret
    key_id: str | None = None
    key_header: str = "kid"
    headers: Mapping[str, Value] = attrs.field(factory=dict, repr=False)
    algorithm: str = "RS256"
    claims: Mapping[str, Value] = attrs.field(factory=dict, repr=False)
    lifetime: float = 300.0

    __repr__ = shown

    def value(self, now: float) -> str:
        """Return the signed JWT, whose `iat` is now.

        Raises:
            keyturn.errors.ConfigurationError: The key can't be read, is larger than 4096 bits, or
                is of another kind than the algorithm needs.
        """
        header: dict[str, Any] = {"alg": self.algorithm, "typ": "JWT"}
        header |= {name: _claim(value, now) for name, value in self.headers.items()}
        if self.key_id is not None:
            header[self.key_header] = self.key_id
        claims = {
            "iat": int(now),
            "exp": int(now) + int(self.lifetime),
            **{name: _claim(value, now) for name, value in self.claims.items()},
            "jti": RandomId().value(now),
        }
        if self.algorithm.startswith("HS"):
            return self._with_secret(header, claims)
        what = f"private_key: can't sign with {self.algorithm}"
        hint = "Give the unencrypted private key as PEM or JWK, of the algorithm's kind."
        if problem := private_key_problem(self.private_key.reveal()):
            raise errors.ConfigurationError(f"{what}: it {problem}.", hint=hint)
        with importing:
            from joserfc import jwt

        def sign() -> str:
            key = _signing_key(self.private_key.reveal(), _KEY_TYPES[self.algorithm[:2]])
            return jwt.encode(header, claims, key, algorithms=[self.algorithm])

        return usable(sign, what, hint)

    def _with_secret(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        """Return the JWT, signed with an HMAC (RFC 7518 section 3.2), whatever the key's length."""
        parts = [json.dumps(each, separators=(",", ":")).encode() for each in (header, claims)]
        signed = ".".join(map(base64url, parts))
        key, digest = self.private_key.reveal().encode(), f"sha{self.algorithm[2:]}"
        return f"{signed}.{base64url(hmac.digest(key, signed.encode(), digest))}"

    def inputs(self) -> Iterable[str | Secret]:
        parts: list[str | Secret] = [
            self.private_key,
            self.key_header,
            self.algorithm,
            str(self.lifetime),
            "no key ID" if self.key_id is None else f"={self.key_id}",
        ]
        for name, value in sorted(self.headers.items()):
            parts += ["header", name, *fingerprint_parts(value)]
        for name, value in sorted(self.claims.items()):
            if name == "scope" and isinstance(value, str):
                parts += [name, " ".join(sorted(set(value.split())))]  # their order changes nothing
            else:
                parts += [name, *fingerprint_parts(value)]
        return parts


@functools.lru_cache(maxsize=16)  # to read an RSA key, OpenSSL tests its primes: 50 ms of CPU
def _signing_key(text: str, kind: Literal["RSA", "EC", "OKP"]) -> Any:
    from joserfc import jwk

    return jwk.JWKRegistry.import_key(jwk_of(text) or text, kind)


def base64url(content: bytes) -> str:
    """Return content in base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


class StructuredValue(DynamicValue):
    """A value that JSON has as more than a string."""

    @abc.abstractmethod
    def content(self, made: Callable[[Value], str]) -> Any:
        """Return the JSON value to send.

        Args:
            made: Returns what is sent of a string, a secret or a value in it.
        """


def _claim(value: Value, now: float) -> Any:
    if isinstance(value, StructuredValue):
        return value.content(lambda each: reveal(each, now))
    return reveal(value, now)


def reveal(value: Value, now: float | None = None) -> str:
    """Return a value as it is sent; the caller must keep it out of logs and errors.

    Args:
        value: The value.
        now: The connection's time, in epoch seconds; by default the system's.
    """
    if not isinstance(value, DynamicValue):
        return value if isinstance(value, str) else value.reveal()
    return _checked(value, lambda: value.value(SYSTEM.time() if now is None else now))


def fingerprint_parts(value: Value) -> list[str | Secret]:
    """Return what a fingerprint covers of a value: of a dynamic one, its class and its inputs."""
    if isinstance(value, DynamicValue):
        kind, inputs = type(value), _checked(value, lambda: list(value.inputs()))
        # Their number keeps them apart from what follows.
        return ["made", f"{kind.__module__}.{kind.__qualname__}", str(len(inputs)), *inputs]
    return ["given", value]


def translate_errors(who: str, work: Callable[[], T]) -> T:
    """Return what `work` returns; what it raises becomes one of keyturn's errors.

    Args:
        who: Whose code it is, such as "provider acme".
        work: Runs a plugin's code, and nothing else.

    Raises:
        keyturn.errors.KeyturnError: `work` failed.
    """
    try:
        return work()
    except errors.KeyturnError as error:
        failure = error
    except BaseException as error:  # noqa: BLE001 - a plugin may even raise SystemExit
        failure = defect(who, error)
    raise failure.with_traceback(None)


def usable(make: Callable[[], T], what: str, hint: str) -> T:
    """Return what `make` returns, from what a user has set.

    Args:
        make: Calls a library, whose messages may hold a secret.
        what: What fails when it raises an error.
        hint: What to change then.

    Raises:
        keyturn.errors.ConfigurationError: `make` failed.
    """
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - as said
        problem = getattr(error, "strerror", None) or type(error).__name__
    raise errors.ConfigurationError(f"{what} ({problem}).", hint=hint)


def defect(who: str, error: BaseException, hint: str = DEFECT) -> errors.KeyturnError:
    """Return an error for an exception of other code, whose text and frames may hold a secret."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    problem = system_failure(error)
    return errors.KeyturnError(
        f"{who} failed with {type(error).__name__} in {place.name}, line {place.lineno}"
        f"{f': {problem}' if problem else ''}.",
        hint=advice(error) if problem else hint,
    )


def _checked(value: DynamicValue, make: Callable[[], T]) -> T:
    try:
        return translate_errors(f"{type(value).__qualname__}, a value of the token request,", make)
    except errors.KeyturnError as error:
        failure = error
    secrets: Iterable[Secret] = ()
    with contextlib.suppress(Exception):  # what they are may be what failed
        secrets = list(value.secrets())
    raise Redaction(secrets).error(failure)
