"""The adapter for requests, with values that HTTPie prints as asterisks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from httpie.client import JSON_ACCEPT

from keyturn import errors
from keyturn.integrations._authorized_request import Unshown
from keyturn.integrations._request_auth import RequestAuth
from keyturn.integrations.requests import KeyturnAuth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn.integrations._authorized_request import AuthorizedRequest


class _Masked(Unshown):
    """A header's value that is sent unchanged, and formatted as asterisks."""

    __slots__ = ()

    def __format__(self, _: str) -> str:
        return "********"


class _MaskedRequestAuth(RequestAuth):
    """Authorizes requests with values that HTTPie's output doesn't show."""

    def authorize(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> AuthorizedRequest:
        return _masked(super().authorize(method, url, _chosen(headers), body))

    def reauthorize(
        self, sent: AuthorizedRequest, status: int, headers: Mapping[str, str], body: bytes
    ) -> AuthorizedRequest | None:
        again = super().reauthorize(sent, status, headers, body)
        return again and _masked(again)


class _MaskedAuth(KeyturnAuth):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._auth = _MaskedRequestAuth(name)


def masked_auth(name: str, password: str | None) -> KeyturnAuth:
    """Return an adapter for requests whose added values HTTPie does not show.

    Args:
        name: The name of a configured connection.
        password: The password on the command line.

    Raises:
        keyturn.errors.ConfigurationError: There is a password.
    """
    if password:
        raise errors.ConfigurationError(
            "keyturn takes no password on the command line.",
            hint="Pass the name of a configured connection: --auth NAME.",
        )
    return _MaskedAuth(name)


def _chosen(headers: Mapping[str, str | bytes]) -> dict[str, str]:
    """Return a user's headers, which are bytes in HTTPie, without HTTPie's own `Accept`."""
    given = {
        name: value.decode("latin-1") if isinstance(value, bytes) else value
        for name, value in headers.items()
    }
    return given | ({"Accept": "*/*"} if given.get("Accept") == JSON_ACCEPT else {})


def _masked(sent: AuthorizedRequest) -> AuthorizedRequest:
    added = tuple((name, _Masked(value)) for name, value in sent.added)
    return attrs.evolve(sent, headers=sent.headers | dict(added), added=added)
