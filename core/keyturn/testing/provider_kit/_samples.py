"""Responses of a platform, given as examples or generated from a provider's data."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import json
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import attrs

from keyturn._common.zones import zone_of
from keyturn._http.response import Response as ReadResponse
from keyturn._http.response import media_type_of
from keyturn._providers import templates
from keyturn._providers.named_values import templates_in
from keyturn._providers.response_formats import xml_of
from keyturn._providers.token_response import field_of
from keyturn.testing._messages import Response, json_response
from keyturn.testing.provider_kit._templates import every_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn._providers.provider import Provider

TOKEN = "made-up-token"  # noqa: S105 - made up
LIFETIME = 3600.0
_UNITS = {"seconds": 1.0, "decimal": 1.0, "milliseconds": 1e-3, "minutes": 60.0}
# The unit of the finest directive of a pattern, in seconds.
_STEPS = {"%S": 1, "%M": 60, "%H": 3600, "%I": 3600, "%d": 86_400, "%j": 86_400}


@attrs.frozen
class Sample:
    """A response with a token.

    Args:
        response: The response.
        lifetime: The token's lifetime in seconds, or None when it is unknown.
        is_made_up: Whether it was generated from the provider's data.
    """

    response: Response
    lifetime: float | None
    is_made_up: bool = False

    @property
    def content(self) -> Any:
        """The body's value, or None when the body is neither JSON nor XML."""
        response = to_response(self.response)
        content = response.json()
        return xml_of(response.body) if content is None and _is_xml(response) else content

    def changed(self, content: object) -> Response:
        """Return the same response with another JSON value as its body."""
        changed = attrs.evolve(self.response, body=json.dumps(content).encode())
        if not _is_xml(to_response(self.response)):
            return changed
        # A response labelled as JSON is read as JSON, whatever the platform's own format.
        headers = {**self.response.headers, "Content-Type": "application/json"}
        return attrs.evolve(changed, headers=headers)

    def living(
        self, provider: Provider[Any], seconds: float, sent_at: float | None = None
    ) -> Response:
        """Return the same response with another lifetime, counted from `sent_at` or from now."""
        form = provider.lifetime_format
        now = int(time.time() if sent_at is None else sent_at)
        now -= now % step(form)
        value = _lifetime_value(provider, seconds, now)
        response = self.changed(placed(self.content, lifetime_path(provider), value))
        headers = {**response.headers, "Date": formatdate(now, usegmt=True)}
        return attrs.evolve(response, headers=headers)


def _is_xml(response: ReadResponse) -> bool:
    return "xml" in media_type_of(response)


def made_up(provider: Provider[Any], api_url: str) -> Sample:
    """Return a response with a token in the format that the provider's data declare.

    Args:
        provider: The provider.
        api_url: The API's URL, for providers that read it from the response.
    """
    status, path = token_status(provider), provider.token_field
    if not (path or provider.token_header):
        headers = {"Content-Type": "text/plain"}
        return Sample(Response(status, TOKEN.encode(), headers), None, is_made_up=True)
    content: Any = {} if provider.token_header else placed({}, path, TOKEN)
    if provider.token_type:
        content = placed(content, "token_type", provider.token_type)
    if provider.api_url_field:
        content = placed(content, provider.api_url_field, api_url)
    for field in sorted(_token_fields(provider) - {"access_token", path}):
        if field_of(content, field) is None:
            content = placed(content, field, f"made-up-{field}")
    response = json_response(status, content)
    if name := provider.token_header:
        response = with_header(response, name, TOKEN)
    if name := provider.lifetime_header:
        value = _lifetime_value(provider, LIFETIME, int(time.time()))
        response = with_header(response, name, str(value))
    if not lifetime_path(provider):
        lifetime = LIFETIME if provider.lifetime_header else None
        return Sample(response, lifetime, is_made_up=True)
    sample = Sample(response, LIFETIME, is_made_up=True)
    lifetime = max(LIFETIME, step(provider.lifetime_format))
    response = sample.living(provider, lifetime)
    return attrs.evolve(sample, response=response, lifetime=lifetime)


def with_header(response: Response, name: str, value: str) -> Response:
    """Return a response with another value of a header, or of a cookie: `Set-Cookie.NAME`."""
    header, _, cookie = name.partition(".")
    if cookie:
        value = f"{cookie}={value}; Path=/; HttpOnly"
    return attrs.evolve(response, headers={**response.headers, header.title(): value})


def without_header(response: Response, name: str) -> Response:
    """Return a response without a header."""
    header = name.partition(".")[0].title()
    kept = {each: value for each, value in response.headers.items() if each != header}
    return attrs.evolve(response, headers=kept)


