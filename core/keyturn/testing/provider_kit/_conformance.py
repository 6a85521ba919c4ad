"""The base class for the tests of a provider."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, ClassVar

from keyturn._plugins import loading as plugins
from keyturn._providers.provider import Provider
from keyturn.testing.provider_kit._causes import Causes
from keyturn.testing.provider_kit._examples import CheckFailed, Examples
from keyturn.testing.provider_kit._run import CHECKS, failed
from keyturn.testing.provider_kit._subject import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from contextlib import AbstractContextManager

    from keyturn.testing.provider_kit._subject import Subject

# The similarity (difflib's ratio) from which a name counts as misspelled.
_LIKENESS = 0.8


class ProviderConformance:
    """The tests that every provider must pass; a subclass sets the provider and examples.

    pytest collects a subclass whose name begins with `Test`; with `unittest`, derive it from
    `unittest.TestCase` as well. The tests send requests to loopback only.

    In the examples, headers exclude `Accept`, `Accept-Encoding` and `Content-Type`; a body is a
    string, bytes, or (in responses) a JSON value. `{uuid}`, `{assertion}` and `{changing}` stand
    for a UUID, a signed JWT, and any string that differs in each request.

    Example:
        >>> import keyturn
        >>> class TestAcme(keyturn.testing.ProviderConformance):
        ...     provider = "acme"
        ...     settings = {"tenant": "blue", "client_id": "a", "client_secret": "made-up"}
        ...     request = {
        ...         "method": "POST",
        ...         "url": "https://blue.acme.example/oauth/token",
        ...         "body": "grant_type=client_credentials&client_id=a&client_secret=made-up",
        ...     }
    """

    provider: ClassVar[str | Provider[Any]]
    """The provider's name, or the provider."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """Plain settings; the kit generates missing required ones."""
    request: ClassVar[Mapping[str, Any] | None] = None
    """The documented token request for them: `method`, `url`, `query`, `headers`, `body`."""
    response: ClassVar[Mapping[str, Any] | None] = None
    """A documented response with a token: `status`, `headers`, `body`; by default generated."""
    lifetime: ClassVar[float | None] = None
    """The lifetime in seconds of the token in `response`."""
    errors: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """Documented errors: `status`, `headers`, `body`, and the name of the error it `raises`."""
    api: ClassVar[Mapping[str, Any] | None] = None
    """The documented API request: its `url`, and all its `headers`."""
    context: ClassVar[AbstractSet[str]] = frozenset()
    """The settings that tokens do not depend on."""
    others: ClassVar[Mapping[str, Any]] = {}
    """Second values of settings, if the kit can't generate them."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Raise an error for a misspelt attribute."""
        super().__init_subclass__(**kwargs)
        known = [*ProviderConformance.__annotations__, *(f"test_{name}" for name in CHECKS)]
        for name, value in vars(cls).items():
            if name.startswith("_") or name in known or callable(value):
                continue
            near = difflib.get_close_matches(name, known, n=1, cutoff=_LIKENESS)
            if near:
                message = f"{cls.__name__}.{name} is unknown. Did you mean {near[0]}?"
                raise TypeError(message)


_causes: dict[type[ProviderConformance], Causes] = {}


def _provider(case: ProviderConformance) -> Provider[Any]:
    given: Any = getattr(case, "provider", None)
    if isinstance(given, str):
        return plugins.provider(given)
    if isinstance(given, Provider):
        return given
    shown = given.__name__ if isinstance(given, type) else type(given).__name__
    problem = "is not given" if given is None else f"is {shown}, which is not a provider"
    raise CheckFailed(
        f"`provider` of {type(case).__name__} {problem}.",
        "give the provider's name, or an object such as Acme(), not its class.",
    )


def subject_of(case: ProviderConformance) -> AbstractContextManager[Subject]:
    """Yield the provider of a class, with its settings and examples, while the endpoint listens."""
    examples = Examples(
        request=case.request,
        response=case.response,
        lifetime=case.lifetime,
        errors=tuple(case.errors),
        api=case.api,
        context=frozenset(case.context),
        others=case.others,
    )
    return opened(_provider(case), case.settings, examples)


def _test(name: str) -> Callable[[ProviderConformance], None]:
    def test(self: ProviderConformance) -> None:
        __tracebackhide__ = True  # pytest then shows only the message
        with subject_of(self) as subject:
            found = failed(name, subject, _causes.setdefault(type(self), Causes()))
        if found is None:
            return
        failure, first = found
        if first != name:
            from unittest import SkipTest  # it is slow to import, and needed here only

            raise SkipTest(f"test_{first} has failed for the same cause")
        raise failure

    test.__doc__ = CHECKS[name].__doc__
    test.__name__ = f"test_{name}"
    test.__qualname__ = f"{ProviderConformance.__name__}.{test.__name__}"
    return test


for _name in CHECKS:
    setattr(ProviderConformance, f"test_{_name}", _test(_name))

ProviderConformance.__module__ = "keyturn.testing"
