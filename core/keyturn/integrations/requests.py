"""The adapter for requests."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import attrs
from requests.auth import AuthBase
from requests.exceptions import UnrewindableBodyError
from requests.utils import requote_uri, rewind_body

from keyturn._http.response import Response as ApiResponse
from keyturn.integrations._request_auth import Attachment, unshown

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

    from keyturn._connection import Connection
    from keyturn._token import Token


@attrs.define
class _Sent:
    """What was attached to one request: the token, and the names of the headers."""

    token: Token
    names: tuple[str, ...]


class KeyturnAuth(AuthBase):
    """Puts a connection's token, and the provider's own headers, on requests for its API.

    A caller's `Authorization` is replaced, and so is `Accept: */*`, which requests sends by
    itself; all other headers of the caller's stay. After a 401 that means the token, the token is
    renewed and the request sent once more, a file as its body from where it began; when the body
    can't be sent again, or there is no other token to be had, the API's own response is returned.
    What is added here doesn't follow a redirect to another origin. Like requests' own
    authentication, it reads the whole body of a 401, also with `stream=True`.

    Args:
        connection: Where the tokens come from.

    Raises:
        keyturn.errors.ForeignOrigin: A request doesn't lead to the API's origin (RFC 6454); it
            isn't sent.
        keyturn.errors.KeyturnError: There is no token to be had.

    Example:
        >>> import keyturn, requests
        >>> connection = keyturn.connect(
        ...     "orocommerce",
        ...     url="https://shop.example",
        ...     client_id="made-up",
        ...     client_secret="made-up",
        ... )
        >>> session = requests.Session()
        >>> session.auth = keyturn.integrations.requests.KeyturnAuth(connection)
    """

    def __init__(self, connection: Connection) -> None:
        self._attachment = Attachment(connection)

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Attach the token to a request, and see to what comes back."""
        token = self._attachment.token(r.url or "")
        headers = unshown(self._attachment.headers(token, r.headers))
        r.headers.update(headers)
        sent = _Sent(token, tuple(name for name, _ in headers))
        r.hooks["response"].append(functools.partial(self._answered, sent))
        return r

    def _answered(self, sent: _Sent, response: Response, **options: Any) -> Response:
        """Return the response to go on with; requests asks for each one, redirects included."""
        if response.status_code == 401:
            response = self._retried(sent, response, options)
        if response.is_redirect and not self._attachment.is_home(_target(response)):
            # requests copies the headers of this very request to follow the redirect.
            for name in sent.names:
                response.request.headers.pop(name, None)
        return response

    def _retried(self, sent: _Sent, response: Response, options: dict[str, Any]) -> Response:
        """Return the response to the request sent again with another token, else the given one."""
        request = response.request
        carried = self._attachment.carries(sent.token, request.url or "", request.headers)
        if not carried:
            return response
        given = {name.lower(): value for name, value in response.headers.items()}
        refused = ApiResponse(response.status_code, given, response.content)
        other = self._attachment.renewed(sent.token, refused)
        if other is None or not _rewound(request):
            return response
        headers = self._attachment.headers(other, request.headers, sent.token)
        request.headers.update(unshown(headers))
        sent.token = other
        response.close()
        retried = response.connection.send(request, **options)
        retried.history.append(response)
        return retried


def _rewound(request: PreparedRequest) -> bool:
    """Tell whether the body can be sent again; a file is put back to where it began."""
    if request.body is None or isinstance(request.body, (bytes, str)):
        return True
    try:
        rewind_body(request)
    except UnrewindableBodyError:
        return False
    return True


def _target(response: Response) -> str:
    """Return where a redirect leads, as requests works it out."""
    return urljoin(response.url, requote_uri(response.headers["location"]))