def _token_fields(provider: Provider[Any]) -> set[str]:
    """Return the paths in a response that templates of API requests name."""
    used = [*every_template(provider), *templates_in(provider.values)]
    names = frozenset[str]().union(*map(templates.names_in, used))
    return {name.removeprefix("token.") for name in names if name.startswith("token.")}


def token_status(provider: Provider[Any]) -> int:
    """Return the status of a response with a token; the first if there are several."""
    declared = provider.token_status
    return declared if isinstance(declared, int) else min(declared)


def lifetime_path(provider: Provider[Any]) -> str:
    """Return the path of the lifetime in a response; for a JWT's own `exp`, that of the token."""
    if provider.lifetime_header:
        return ""
    is_own = provider.lifetime_format == "jwt" and provider.lifetime_field in {"", "expires_in"}
    return provider.token_field if is_own else provider.lifetime_field


def step(form: str) -> int:
    """Return the unit of a format's lifetimes or expiry times, in seconds."""
    finest = [seconds for directive, seconds in _STEPS.items() if directive in form]
    if "%" in form:
        return finest[0]
    return 60 if form == "minutes" or form.endswith("hh:mm") else 1


def from_example(example: Mapping[str, Any]) -> Response:
    """Return an example's response: `status`, `headers`, and `body` as string, bytes or JSON."""
    body = example.get("body", "")
    if not isinstance(body, (str, bytes)):
        body = json.dumps(body)
    content = body.encode() if isinstance(body, str) else body
    given = {name.title(): value for name, value in example.get("headers", {}).items()}
    headers = {"Content-Type": "application/json"} | given
    return Response(int(example.get("status", 200)), content, headers)


def error_response(
    provider: Provider[Any], code: str, status: int, description: str = ""
) -> Response:
    """Return an error response in the provider's own format.

    Args:
        provider: Declares the fields and the platform's codes.
        code: The code of RFC 6749 section 5.2.
        status: The response's status.
        description: The server's message.
    """
    own = {oauth: platforms for platforms, oauth in provider.error_codes.items()}
    content = placed({}, provider.error_field, own.get(code, code))
    with_message = placed(content, provider.error_description_field, description)
    # Some platforms have code and message in one field.
    is_apart = field_of(with_message, provider.error_field) == own.get(code, code)
    return json_response(status, with_message if is_apart else content)


def to_response(response: Response) -> ReadResponse:
    """Return a response as the client receives it now."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return ReadResponse(response.status, headers, response.body, time.time())


def placed(content: Any, path: str, value: object) -> Any:
    """Return a JSON value with another value at a path, which is created if it is missing."""
    name, _, rest = path.partition(".")
    if name.isdecimal() and not isinstance(content, dict):
        items: list[Any] = list(content) if isinstance(content, list) else []
        items += [None] * (int(name) + 1 - len(items))
        items[int(name)] = placed(items[int(name)], rest, value) if rest else value
        return items
    fields: dict[str, Any] = dict(content) if isinstance(content, dict) else {}
    fields[name] = placed(fields.get(name), rest, value) if rest else value
    return fields


def without(content: Any, path: str) -> Any:
    """Return a JSON value without the value at a path."""
    copied = copy.deepcopy(content)
    parent, _, name = path.rpartition(".")
    holder = field_of(copied, parent) if parent else copied
    if isinstance(holder, dict):  # pragma: no branch - the response has the value
        holder.pop(name, None)
    return copied


def _lifetime_value(provider: Provider[Any], seconds: float, now: int) -> object:
    form = provider.lifetime_format
    if form in _UNITS:
        number = seconds / _UNITS[form]
        return int(number) if number == int(number) else number
    if form == "duration":
        return f"{seconds:g}s"
    if ":" in form and "%" not in form:
        return _clock(form, int(seconds))
    end = now + seconds
    moment = dt.datetime.fromtimestamp(end, zone_of(provider.lifetime_timezone))
    if form == "jwt":
        return ".".join(_base64(json.dumps(each)) for each in ({"alg": "none"}, {"exp": end}, 0))
    if "%" in form:
        return moment.strftime(form)
    dates = {
        "date": moment.replace(tzinfo=None).isoformat(),
        "http_date": formatdate(end, usegmt=True),
    }
    return dates.get(form, end if form == "epoch" else end * 1000)


def _clock(form: str, seconds: int) -> str:
    """Return seconds in a format such as `d:hh:mm`."""
    days, rest = divmod(seconds, 86_400)
    hours = rest // 3600 + (0 if form.startswith("d") else 24 * days)
    parts = {"d": days, "hh": f"{hours:02}", "mm": f"{rest // 60 % 60:02}", "ss": f"{rest % 60:02}"}
    return ":".join(f"{parts[each]}" for each in form.split(":"))


def _base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
