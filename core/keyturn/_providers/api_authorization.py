"""The token in API requests, in a header or in the query, and the values sent with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from keyturn import errors
from keyturn._http.composed import target_of
from keyturn._http.steps import STEP_NAMES
from keyturn._http.values import make, reveal
from keyturn._providers import templates
from keyturn._providers.named_values import named_values, templates_in, varying
from keyturn._providers.token_response import field_of
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn._http.response import Response
    from keyturn._http.values import Value
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn._token import Token

    Names = Mapping[str, Value | None]

_REQUEST_NAMES = frozenset(
    f"request.{each}" for each in ("method", "url", "path", "query", "target", "body")
)
# Methods whose requests usually have no body (RFC 9110 section 9.3).
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})


class ApiNames:
    """The names that a template of an API request may contain besides settings."""

    def __contains__(self, name: object) -> bool:
        return name == "token" or str(name).startswith("token.") or name in _REQUEST_NAMES


def authorization_value(provider: Provider[Any], settings: Settings, token: Token) -> str:
    """Return the value with the token, made from the template `authorization_value`.

    Raises:
        keyturn.errors.ConfigurationError: A value in the template is missing.
    """
    template = provider.authorization_value
    names = _token_names(provider, [template], token)
    if provider.values:
        names = named_values(provider.values, settings, names)
    value = templates.render(template, settings, names)
    if value is None:
        missing = next((name for name, each in names.items() if each is None), "a setting")
        raise errors.ConfigurationError(
            f"authorization_value: {template} needs {missing}, which has no value.",
            hint="Set that setting, or correct the path of the value in the token response.",
        )
    return reveal(value)


def api_values(
    provider: Provider[Any],
    templates_by_name: Mapping[str, str],
    settings: Settings,
    token: Token,
    request: Names | None = None,
    *,
    now: float | None = None,
) -> dict[str, str]:
    """Return the rendered templates of API requests, without those that lack a value.

    Args:
        provider: The provider.
        templates_by_name: The templates.
        settings: The settings.
        token: The token.
        request: See `request_names`. Without it, templates that name the request are left out.
        now: The connection's time, in epoch seconds; by default the system's.
    """
    names = _token_names(provider, templates_by_name.values(), token)
    names |= request or dict.fromkeys(_REQUEST_NAMES)
    if provider.values:
        names = named_values(provider.values, settings, names)
        names |= {} if request else dict.fromkeys(varying(provider.values))
    made: dict[str, Any] = {}
    return {
        name: value if isinstance(value, str) else make(value, now, made)
        for name, value in templates.render_all(templates_by_name, settings, names)
    }


def request_names(method: str, url: str, body: bytes | None) -> dict[str, str | None]:
    """Return the parts of an API request that a template may name, such as to sign it.

    Args:
        method: The method.
        url: The whole URL.
        body: The body; None if there is none, or if it is not in memory. Bytes that are not
            UTF-8 become surrogates (`surrogateescape`).

    Raises:
        keyturn.errors.ConfigurationError: The body is not in memory.
    """
    if body is None and method.upper() not in _BODILESS:
        raise errors.ConfigurationError(
            f"the {method.upper()} request can't be signed, since its body is not in memory.",
            hint="Send the body as bytes.",
        )
    parts = urlsplit(url)
    return {
        "request.method": method.upper(),
        "request.url": url,
        "request.path": parts.path or "/",
        "request.query": parts.query,
        "request.target": target_of(url),
        "request.body": (body or b"").decode("utf-8", "surrogateescape"),
    }


def token_rejected(provider: Provider[Any], response: Response) -> bool:
    """Return whether an API's response rejects the token, by its status or its error code."""
    if response.status in provider.rejected_status:
        return True
    code = field_of(response.json(), provider.rejected_field or provider.error_field)
    return isinstance(code, (str, int)) and str(code) in provider.rejected_codes


def _token_names(provider: Provider[Any], used: Any, token: Token) -> dict[str, Value | None]:
    """Return the token and the fields of its response (`extra`) that templates name."""
    names: dict[str, Value | None] = {"token": Secret(token.access_token)}
    used = (*used, *templates_in(provider.values))
    for name in frozenset[str]().union(*map(templates.names_in, used)):
        head, _, path = name.partition(".")
        if head in STEP_NAMES and path:
            names[name] = _plain(token.extra.get(name))
        elif head == "token" and path:
            is_token = path in {"access_token", provider.token_field}
            found = field_of(dict(token.extra), path)
            names[name] = names["token"] if is_token else _plain(found)
    return names


def _plain(value: object) -> str | None:
    """Return a response's value as a string, or None: a line break would begin another header."""
    made = str(value) if isinstance(value, (str, int)) else "\n"
    return made if made.isprintable() else None
