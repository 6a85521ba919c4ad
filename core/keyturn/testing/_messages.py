"""HTTP messages as values, and the parameters in a request's body."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import attrs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class MalformedBody(Exception):
    """A request's body is not in a format that the endpoint reads."""


@attrs.frozen
class ReceivedRequest:
    """A request as it arrived at the emulator.

    Args:
        method: The method, such as POST.
        target: The path, with the query if there was one.
        headers: The headers; their names are in lower case.
        body: The body's bytes.
        address: The client's IP address.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    address: str

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def media_type(self) -> str:
        """The body's media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@attrs.frozen
class Response:
    """A response: its status, body and headers (the length excepted)."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])


def json_response(status: int, value: object, media_type: str = "application/json") -> Response:
    """Return a JSON response that no cache keeps (RFC 6749 section 5.1)."""
    headers = {"Content-Type": media_type, "Cache-Control": "no-store", "Pragma": "no-cache"}
    return Response(status, json.dumps(value).encode(), headers)


def html_response(status: int, title: str) -> Response:
    """Return an HTML page, like those of servers in front of an application."""
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Response(status, page.encode(), {"Content-Type": "text/html"})


def json_object(body: bytes) -> dict[str, Any]:
    """Return the object in a JSON body.

    Raises:
        MalformedBody: The body is not a JSON object.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedBody("the body is not JSON") from error
    if not isinstance(value, dict):
        raise MalformedBody("the body is not a JSON object")
    return value


def form_parameters(request: ReceivedRequest) -> dict[str, str]:
    """Return the parameters of a form.

    Raises:
        MalformedBody: The body is not a form, or repeats a parameter (RFC 6749 section 3.2).
    """
    if request.media_type != "application/x-www-form-urlencoded":
        raise MalformedBody("the body is not a form")
    try:
        pairs = parse_qsl(request.body.decode("ascii"), max_num_fields=100)
    except ValueError as error:
        raise MalformedBody("the form can't be read") from error
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise MalformedBody("a parameter is repeated")
    return parameters


def parameters_of_any_kind(request: ReceivedRequest, names: Collection[str]) -> dict[str, str]:
    """Return the parameters of a JSON object, or of a form.

    Args:
        request: The request.
        names: The parameters that the endpoint reads: others of a JSON object are
            ignored.

    Raises:
        MalformedBody: The body is neither, or one of these parameters is not a string.
    """
    if request.media_type != "application/json":
        return form_parameters(request)
    given = json_object(request.body)
    # Frameworks treat null as an absent parameter.
    parameters = {name: given[name] for name in names if given.get(name) is not None}
    if not all(isinstance(value, str) for value in parameters.values()):
        raise MalformedBody("a parameter is not a string")
    return parameters
