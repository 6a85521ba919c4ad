"""The transport of a token request: bounded size, one deadline, no redirects."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn._common.once import cached_once, importing
from keyturn._common.system_errors import advice, system_failure
from keyturn._http.policy import PERMISSIVE, check_host
from keyturn._http.urls import host_of, url_problem

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from keyturn._clock import Clock
    from keyturn._http.policy import NetworkPolicy
    from keyturn._http.request import TokenRequest
    from keyturn._http.response import Response
    from keyturn._http.tls import Trust


class Transport:
    """Sends token requests.

    A connection is kept for some seconds (see `keyturn._http.kept`), for simultaneous requests of
    several tenants to one endpoint. Token requests are rare, so a longer time would not help.

    Args:
        tls: A TLS context, or the path of a PEM file of certificate authorities; by default those
            of `KEYTURN_CA_FILE`, `SSL_CERT_FILE` or `SSL_CERT_DIR`, or else those of certifi. They
            are read once.
    """

    def __init__(self, *, tls: ssl.SSLContext | str | None = None) -> None:
        self._tls = tls
        self._load = cached_once(self._loaded)
        self._exchange: Callable[..., Response] | None = None
        if "uwsgi" in sys.modules:  # it forks without Python's hooks, and so also during an import
            self._load()
            from keyturn._http.proxies import proxy_parser

            proxy_parser()

    def send(
        self,
        request: TokenRequest,
        seconds: float,
        clock: Clock = SYSTEM,
        policy: NetworkPolicy = PERMISSIVE,
    ) -> Response:
        """Send a token request and return the whole response, with any status.

        Args:
            request: The token request.
            seconds: The time limit for the complete response, by the system's clock; see
                `keyturn._http.network.Network`.
            clock: The clock for the time of the request and of signed assertions.
            policy: The network policy.

        Raises:
            keyturn.errors.EndpointUnavailable: No response arrived in time.
            keyturn.errors.ConfigurationError: The request can't be sent, or the policy forbids its
                host.
            keyturn.errors.InvalidTokenResponse: The response is larger than `MAX_BODY` bytes, or
                has an encoding that keyturn did not accept.
        """
        problem = url_problem(request.url)
        if problem:
            raise errors.ConfigurationError(f"the token endpoint's address {problem}.")
        if policy is not PERMISSIVE:
            check_host(policy, host_of(request.url), "token endpoint")
        exchange = self._exchange or self._load()
        return exchange(request, seconds, clock, policy)

    def _loaded(self) -> Callable[..., Response]:
        try:
            with importing:
                try:
                    exchange, trust = _imported()
                except (AttributeError, RuntimeError):
                    # httpcore imports trio if it is installed, but trio can't be imported under
                    # eventlet or in an isolated subinterpreter of Python 3.11.
                    sys.modules["trio"] = None  # type: ignore[assignment]  # it is absent
                    try:
                        exchange, trust = _imported()
                    finally:
                        del sys.modules["trio"]
        except Exception as error:  # noqa: BLE001 - an isolated subinterpreter refuses some modules
            hint = "Check the installation of httpcore; in a subinterpreter, use the main one."
            raise errors.ConfigurationError(
                f"the HTTP client can't be imported here: {type(error).__name__}: {error}.",
                hint=advice(error) if system_failure(error) else hint,
            ) from None
        self._exchange = functools.partial(exchange, trust=trust(self._tls))
        return self._exchange


def _imported() -> tuple[Callable[..., Response], type[Trust]]:
    from keyturn._http.exchange import exchange
    from keyturn._http.tls import Trust

    return exchange, Trust
