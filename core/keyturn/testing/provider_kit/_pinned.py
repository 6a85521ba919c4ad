"""A transport that reaches only the endpoint of the checks, also for earlier steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._clock import SYSTEM, Clock
from keyturn._common.once import cached_once
from keyturn._http.policy import PERMISSIVE, NetworkPolicy
from keyturn._http.steps import known_address, step_value
from keyturn._http.transport import Transport
from keyturn._http.urls import host_of, origin
from keyturn._http.values import DynamicValue
from keyturn._providers import templates
from keyturn._providers.discovery import Discovery
from keyturn._providers.named_values import templates_in
from keyturn._providers.steps import domains_of, steps_of
from keyturn.testing._messages import json_response
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._templates import every_template

if TYPE_CHECKING:
    from keyturn._http.request import Pairs, TokenRequest
    from keyturn._http.response import Response
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn.testing import _messages as messages
    from keyturn.testing.provider_kit._endpoint import Endpoint


class PinnedTransport(Transport):
    """Sends token requests to the endpoint of the checks, and to no other host.

    Args:
        endpoint: The endpoint.
        steps: The response of each step before the request, by its URL.
        is_lean: Whether to leave out signatures and certificates, if only the response matters.
    """

    def __init__(
        self, endpoint: Endpoint, steps: dict[str, messages.Response], *, is_lean: bool
    ) -> None:
        self._url, self._is_lean = endpoint.url, is_lean
        paths = {url: f"/steps/{number}" for number, url in enumerate(steps)}
        self._steps = {url: origin(endpoint.url) + path for url, path in paths.items()}
        endpoint.steps = {paths[url]: response for url, response in steps.items()}

    def send(
        self,
        request: TokenRequest,
        seconds: float,
        clock: Clock = SYSTEM,
        policy: NetworkPolicy = PERMISSIVE,
    ) -> Response:
        """Send a token request to the endpoint, and return the response.

        Raises:
            keyturn.errors.ConfigurationError: It would go to another host, with its secrets.
        """
        url = self._steps.get(request.url, request.url)
        if origin(url) != origin(self._url):
            raise errors.ConfigurationError(
                f"the token request goes to {origin(url)}, whatever token_url is set to, and was "
                "not sent.",
                hint="Start from super().token_request(settings).",
            )
        request = attrs.evolve(request, url=url)
        if self._is_lean:
            request = attrs.evolve(
                request,
                parameters=_ready(request.parameters),
                extra_headers=_ready(request.extra_headers),
                certificate=None,
            )
        return _transport().send(request, seconds, clock, policy)


def _ready(pairs: Pairs) -> Pairs:
    return tuple((name, value) for name, value in pairs if not isinstance(value, DynamicValue))


_transport = cached_once(Transport)


def step_responses(provider: Provider[Any], settings: Settings) -> dict[str, messages.Response]:
    """Return the response of each step before a provider's token request, by its URL.

    Each has the values that templates of the next request name.
    """
    found: dict[str, messages.Response] = {}
    _add_steps(provider, settings, found)
    return found


def values_of_steps(provider: Provider[Any], settings: Settings) -> dict[str, str]:
    """Return the values in the steps' responses, by their names in templates of API requests."""
    made = _add_steps(provider, settings, {})
    return {f"{step}.{path}": value for step, own in made.items() for path, value in own.items()}


def _add_steps(
    provider: Provider[Any], settings: Settings, found: dict[str, messages.Response]
) -> dict[str, dict[str, str]]:
    """Add the steps of a provider, and return the values of their responses by step and path."""
    made: dict[str, dict[str, str]] = {}
    for name, step, own in steps_of(provider, settings):
        before = _add_steps(step, own, found)
        url = step.token_request(own).url
        place = step_value(url)
        if place:
            url = before.get(place.step, {}).get(place.path, "") + place.rest
        host = next(iter(domains_of(step, own)), host_of(url))
        made[name] = _values(provider, name, host)
        found[url] = _response(step, made[name])
    return made


def _values(provider: Provider[Any], step: str, host: str) -> dict[str, str]:
    """Return a value for each path of a step's response that a template names."""
    used = [*every_template(provider), *templates_in(provider.values)]
    names = frozenset[str]().union(*map(templates.names_in, used))
    own = sorted(name.removeprefix(f"{step}.") for name in names if name.startswith(f"{step}."))
    starts = {place.path for each in used if (place := step_value(each)) and place.step == step}
    is_all = step == "discovery"
    return {
        path: f"https://{host}/made-up/{path}" if is_all or path in starts else f"made-up-{path}"
        for path in own
    }


def _response(step: Provider[Any], values: dict[str, str]) -> messages.Response:
    if isinstance(step, Discovery):
        document: Any = {}
        for path, value in values.items():
            document = samples.placed(document, path, value)
        return json_response(200, document)
    sample = samples.made_up(step, "https://made-up.example")
    content = sample.content
    for path, value in values.items():
        is_address = value.startswith("https://")
        if is_address or path not in {"access_token", step.token_field}:
            content = samples.placed(content, path, value)
    return sample.changed(content) if step.token_field else sample.response


def with_steps(request: TokenRequest) -> list[TokenRequest]:
    """Return a token request, and those of all steps before it."""
    return [request, *(each for _, step in request.steps for each in with_steps(step))]


def at_known_address(request: TokenRequest, last: TokenRequest) -> TokenRequest:
    """Return a request whose address may be in a step's response, at the address of that step.

    Args:
        request: The request, such as one of a revocation.
        last: The token request, which knows the steps.
    """
    return attrs.evolve(request, url=known_address(attrs.evolve(request, steps=last.steps)))
