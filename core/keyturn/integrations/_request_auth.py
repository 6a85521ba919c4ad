"""The base of every adapter: it adds tokens to requests for the API, and handles a 401."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from keyturn import errors
from keyturn._connection import Connection, manager_of
from keyturn._http import urls
from keyturn._http.policy import restricts_addresses
from keyturn._http.response import Response
from keyturn._tokens.single_flight import run_in_thread
from keyturn.integrations._api import Api, origin_of
from keyturn.integrations._api_address import ApiAddress
from keyturn.integrations._authorized_request import AuthorizedRequest, attach, renewed

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from keyturn._tokens.manager import TokenManager

logger = logging.getLogger("keyturn.integrations")


class RequestAuth:
    """Authorizes the requests to one connection's API, and no others.

    It is the base of an adapter for a client. The adapter calls `authorize` before it sends a
    request, and `reauthorize` with the response. The added headers belong to one request: the
    adapter must not let its client copy `AuthorizedRequest.added` to a redirected request, and
    calls `authorize` again for that request.

    Args:
        connection: A connection, or the name of a configured one. `keyturn.load_connection`
            resolves a name on first use. With a name, this object can be pickled and copied; with a
            connection, it can't.

    Raises:
        keyturn.errors.ConfigurationError: The argument is neither of them.

    Example:
        >>> import keyturn
        >>> connection = keyturn.connect(
        ...     "orocommerce",
        ...     url="https://shop.example",
        ...     client_id="made-up",
        ...     client_secret="made-up",
        ... )
        >>> auth = keyturn.integrations.RequestAuth(connection)
        >>> auth.authorize("GET", "https://elsewhere.example/", {})
        Traceback (most recent call last):
        keyturn.errors.ForeignOrigin: orocommerce: ...
    """

    def __init__(self, connection: Connection | str) -> None:
        if not isinstance(connection, (Connection, str)):
            raise errors.ConfigurationError(
                f"an adapter needs a connection or its name, not a {type(connection).__name__}.",
                hint="Pass what keyturn.connect returns, or the name of a configured connection.",
            )
        self._source = connection
        self._connection = None if isinstance(connection, str) else connection
        self._api: Api | None = None
        # Whether `authorize` resolves the API's host; not if the adapter checks each connection.
        self.resolves = True

    @property
    def connection(self) -> Connection:
        """The connection.

        Raises:
            keyturn.errors.ConfigurationError: The connection with that name can't be loaded.
        """
        if self._connection is None:
            from keyturn import load_connection  # the package imports this module

            # Two threads may each load one: both share tokens through single flight and store.
            self._connection = load_connection(str(self._source))
        return self._connection

    def authorize(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> AuthorizedRequest:
        """Return a request with the token and the provider's headers.

        Args:
            method: The HTTP method.
            url: The URL of the request.
            headers: The caller's headers, in upper or lower case. keyturn replaces `Authorization`,
                or another header with the provider's token, and keeps all others. `Accept: */*`
                doesn't count as the caller's.
            body: The body, if it is in memory, because some providers sign it.

        Returns:
            The request. Its URL includes the query parameters that the provider adds.

        Raises:
            keyturn.errors.ConfigurationError: The connection's network policy forbids the API's
                host or one of its addresses; or a request to be signed has a body that is not in
                memory.
            keyturn.errors.ForeignOrigin: The URL doesn't lead to the API's origin (RFC 6454).
            keyturn.errors.KeyturnError: No token can be acquired.
        """
        api = self._api_for(url)
        if api.address and self.resolves:
            api.address.ensure()
        return attach(url, headers, api.manager.get(), method=method, body=body)

    async def aauthorize(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> AuthorizedRequest:
        """Return a request with the token and the provider's headers; see `authorize`.

        It doesn't block the event loop of asyncio or trio.
        """
        api = await self._aapi_for(url)
        if api.address and self.resolves:
            await api.address.aensure()
        snapshot = await api.manager.aget()
        return attach(url, headers, snapshot, method=method, body=body)

    def needs_body(self, sent: AuthorizedRequest, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether `reauthorize` may return a request, and so needs a response's body.

        This is true for the statuses that refuse the token, by default 401. With `rejected_codes`,
        it is true for all JSON responses of up to a million bytes.

        Args:
            sent: The sent request.
            status: The response's status.
            headers: The response's headers, in any case.
        """
        if sent.is_renewed:
            return False
        api = self._api or self._find_api()
        return api.may_mean_token(status, headers)

    def reauthorize(
        self, sent: AuthorizedRequest, status: int, headers: Mapping[str, str], body: bytes
    ) -> AuthorizedRequest | None:
        """Return the request with another token, after the API has refused the first one.

        Args:
            sent: The sent request.
            status: The response's status.
            headers: The response's headers, in any case.
            body: The response's body.

        Returns:
            None if the response doesn't refuse the token, if the request has already been sent with
            another token, or if no other token is available. The caller then gets the API's own
            response; a failed renewal is logged.
        """
        if not self.needs_body(sent, status, headers):
            return None
        with self._logged_failure():
            # The connection may have been replaced by one to another API.
            manager = self._api_for(sent.url).manager
            if _is_rejected(manager, status, headers, body):
                return renewed(sent, manager.get(sent.token))
        return None

    async def areauthorize(
        self, sent: AuthorizedRequest, status: int, headers: Mapping[str, str], body: bytes
    ) -> AuthorizedRequest | None:
        """Return the request with another token, without blocking the event loop."""
        if not self.needs_body(sent, status, headers):
            return None
        with self._logged_failure():
            return await self._areauthorize(sent, status, headers, body)
        return None

    async def _areauthorize(
        self, sent: AuthorizedRequest, status: int, headers: Mapping[str, str], body: bytes
    ) -> AuthorizedRequest | None:
        manager = (await self._aapi_for(sent.url)).manager
        if not _is_rejected(manager, status, headers, body):
            return None
        return renewed(sent, await manager.aget(sent.token))

    def _api_for(self, url: str) -> Api:
        return self._checked(self._find_api(), url)

    async def _aapi_for(self, url: str) -> Api:
        api, connection = self._api, self._connection
        if api is None or connection is None or api.manager is not manager_of(connection):
            # Files may be read for the first, and a token acquired for the second.
            found = await run_in_thread(lambda: self.connection)
            api = await run_in_thread(self._find_api, manager_of(found).host)
        return self._checked(api, url)

    def _checked(self, api: Api, url: str) -> Api:
        if not api.is_at(url):
            raise errors.ForeignOrigin(
                f"{origin_of(url) or 'the URL'} is not the API's origin {api.origin}, so the token "
                "was not attached.",
                connection=self.connection.name,
                hint="Send this request without keyturn, or with a connection to that host.",
            )
        return api

    def _find_api(self) -> Api:
        connection, api = self.connection, self._api
        # Again if the connection is replaced meanwhile: a token must not go to another API.
        while api is None or api.manager is not manager_of(connection):
            manager, url = manager_of(connection), connection.api_url
            options, address = manager.acquisition.options, None
            if restricts_addresses(options.policy):
                address = ApiAddress(options.policy, url, connection.name, options.timeout)
            provider = manager.acquisition.latest().provider
            codes = bool(provider.rejected_codes)
            api = Api(manager, urls.origin(url), address, provider.rejected_status, codes)
        self._api = api
        return api

    @contextlib.contextmanager
    def _logged_failure(self) -> Generator[None]:
        try:
            yield
        except errors.KeyturnError as error:
            logger.warning(
                "%s: the API refused the token, and no other could be acquired: %s",
                self.connection.name,
                error,
            )

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self._source, str):
            return type(self), (self._source,)
        raise TypeError(
            f"{self._source!r} can't be pickled or copied, nor can an adapter made from it, "
            "because it contains a secret. Create the adapter from the name of a configured "
            "connection."
        )

    def __repr__(self) -> str:
        return f"<RequestAuth of {self._source!r}>"


