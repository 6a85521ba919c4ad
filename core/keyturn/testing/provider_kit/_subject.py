"""The subject of the checks: one provider, settings for it, and its author's examples."""

from __future__ import annotations

import contextlib
import copy
import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from keyturn import errors
from keyturn._clock import Clock
from keyturn._connection import Connection, make_connection
from keyturn._http.request import TokenRequest
from keyturn._http.steps import known_address
from keyturn._http.urls import origin, url_problem
from keyturn._providers.calls import translate_errors
from keyturn._providers.provider import Provider
from keyturn._providers.settings import read
from keyturn._providers.steps import steps_of
from keyturn._tokens.options import Options, Specification
from keyturn.stores._memory import MemoryStore
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._audit import Watch, watched
from keyturn.testing.provider_kit._endpoint import Endpoint
from keyturn.testing.provider_kit._examples import CheckFailed, check_keys
from keyturn.testing.provider_kit._made_up import completed
from keyturn.testing.provider_kit._pinned import PinnedTransport, step_responses
from keyturn.testing.provider_kit._source import own_places

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from keyturn._providers.settings import Settings
    from keyturn._token import Token
    from keyturn.stores._base import TokenStore
    from keyturn.testing.provider_kit._endpoint import Reply
    from keyturn.testing.provider_kit._examples import Examples

T = TypeVar("T")

_KEY = bytes(32)
# A retry takes no time.
_NO_SLEEP = Clock(sleep=lambda _: None)
# Seconds; no check fails because of the rate limit, except the one about it.
_TIMEOUT, _WAIT = 20.0, 86_400.0


