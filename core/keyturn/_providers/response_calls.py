"""The calls of a provider's methods that read responses."""

from __future__ import annotations

from types import NoneType

from keyturn._http.response import OAuthError
from keyturn._providers.calls import calling
from keyturn._providers.provider import Provider
from keyturn._token import Token

read_error = calling(Provider.read_error, OAuthError, NoneType)
read_token = calling(Provider.read_token, Token)