def api_for(auth: RequestAuth, url: str) -> Api:
    """Return the API that a URL leads to.

    Raises:
        keyturn.errors.ForeignOrigin: The URL doesn't lead to the API's origin.
        keyturn.errors.KeyturnError: The API's address is unknown.
    """
    return auth._api_for(url)  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - of this module


async def aapi_for(auth: RequestAuth, url: str) -> Api:
    """Return the API that a URL leads to, without blocking the event loop; see `api_for`."""
    return await auth._aapi_for(url)  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - of this module


async def areauthorized(
    auth: RequestAuth,
    sent: AuthorizedRequest,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
) -> AuthorizedRequest | None:
    """Return the request with another token if the response refuses the token.

    Args:
        auth: The authorization of the request.
        sent: The sent request, for which `needs_body` is true.
        status: The response's status.
        headers: The response's headers, in any case.
        body: The response's body.

    Raises:
        keyturn.errors.KeyturnError: No other token can be acquired.
    """
    return await auth._areauthorize(sent, status, headers, body)  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - of this module


class Adapter:
    """The common base of the adapters: the source of their tokens, and copying.

    Args:
        connection: A connection, or the name of a configured one.
    """

    if TYPE_CHECKING:
        _client: ClassVar[str]  # the client's name, and that of the adapter's module
    else:  # a type checker reports the wrong client by itself

        def __call__(self, request: object, *_: object) -> NoReturn:
            """Refuse another client, which calls its adapters."""
            self._refuse(request)

    def __init__(self, connection: Connection | str) -> None:
        self._auth = RequestAuth(connection)

    def _refuse(self, request: object) -> NoReturn:
        """Raise the error for a request of another client."""
        other = type(request).__module__.partition(".")[0]
        raise errors.ConfigurationError(
            f"keyturn.integrations.{self._client} is for {self._client}, not for {other}, so the "
            "token was not attached.",
            connection=self._auth.connection.name,
            hint="Use the adapter that is named after the client.",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._auth.__reduce__()[1]


def _is_rejected(
    manager: TokenManager, status: int, headers: Mapping[str, str], body: bytes
) -> bool:
    lower = {name.lower(): value for name, value in headers.items()}
    return manager.token_rejected(Response(status, lower, body))


RequestAuth.__module__ = "keyturn.integrations"