@attrs.frozen(kw_only=True)
class Subject:
    """A provider under test; its token endpoint is one on loopback.

    Args:
        provider: The provider.
        values: Valid plain settings, as a user would give them.
        examples: The author's examples.
        endpoint: The token endpoint.
        notes: Remarks of the checks that are not failures.
    """

    provider: Provider[Any]
    values: Mapping[str, Any]
    examples: Examples
    endpoint: Endpoint
    notes: list[str] = attrs.field(factory=list)
    # Settings by their changes.
    _read: dict[tuple[tuple[str, str], ...], Settings] = attrs.field(factory=dict, init=False)

    def note(self, remark: str) -> None:
        """Add a remark that is not a failure."""
        self.notes.append(remark)

    def settings(self, **changes: Any) -> Settings:
        """Return the settings, with changes."""
        key = tuple(changes.items())
        is_plain = all(isinstance(each, str) for each in changes.values())
        settings = self._read.get(key) if is_plain else None
        if settings is None:
            cls: type[Settings] = self.provider.settings
            settings, mistakes = read(cls, {**self.values, **changes})
            if settings is None:
                raise CheckFailed(
                    f"the settings can't be read: {'; '.join(map(str, mistakes))}.",
                    "correct `settings` of the conformance class, or the settings class.",
                )
            if is_plain:
                self._read[key] = settings
        return copy.copy(settings)  # a provider may change them

    def call(self, method: str, work: Callable[[], T]) -> T:
        """Return the result of a provider's method, which must not raise."""
        try:
            return translate_errors(self.provider.name, work)
        except errors.KeyturnError as error:
            failure = str(error)
        raise CheckFailed(f"{method} failed: {failure}", f"correct {method}.")

    @property
    def effective_provider(self) -> Provider[Any]:
        """The provider as it behaves for the settings."""
        try:
            return self.provider_for(self.settings())
        except errors.ConfigurationError as error:
            failure = str(error)
        raise CheckFailed(f"for_settings failed: {failure}", "correct for_settings.")

    def provider_for(self, settings: Settings) -> Provider[Any]:
        """Return the provider as it behaves for some settings.

        Raises:
            keyturn.errors.ConfigurationError: The settings are rejected.
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
        raise CheckFailed(
            f"for_settings failed: {failure}", "let for_settings return a keyturn.plugins.Provider."
        )

    def request(self, **changes: Any) -> TokenRequest:
        """Return the token request with its fingerprint, for the settings with changes.

        Raises:
            keyturn.errors.ConfigurationError: The settings are rejected.
        """
        return self.prepared(self.settings(**changes))[1].with_fingerprint(_KEY)

    def prepared(self, settings: Settings) -> tuple[Provider[Any], TokenRequest]:
        """Return the provider as it behaves for some settings, and its token request.

        Raises:
            keyturn.errors.ConfigurationError: The settings are rejected.
        """
        provider = self.provider_for(settings)
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
            request = _with_steps(provider, settings, request)
            problem = url_problem(known_address(request))
            if problem:
                raise errors.ConfigurationError(f"the token endpoint's address {problem}.")
            return provider, request
        raise CheckFailed(f"token_request failed: {failure}", "correct token_request.")

    @property
    def sample(self) -> samples.Sample:
        """A response with a token: the documented one, or else a made-up one."""
        given = self.examples
        if given.response is not None:
            check_keys("`response`", given.response, others="status headers body")
            return samples.Sample(samples.from_example(given.response), given.lifetime)
        domains = self.effective_provider.api_domains
        address = f"https://made-up.{domains[0]}" if domains else origin(self.endpoint.url)
        return samples.made_up(self.effective_provider, address)

    def connect(
        self,
        reply: Reply | None = None,
        /,
        *,
        store: TokenStore | None = None,
        clock: Clock = _NO_SLEEP,
        wait: float = _WAIT,
        is_lean: bool = True,
        **changes: Any,
    ) -> Connection:
        """Return a connection to the endpoint, made like a user's.

        Args:
            reply: The endpoint's response from now on; by default the sample.
            store: The token store; by default a new memory store.
            clock: The clocks.
            wait: The seconds to wait for the rate limit at most.
            is_lean: Whether to leave out signatures and certificates, which are slow to make.
            changes: Changed settings.
        """
        self.endpoint.reply = self.sample.response if reply is None else reply
        settings = self.settings(**{"token_url": self.endpoint.url, **changes})
        provider = self.provider_for(settings)  # a defect in for_settings is reported as such
        steps = self.call("token_request of a step", lambda: step_responses(provider, settings))
        return make_connection(
            Specification(self.provider, settings, options=Options(timeout=_TIMEOUT, wait=wait)),
            store or MemoryStore(),
            clock=clock,
            transport=PinnedTransport(self.endpoint, steps, is_lean=is_lean),
        )

    def token(self, reply: Reply | None = None, /, **changes: Any) -> Token:
        """Return the token of a response that must give one."""
        try:
            return self.connect(reply, **changes).token()
        except errors.KeyturnError as error:
            failure = str(error)
        if self.sample.is_made_up:
            raise CheckFailed(
                f"a response that was generated from the provider's data gives no token: {failure}",
                "correct token_field, token_type, lifetime_field or read_token; or give "
                "`response`, "
                "a documented response with a token, in a ProviderConformance class.",
            )
        raise CheckFailed(
            f"`response` gives no token: {failure}",
            "correct token_field, token_type, lifetime_field, token_status or read_token.",
        )

    def failure(self, reply: Reply, /, **changes: Any) -> errors.KeyturnError | None:
        """Return the error that a response causes; None if it gives a token."""
        try:
            self.connect(reply, **changes).token()
        except errors.KeyturnError as error:
            failure = error
        else:
            return None
        if isinstance(failure, errors.ConfigurationError):
            raise CheckFailed(str(failure), "correct what the error names.")
        if type(failure) is errors.KeyturnError:
            raise CheckFailed(
                f"a response makes a method of the provider raise: {failure}",
                "let read_error return None and read_token raise InvalidTokenResponse for "
                "responses "
                "of any form; response.json() may be None, a list, or anything else.",
            )
        return failure


def _with_steps(provider: Provider[Any], settings: Settings, request: TokenRequest) -> TokenRequest:
    """Return a token request that knows the requests of the steps before it."""
    steps = []
    for name, step, own in steps_of(provider, settings):
        before = translate_errors(step.name, functools.partial(step.token_request, own))
        steps.append((name, _with_steps(step, own, before).with_fingerprint(_KEY)))
    return attrs.evolve(request, steps=tuple(steps)) if steps else request


def _completed(
    provider: Provider[Any], given: Mapping[str, Any], directory: Path
) -> dict[str, Any]:
    """Return valid settings; their checks can't reach other hosts.

    Raises:
        keyturn.errors.KeyturnError: The settings, or their class, have mistakes.
    """
    watch = Watch(own_places(provider))
    try:
        with watched(watch):
            return translate_errors(provider.name, lambda: completed(provider, given, directory))
    except errors.KeyturnError as error:
        failure = error
    for what, where in watch.attempts[:1]:
        failure = errors.ConfigurationError(
            f"{provider.name}: a check of its settings {what}.",
            hint=f"Let checks and problems use the settings alone (at {where}).",
        )
    raise failure


@contextlib.contextmanager
def opened(
    provider: Provider[Any], given: Mapping[str, Any], examples: Examples
) -> Generator[Subject]:
    """Yield a subject whose endpoint listens.

    Args:
        provider: The provider.
        given: Plain settings; missing ones are generated.
        examples: The author's examples.

    Raises:
        keyturn.errors.KeyturnError: The settings, or their class, have mistakes.
    """
    with tempfile.TemporaryDirectory(prefix="keyturn-") as directory, Endpoint() as endpoint:
        values = _completed(provider, given, Path(directory))
        yield Subject(provider=provider, values=values, examples=examples, endpoint=endpoint)
