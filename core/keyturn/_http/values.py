"""Values of a token request that are computed when it is sent, such as a signed assertion."""

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

DEFECT = "This is a bug in the provider: report it to the provider's authors."

# The key type of an algorithm, by its first two letters (RFC 7518 section 3.1, RFC 8037).
_KEY_TYPES: dict[str, Literal["RSA", "EC", "OKP"]] = {
    "RS": "RSA",
    "PS": "RSA",
    "ES": "EC",
    "Ed": "OKP",
}


class DynamicValue(abc.ABC):
    """A parameter or header of a token request that is computed for each request.

    A subclass implements `value` and `inputs`. Both may read files and take time: keyturn calls
    them in the request's thread, within its timeout, and holds no lock.
    """

    @abc.abstractmethod
    def value(self, now: float) -> str:
        """Return the string to send.

        Args:
            now: The connection's time, in epoch seconds. Use it for timestamps, instead of
                `time.time()`.
        """

    @abc.abstractmethod
    def inputs(self) -> Iterable[str | Secret]:
        """Return all constant inputs of the value.

        The fingerprint covers them: two values with equal inputs share one token.
        """

    def secrets(self) -> Iterable[Secret]:
        """Return the secrets to hide in messages and transcripts; by default the secret inputs."""
        return [each for each in self.inputs() if isinstance(each, Secret)]


Value: TypeAlias = str | Secret | DynamicValue


class RandomId(DynamicValue):
    """A random UUID (RFC 9562 section 5.4), as some platforms require for each request."""

    def value(self, now: float) -> str:
        import uuid  # few providers need it

        return str(uuid.uuid4())

    def inputs(self) -> Iterable[str | Secret]:
        return ()  # a UUID has no constant input


@attrs.frozen(repr=False)
class BasicCredentials(DynamicValue):
    """The `Authorization` header of HTTP Basic (RFC 7617).

    Args:
        client_id: The client's identifier.
        client_secret: Its secret.
        form_encoded: Whether both are form-encoded first, as in RFC 6749 section 2.3.1.
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
    """A JWT that authenticates the client (RFC 7523), with a new `jti` each time.

    Args:
        private_key: The client's private key, as PEM or JWK; with HS256, HS384 and HS512, its
            secret.
        key_id: The key's name at the authorization server, if it knows several keys.
        key_header: The JWT's header that names it (RFC 7515 section 4.1).
        headers: Further headers of the JWT.
        algorithm: The signature's algorithm (RFC 7518 section 3.1), such as `RS256`.
        claims: The claims except the times and the `jti`, among them `iss`, `sub` and `aud`.
        lifetime: Its lifetime in seconds.
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
                has the wrong type for the algorithm.
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
        hint = (
            "Give the unencrypted private key as PEM or JWK, with the type that the algorithm "
            "needs."
        )
        if problem := private_key_problem(self.private_key.reveal()):
            raise errors.ConfigurationError(f"{what}: it {problem}.", hint=hint)
        with importing:
            from joserfc import jwt

        def sign() -> str:
            key = _signing_key(self.private_key.reveal(), _KEY_TYPES[self.algorithm[:2]])
            return jwt.encode(header, claims, key, algorithms=[self.algorithm])

        return usable(sign, what, hint)

    def _with_secret(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        """Return the JWT, signed with an HMAC (RFC 7518 section 3.2), for any key length."""
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
                parts += [name, " ".join(sorted(set(value.split())))]  # their order has no effect
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
    """A value that is not only a string in JSON."""

    @abc.abstractmethod
    def content(self, made: Callable[[Value], str]) -> Any:
        """Return the JSON value to send.

        Args:
            made: Returns the sent string for a string, a secret or a value in it.
        """


def _claim(value: Value, now: float) -> Any:
    if isinstance(value, StructuredValue):
        return value.content(lambda each: reveal(each, now))
    return reveal(value, now)


def reveal(value: Value, now: float | None = None) -> str:
    """Return the sent string of a value; the caller must keep it out of logs and errors.

    Args:
        value: The value.
        now: The connection's time, in epoch seconds; by default the system's.
    """
    if not isinstance(value, DynamicValue):
        return value if isinstance(value, str) else value.reveal()
    return _checked(value, lambda: value.value(SYSTEM.time() if now is None else now))


def fingerprint_parts(value: Value) -> list[str | Secret]:
    """Return the parts of a value for a fingerprint; for a dynamic value its class and inputs."""
    if isinstance(value, DynamicValue):
        kind, inputs = type(value), _checked(value, lambda: list(value.inputs()))
        # Their number separates them from the following parts.
        return ["made", f"{kind.__module__}.{kind.__qualname__}", str(len(inputs)), *inputs]
    return ["given", value]


def translate_errors(who: str, work: Callable[[], T]) -> T:
    """Return the result of `work`, and convert its exceptions to keyturn's errors.

    Args:
        who: The owner of the code, such as "provider acme".
        work: A function that runs only a plugin's code.

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
    """Return the result of `make`, which uses a user's settings.

    Args:
        make: A function that calls a library, whose messages may contain a secret.
        what: The description of a failure.
        hint: What to change after a failure.

    Raises:
        keyturn.errors.ConfigurationError: `make` failed.
    """
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - as said
        problem = getattr(error, "strerror", None) or type(error).__name__
    raise errors.ConfigurationError(f"{what} ({problem}).", hint=hint)


def defect(who: str, error: BaseException, hint: str = DEFECT) -> errors.KeyturnError:
    """Return an error for an exception of other code, which may contain a secret."""
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
    with contextlib.suppress(Exception):  # computing their class may be what failed
        secrets = list(value.secrets())
    raise Redaction(secrets).error(failure)
