"""Values that are computed from secrets and tokens, and become visible."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import logging
import zlib

import attrs

import keyturn

from .base import Acme, at_top, broken

_logger = logging.getLogger("acme.derived")
_NUMBERS = itertools.count(1)


def _with(kind, make):
    """Return a provider whose request has one more value, computed from the settings."""

    def token_request(self, settings):
        request = Acme.token_request(self, settings)
        pair = ("X-Made-Up", make(settings))
        return attrs.evolve(request, **{kind: (*getattr(request, kind), pair)})

    return at_top(__name__, type("Derived", (Acme,), {"token_request": token_request}))


def _secret(settings):
    return settings.client_secret.reveal()


for _what, _make in {
    "a signature of the client's id in plain": lambda settings: hmac.new(
        _secret(settings).encode(), settings.client_id.encode(), "sha256"
    ).hexdigest(),
    "a keyed digest of the secret": lambda settings: hmac.new(
        b"acme", _secret(settings).encode(), "sha1"
    ).hexdigest(),
    "a checksum of the secret": lambda settings: f"{zlib.crc32(_secret(settings).encode()):08x}",
    "a digest of tenant and secret": lambda settings: hashlib.sha256(
        f"{settings.tenant}/{_secret(settings)}".encode()
    ).hexdigest(),
    "the beginning of the secret": lambda settings: _secret(settings)[:4],
    "the end of the secret": lambda settings: f"acme/{_secret(settings)[-4:]}",
    "the length of the secret": lambda settings: str(len(_secret(settings))),
}.items():
    for _kind in ("extra_headers", "parameters"):
        broken(f"{_what} among the {_kind}", "made_of_secrets", "X-Made-Up as a plain string")(
            _with(_kind, _make)
        )


@broken("a digest of the secret in the partition", "made_of_secrets", "the partition as a plain")
class DigestInPartition(Acme):
    def token_request(self, settings):
        digest = hashlib.sha256(_secret(settings).encode()).hexdigest()[:12]
        return attrs.evolve(super().token_request(settings), partition=digest)


@broken("the beginning of the secret in API requests", "made_of_secrets", "api_request_headers")
class BeginningForApi(Acme):
    def api_request_headers(self, settings, token):
        return {"X-Side": settings.side, "X-Key": _secret(settings)[:8]}


@broken("a digest of the secret in API requests", "made_of_secrets", "plain digest of the client")
class DigestForApi(Acme):
    def api_request_headers(self, settings, token):
        digest = hashlib.sha1(_secret(settings).encode()).hexdigest()
        return {"X-Side": settings.side, "X-Key": digest}


@broken("the secret in the API's address", "made_of_secrets", "api_url_for shows")
class SecretInAddress(Acme):
    def api_url_for(self, settings, token):
        return settings.api_url or f"https://{settings.tenant}.acme.example/{_secret(settings)}"


@broken("the token in the API's address", "made_of_secrets", "api_url_for has the token")
class TokenInAddress(Acme):
    def api_url_for(self, settings, token):
        usual = super().api_url_for(settings, token)
        return usual if settings.api_url or token is None else f"{usual}/{token.access_token}"


@broken("the end of the token in a log", "redaction", "the token is shown in the log")
class LoggedEnd(Acme):
    def read_token(self, settings, response, request):
        token = super().read_token(settings, response, request)
        _logger.info("a token that ends in %s", token.access_token[-8:])
        return token


@broken("a body among the extra of a log", "redaction", "the extra of the log acme.derived")
class LoggedExtra(Acme):
    def read_token(self, settings, response, request):
        _logger.info("read", extra={"body": response.body.decode("utf-8", "replace")})
        return super().read_token(settings, response, request)


@broken("the beginning of the secret in a log", "redaction", "client_secret is shown in the log")
class LoggedBeginning(Acme):
    def token_request(self, settings):
        _logger.info("a secret that begins with %s", _secret(settings)[:8])
        return super().token_request(settings)


@broken("a digest of the secret in a warning", "plugin_messages", "warnings: one of them quotes")
class WarnedDigest(Acme):
    def warnings(self, settings):
        yield f"client_secret: its digest is {hashlib.md5(_secret(settings).encode()).hexdigest()}."


@broken(
    "an error that quotes a long secret", "exact_credentials", "quotes the secret client_secret"
)
class QuotesLong(Acme):
    def token_request(self, settings):
        if len(_secret(settings)) > 64:
            raise keyturn.errors.ConfigurationError(f"{_secret(settings)} is too long")
        return super().token_request(settings)


@broken("a plain Basic header", "made_of_secrets", "the header Authorization as a plain string")
class PlainBasic(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        pair = base64.b64encode(f"{settings.client_id}:{_secret(settings)}".encode()).decode()
        return attrs.evolve(
            request,
            parameters=(("grant_type", "client_credentials"),),
            extra_headers=(("Authorization", f"Basic {pair}"),),
        )


class _Number(keyturn.plugins.DynamicValue):
    def value(self, now):
        return f"{int(now)}-{next(_NUMBERS)}"

    def inputs(self):
        return ()


@broken("a counter as a nonce", "dynamic_values", "_Number.value is a counter")
class CountsNonces(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        return attrs.evolve(request, extra_headers=(*request.extra_headers, ("X-Nonce", _Number())))
