"""Revocation of a token at its provider (RFC 7009)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from keyturn import errors
from keyturn._http.policy import PERMISSIVE
from keyturn._http.response import error_for
from keyturn._http.steps import step_value
from keyturn._providers.response_calls import read_error
from keyturn._providers.revocation_calls import revocation_request
from keyturn._tokens.previous import acquire_steps, bound_request
from keyturn._tokens.snapshot import EMPTY
from keyturn._tokens.token_query import TokenQuery

if TYPE_CHECKING:
    from keyturn._tokens.manager import TokenManager


def revoke(manager: TokenManager) -> None:
    """Revoke the current token and discard it, if one exists.

    Raises:
        keyturn.errors.ConfigurationError: The provider does not support revocation.
        keyturn.errors.KeyturnError: The provider refused, or did not respond.
    """
    own, snapshot = manager.acquisition, manager.peek()
    if snapshot is EMPTY:
        return
    provider, settings, _ = own.latest()
    request = revocation_request(provider, settings, snapshot.token)
    if request is None:
        raise errors.ConfigurationError(
            f"{provider.name} does not support revocation of tokens.",
            hint="To discard the cached token, use `keyturn forget` or connection.forget(); the "
            "token stays valid until it expires.",
        )
    if step_value(request.url):
        credentials = own.latest()
        known = credentials._replace(request=attrs.evolve(request, steps=credentials.request.steps))
        tokens = acquire_steps(own, credentials, TokenQuery())
        request = bound_request(known, tokens)
    response = own.transport.send(request, own.options.timeout, own.clock, own.options.policy)
    if response.status != 200:
        error = read_error(provider, settings, response)
        only_oauth = own.options.policy != PERMISSIVE
        secrets, url = own.secrets(request, snapshot.token), request.url
        raise error_for(error, response, secrets, url=url, only_oauth=only_oauth)
    manager.invalidate(snapshot.token)
