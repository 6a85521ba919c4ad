"""The project's views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from django.http import HttpResponse
from django.urls import path

from keyturn.integrations.django import connections
from keyturn.integrations.httpx import KeyturnAuth

if TYPE_CHECKING:
    from django.http import HttpRequest


def users(_: HttpRequest) -> HttpResponse:
    """Call the API."""
    connection = connections["own"]
    response = httpx.get(f"{connection.api_url}/users", auth=KeyturnAuth(connection))
    return HttpResponse(status=response.status_code)


async def users_async(_: HttpRequest) -> HttpResponse:
    """Call the API without a thread of its own."""
    connection = connections["own"]
    async with httpx.AsyncClient(auth=KeyturnAuth(connection)) as client:
        response = await client.get(f"{connection.api_url}/users")
    return HttpResponse(status=response.status_code)


def broken(_: HttpRequest) -> HttpResponse:
    """Fail after a call."""
    connection = connections["own"]
    auth = KeyturnAuth(connection)
    response = httpx.get(f"{connection.api_url}/users", auth=auth)
    message = f"{connection} {auth} {response.status_code}"
    raise RuntimeError(message)


def unreachable(_: HttpRequest) -> HttpResponse:
    """Fail during a call: no server listens there."""
    connection = connections["own"]
    api = connection.api_url
    with httpx.Client(transport=httpx.HTTPTransport(proxy="http://127.0.0.1:9")) as client:
        return HttpResponse(client.get(f"{api}/users", auth=KeyturnAuth(connection)))


def refused(_: HttpRequest) -> HttpResponse:
    """Fail to open a connection."""
    return HttpResponse(connections["nothing"])


def leaking(_: HttpRequest) -> HttpResponse:
    """Fail with a token in a local variable, which an application should avoid."""
    leaked = connections["own"].token().access_token
    raise RuntimeError(len(leaked))


VIEWS = (users, users_async, broken, unreachable, refused, leaking)
urlpatterns = [path(view.__name__, view) for view in VIEWS]
