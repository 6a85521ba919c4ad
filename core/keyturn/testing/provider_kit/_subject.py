"""The subject of the checks: one provider, settings for it, and what its author says of it."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from keyturn import errors
from keyturn._clock import Clock
from keyturn._connection import Connection
from keyturn._http.request import TokenRequest
from keyturn._http.transport import Transport
from keyturn._http.urls import origin, url_problem
from keyturn._http.values import DynamicValue
from keyturn._once import cached_once
from keyturn._providers.calls import translate_errors
from keyturn._providers.provider import Provider
from keyturn._providers.settings import did_you_mean, read
from keyturn._options import Options
from keyturn.stores._memory import MemoryStore
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._endpoint import Endpoint
from keyturn.testing.provider_kit._made_up import completed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from keyturn._http.request import Pairs
    from keyturn._http.response import Response
    from keyturn._providers.settings import Settings
    from keyturn._token import Token
    from keyturn.stores._base import TokenStore
    from keyturn.testing.provider_kit._endpoint import Reply

T = TypeVar("T")

_KEY = bytes(32)
# Retries neither take time nor fail for want of rate_limit.
_HASTE = Clock(sleep=lambda _: None)
_PATIENT = Options(timeout=20.0, wait=86_400.0)


class _LeanTransport(Transport):
    """Sends token requests without what takes long to make; where only the response matters."""

    def send(self, request: TokenRequest, seconds: float) -> Response:
        """Send the rest of a token request, and return the response."""
        lean = attrs.evolve(
            request,
            parameters=_ready(request.parameters),
            extra_headers=_ready(request.extra_headers),
            certificate=None,
        )
        return super().send(lean, seconds)


def _ready(pairs: Pairs) -> Pairs:
    return tuple((name, value) for name, value in pairs if not isinstance(value, DynamicValue))


_lean_transport = cached_once(_LeanTransport)


class CheckFailed(AssertionError):
    """A provider does not do what every provider must.

    Args:
        what: What is wrong, as a sentence.
        mend: What to mend, as a sentence.
    """

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}\nTo mend: {mend}")
        self.what = what
        self.mend = mend


@attrs.frozen(kw_only=True)
class Examples:
    """What a provider's author says of it; see `keyturn.testing.ProviderConformance`.

    Args:
        request: The documented token request.
        response: A documented response with a token.
        lifetime: The seconds that the token of `response` lives.
        errors: Documented errors.
        api: What an API request needs.
        context: The settings that are no part of the token request; None when nobody said.
        others: Other values of settings than those given.
    """

    request: Mapping[str, Any] | None = None
    response: Mapping[str, Any] | None = None
    lifetime: float | None = None
    errors: tuple[Mapping[str, Any], ...] = ()
    api: Mapping[str, Any] | None = None
    context: frozenset[str] | None = None
    others: Mapping[str, Any] = attrs.field(factory=dict)


def check_keys(what: str, example: Mapping[str, Any], *, needed: str = "", others: str) -> None:
    """Refuse an example that has other keys than it may have.

    Args:
        what: The example, for the message.
        example: The example.
        needed: The keys that it must have, space-delimited.
        others: Those that it may have.
    """
    known = [*needed.split(), *others.split()]
    missing = [name for name in needed.split() if name not in example]
    unknown = [f"{name!r}.{did_you_mean(str(name), known)}" for name in example.keys() - set(known)]
    if missing or unknown:
        problem = f"has no {missing[0]}." if missing else f"has the unknown key {unknown[0]}"
        raise CheckFailed(f"{what} {problem}", f"give {what} the keys {', '.join(known)} only.")


@attrs.frozen(kw_only=True)
class Subject:
    """A provider under test; its token endpoint is one on loopback.

    Args:
        provider: The provider.
        values: Plain settings that can be read, as a user would give them.
        examples: What the author says.
        endpoint: The token endpoint.
        notes: What the checks have to say besides whether they passed.
    """

    provider: Provider[Any]
    values: Mapping[str, Any]
    examples: Examples
    endpoint: Endpoint
    notes: list[str] = attrs.field(factory=list)

    def note(self, text: str) -> None:
        """Tell something that is no mistake."""
        self.notes.append(text)

    def settings(self, **changes: Any) -> Settings:
        """Return the settings, with changes."""
        cls: type[Settings] = self.provider.settings
        settings, mistakes = read(cls, {**self.values, **changes})
        if settings is None:
            raise CheckFailed(
                f"the settings can't be read: {'; '.join(mistakes)}.",
                "correct `settings` of the conformance class, or the settings class.",
            )
        return settings

    def ask(self, method: str, work: Callable[[], T]) -> T:
        """Return what a method of the provider's returns; it must not raise."""
        try:
            return translate_errors(self.provider.name, work)
        except errors.KeyturnError as error:
            failure = str(error)
        raise CheckFailed(f"{method} failed: {failure}", f"mend {method}.")

    @property
    def bound_provider(self) -> Provider[Any]:
        """The provider as it behaves for the settings."""
        try:
            return self.bound_to(self.settings())
        except errors.ConfigurationError as error:
            failure = str(error)
        raise CheckFailed(f"bound failed: {failure}", "mend bound.")

    def bound_to(self, settings: Settings) -> Provider[Any]:
        """Return the provider as it behaves for some settings.

        Raises:
            keyturn.errors.ConfigurationError: The settings are refused.
        """
        try:
            provider: Any = translate_errors(
                self.provider.name, lambda: self.provider.for_settings(settings)
            )
        except errors.ConfigurationError:
            raise
        except errors.KeyturnError as error:
            failure = str(error)
        else:
            if isinstance(provider, Provider):
                return provider
            failure = f"it returns {type(provider).__name__}"
        raise CheckFailed(f"bound failed: {failure}", "let bound return a keyturn.Provider.")

    def request(self, **changes: Any) -> TokenRequest:
        """Return the token request with its fingerprint, for the settings with changes.

        Raises:
            keyturn.errors.ConfigurationError: The settings are refused.
        """
        return self.ready(self.settings(**changes))[1]

    def ready(self, settings: Settings) -> tuple[Provider[Any], TokenRequest]:
        """Return the provider as it behaves for some settings, and its token request.

        Raises:
            keyturn.errors.ConfigurationError: The settings are refused.
        """
        provider = self.bound_to(settings)
        try:
            request = translate_errors(self.provider.name, lambda: provider.token_request(settings))
        except errors.ConfigurationError:
            raise
        except errors.KeyturnError as error:
            failure = str(error)
        else:
            if not isinstance(request, TokenRequest):
                what = f"token_request returns {type(request).__name__}."
                raise CheckFailed(what, "let token_request return a keyturn.plugins.TokenRequest.")
            problem = url_problem(request.url)
            if problem:
                raise errors.ConfigurationError(f"the token endpoint's address {problem}.")
            return provider, request.with_fingerprint(_KEY)
        raise CheckFailed(f"token_request failed: {failure}", "mend token_request.")

    @property
    def sample(self) -> samples.Sample:
        """A response with a token: the documented one, or else a made-up one."""
        given = self.examples
        if given.response is not None:
            check_keys("`response`", given.response, others="status headers body")
            return samples.Sample(samples.from_example(given.response), given.lifetime)
        domains = self.bound_provider.api_domains
        address = f"https://made-up.{domains[0]}" if domains else origin(self.endpoint.url)
        return samples.made_up(self.bound_provider, address)

    def connect(
        self,
        reply: Reply | None = None,
        /,
        *,
        store: TokenStore | None = None,
        clock: Clock = _HASTE,
        options: Options = _PATIENT,
        is_lean: bool = True,
        **changes: Any,
    ) -> Connection:
        """Return a connection to the endpoint, by the way that every user's takes.

        Args:
            reply: What the endpoint responses from now on; by default the sample.
            store: Where tokens live; by default in a memory of its own.
            clock: The clocks.
            options: How it behaves.
            is_lean: Whether signatures and certificates, which take long, are left out.
            changes: Changed settings.
        """
        self.endpoint.reply = self.sample.response if reply is None else reply
        settings = self.settings(**{"token_url": self.endpoint.url, **changes})
        self.bound_to(settings)  # so that it is blamed for what it does
        return Connection(
            self.provider,
            settings,
            store=store or MemoryStore(),
            clock=clock,
            options=options,
            transport=_lean_transport() if is_lean else None,
        )

    def token(self, reply: Reply | None = None, /, **changes: Any) -> Token:
        """Return the token of a response that must give one."""
        try:
            return self.connect(reply, **changes).token()
        except errors.KeyturnError as error:
            failure = str(error)
        if self.sample.is_made_up:
            raise CheckFailed(
                f"no token comes of a response that was made up from the provider's data: {failure}",
                "correct token_field, token_type, lifetime_field or read_token; or give `response`, "
                "a documented response with a token, in a ProviderConformance class.",
            )
        raise CheckFailed(
            f"no token comes of `response`: {failure}",
            "correct token_field, token_type, lifetime_field, token_status or read_token.",
        )

    def failure(self, reply: Reply, /, **changes: Any) -> errors.KeyturnError | None:
        """Return the error that a response becomes; None when it gives a token."""
        try:
            self.connect(reply, **changes).token()
        except errors.KeyturnError as error:
            failure = error
        else:
            return None
        if type(failure) is errors.KeyturnError:
            raise CheckFailed(
                f"a response makes a method of the provider raise: {failure}",
                "let read_error return None and read_token raise InvalidTokenResponse for responses "
                "of any form; response.json() may be None, a list, or anything else.",
            )
        return failure


@contextlib.contextmanager
def opened(
    provider: Provider[Any], given: Mapping[str, Any], examples: Examples
) -> Generator[Subject]:
    """Give a subject, its endpoint listening.

    Args:
        provider: The provider.
        given: Plain settings; what is missing is made up.
        examples: What the author says.

    Raises:
        keyturn.errors.KeyturnError: There are mistakes in the settings, or in their class.
    """
    with tempfile.TemporaryDirectory(prefix="keyturn-") as directory, Endpoint() as endpoint:
        values = translate_errors(
            provider.name, lambda: completed(provider, given, Path(directory))
        )
        yield Subject(provider=provider, values=values, examples=examples, endpoint=endpoint)
