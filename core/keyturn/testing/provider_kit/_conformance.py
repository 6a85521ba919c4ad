"""The base class for the tests of a provider."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, ClassVar

from keyturn._plugins import loading as plugins
from keyturn._providers.provider import Provider
from keyturn.testing.provider_kit._run import CHECKS, check
from keyturn.testing.provider_kit._subject import CheckFailed, Examples, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

# From this likeness on (difflib's ratio), a name is taken for a misspelt one.
_ALIKE = 0.8


class ProviderConformance:
    """The tests that every provider must pass; a subclass says which one, and gives examples.

    pytest collects a subclass whose name begins with `Test`; with `unittest`, derive it from
    `unittest.TestCase` as well. Nothing leaves this machine.

    In the examples, headers are those besides `Accept`, `Accept-Encoding` and `Content-Type`;
    a body may be a text, or the JSON value of one. `{uuid}`, `{assertion}` and `{changing}` stand
    for a UUID, a signed JWT, and any text that is another one each time.

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
    """Plain settings; what is required and missing is made up."""
    request: ClassVar[Mapping[str, Any] | None] = None
    """The documented token request for them: `method`, `url`, `query`, `headers`, `body`."""
    response: ClassVar[Mapping[str, Any] | None] = None
    """A documented response with a token: `status`, `headers`, `body`; else one is made up."""
    lifetime: ClassVar[float | None] = None
    """The seconds that the token of `response` lives."""
    errors: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """Documented errors: `status`, `headers`, `body`, and the name of the error it `raises`."""
    api: ClassVar[Mapping[str, Any] | None] = None
    """What an API request needs: its `url`, and all `headers`."""
    context: ClassVar[AbstractSet[str]] = frozenset()
    """The settings on which tokens don't depend."""
    others: ClassVar[Mapping[str, Any]] = {}
    """Other values of settings than those above, where none can be made up."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse an attribute that is one of the above, misspelt."""
        super().__init_subclass__(**kwargs)
        known = [*ProviderConformance.__annotations__, *(f"test_{name}" for name in CHECKS)]
        for name, value in vars(cls).items():
            if name.startswith("_") or name in known or callable(value):
                continue
            near = difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE)
            if near:
                message = f"{cls.__name__}.{name} is not known. Did you mean {near[0]}?"
                raise TypeError(message)


def _provider(case: ProviderConformance) -> Provider[Any]:
    given: Any = getattr(case, "provider", None)
    if isinstance(given, str):
        return plugins.provider(given)
    if isinstance(given, Provider):
        return given
    shown = given.__name__ if isinstance(given, type) else type(given).__name__
    problem = "is not given" if given is None else f"is {shown}, which is no provider"
    raise CheckFailed(
        f"`provider` of {type(case).__name__} {problem}.",
        "give the provider's name, or an object such as Acme(), not its class.",
    )


def _test(name: str) -> Callable[[ProviderConformance], None]:
    def test(self: ProviderConformance) -> None:
        __tracebackhide__ = True  # pytest then shows the message and nothing else
        provider = _provider(self)
        examples = Examples(
            request=self.request,
            response=self.response,
            lifetime=self.lifetime,
            errors=tuple(self.errors),
            api=self.api,
            context=frozenset(self.context),
            others=self.others,
        )
        with opened(provider, self.settings, examples) as subject:
            failure = check(name, subject)
        if failure is not None:
            raise failure

    test.__doc__ = CHECKS[name].__doc__
    test.__name__ = f"test_{name}"
    test.__qualname__ = f"{ProviderConformance.__name__}.{test.__name__}"
    return test


for _name in CHECKS:
    setattr(ProviderConformance, f"test_{_name}", _test(_name))
