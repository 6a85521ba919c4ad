"""The adapter for requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import attrs
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body

from keyturn import errors
from keyturn.integrations._authorized_request import is_sent
from keyturn.integrations._request_auth import Adapter, RequestAuth
from keyturn.integrations._urllib3 import checked_pool

if TYPE_CHECKING:
    from requests import Response

    from keyturn._connection import Connection
    from keyturn.integrations._authorized_request import AuthorizedRequest


class _Request(PreparedRequest):
    """A prepared request that has keyturn's headers only while its URL leads to the API's origin.

    To follow a redirect, requests copies a request and then sets the URL of the copy. Each new URL
    is checked, so that it doesn't matter how requests finds it.
    """

    auth: RequestAuth
    authorized: AuthorizedRequest | None = None
    has_left = False

    @property
    def url(self) -> str | None:
        """The URL to send it to."""
        return cast("str | None", self.__dict__["url"])

    @url.setter
    def url(self, value: str | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self.__dict__["url"] = value
        try:
            self.authorize()
        except errors.ForeignOrigin:
            # Another host must not control requests with the token, so it is not added again.
            self.has_left = True

    def authorize(self) -> None:
        """Replace keyturn's headers with those for its URL, if it may have any.

        Raises:
            keyturn.errors.ForeignOrigin: The URL doesn't lead to the API's origin.
        """
        self.replace_headers(None)
        if not self.has_left:
            self.replace_headers(
                self.auth.authorize(
                    self.method or "", self.url or "", dict(self.headers), _body(self.body)
                )
            )

    def replace_headers(self, sent: AuthorizedRequest | None) -> None:
        """Replace keyturn's headers with others, or remove them."""
        for name, value in self.authorized.added if self.authorized else ():
            if self.headers.get(name) == value:
                del self.headers[name]
        self.headers.update(sent.added if sent else ())
        self.authorized = sent
        if sent:
            self.__dict__["url"] = sent.url

    def prepare_auth(self, auth: Any, url: str = "") -> None:
        """Add other authentication, except from `.netrc`, which requests reads at redirects."""
        if self.authorized is None or not isinstance(auth, tuple):
            super().prepare_auth(auth, url)

    def copy(self) -> _Request:
        """Return a copy to the same URL; another URL causes a new authorization."""
        copied = _own(super().copy(), self.auth)
        copied.authorized, copied.has_left = self.authorized, self.has_left
        return copied

    def as_given(self, sent: AuthorizedRequest) -> _Request:
        """Return a copy without keyturn's headers and query."""
        copied = self.copy()
        copied.replace_headers(None)
        copied.__dict__["url"] = sent.given_url
        return copied


def _own(request: Any, auth: RequestAuth) -> _Request:
    request.__class__ = _Request
    request.auth = auth
    return cast("_Request", request)


class KeyturnAuth(Adapter, AuthBase):
    """Adds a connection's token, and the provider's own headers, to requests for its API.

    keyturn replaces a caller's `Authorization`, and `Accept: */*`, which requests sends by default;
    it keeps all other headers of the caller. After a 401 for a refused token, keyturn renews the
    token and sends the request once more, and rewinds a file in its body. It returns the API's own
    response if the body can't be sent again, or if no other token is available.

    A redirected request has the added headers only if it leads to the API's origin, and no earlier
    redirect led elsewhere. Like requests' own authentication, this reads the whole body of a 401,
    also with `stream=True`.

    Args:
        connection: A connection, or the name of a configured one. An adapter made from a name can
            be pickled and copied.

    Raises:
        keyturn.errors.ForeignOrigin: The URL is not at the API's origin (RFC 6454); the request
            isn't sent.
        keyturn.errors.ConfigurationError: A library other than requests uses it, such as niquests.
        keyturn.errors.KeyturnError: No token can be acquired.

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

    _client = "requests"

    def __call__(self, r: PreparedRequest, *_: object) -> PreparedRequest:
        """Add the token to a request, and a hook that reads its response."""
        if not isinstance(r, PreparedRequest):
            self._refuse(r)
        _own(r, self._auth).authorize()
        if self._responded not in r.hooks["response"]:
            r.hooks["response"].append(self._responded)
        return r

    def _responded(self, response: Response, **options: Any) -> Response:
        """Return the response, or the response to the request with another token.

        requests calls this for each response to a request, redirects included.
        """
        request = cast("_Request", response.request)
        # A cached response has another kind of request.
        sent: AuthorizedRequest | None = getattr(request, "authorized", None)
        # A hook of the caller may have replaced the token.
        status, headers = response.status_code, response.headers
        if (
            sent
            and self._auth.needs_body(sent, status, headers)
            and is_sent(sent, request.headers, request.url or "")
        ):
            again = self._auth.reauthorize(sent, status, headers, response.content)
            if again and _rewound(request):
                # It becomes part of the history, which caches store without full redaction.
                response.request = request.as_given(sent)
                # requests doesn't call this for a response to `send`. A prepared request that is
                # sent once more by the caller may be renewed again.
                request.replace_headers(attrs.evolve(again, is_renewed=False))
                response.close()
                retried: Response = response.connection.send(request, **options)
                retried.history.append(response)
                return retried
        return response


def _body(body: Any) -> bytes | None:
    """Return a body in memory; an absent body is empty."""
    if body is None or isinstance(body, bytes):
        return body or b""
    return body.encode() if isinstance(body, str) else None


def _rewound(request: PreparedRequest) -> bool:
    """Return whether the body can be sent again; this rewinds a file."""
    try:
        if not isinstance(request.body, (bytes, str, type(None))):
            rewind_body(request)
    except UnrewindableBodyError:
        return False
    return True


class PolicyAdapter(HTTPAdapter):
    """Connects a session, and refuses addresses that a connection's policy forbids.

    It checks the connected address before it sends anything, even before TLS. So a DNS answer that
    changes after another check (DNS rebinding) has no effect. It checks all hosts that it is
    mounted for, including redirects. Behind a proxy, which resolves names itself, it checks
    nothing.

    Args:
        connection: The connection with the `keyturn.NetworkPolicy`, or the name of a configured
            one.
        options: The options of `requests.adapters.HTTPAdapter`.

    Example:
        >>> import keyturn, requests
        >>> def use(connection: keyturn.Connection) -> None:
        ...     adapter = keyturn.integrations.requests
        ...     with requests.Session() as session:
        ...         session.auth = adapter.KeyturnAuth(connection)
        ...         session.mount("https://", adapter.PolicyAdapter(connection))
        ...         session.get(f"{connection.api_url}/users", timeout=10)
    """

    def __init__(self, connection: Connection | str, **options: Any) -> None:
        self._auth = RequestAuth(connection)
        super().__init__(**options)

    def init_poolmanager(self, *given: Any, **options: Any) -> None:
        """Create the connection pools; requests calls this."""
        super().init_poolmanager(*given, **options)
        usual = self.poolmanager.pool_classes_by_scheme
        self.poolmanager.pool_classes_by_scheme = {
            scheme: checked_pool(pool, self._auth) for scheme, pool in usual.items()
        }
