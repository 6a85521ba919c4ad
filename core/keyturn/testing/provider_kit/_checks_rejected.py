"""Check of which API responses reject the token."""

from __future__ import annotations

import contextlib
import functools
import json
import time
from typing import TYPE_CHECKING, Any

from keyturn._http.response import Response as ReadResponse
from keyturn.testing._messages import Response, html_response, json_response
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._source import own_strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyturn._providers.provider import Provider
    from keyturn.testing.provider_kit._subject import Subject

# Too many requests; a failure of the server (RFC 9110 section 15.6).
_LIMITED, _SERVER = 429, 500
_REJECTION_FIELDS = ("error", "code", "message", "status", "title", "type", "error_code")


def token_rejected(subject: Subject) -> None:
    """`token_rejected` returns True or False for any 401 response."""
    provider, settings = subject.effective_provider, subject.settings()
    contents: tuple[Any, ...] = (None, [], {}, 7, "string", {"errors": [7]}, {"error": []})
    unusual = [json_response(401, content) for content in contents]
    for each in (*unusual, html_response(401, "Unauthorized"), Response(401)):
        response = samples.to_response(each)
        rejected: Any = subject.call(
            "token_rejected", functools.partial(provider.token_rejected, settings, response)
        )
        if not isinstance(rejected, bool):
            raise CheckFailed(
                f"token_rejected returns {type(rejected).__name__} for {response.body[:60]!r}.",
                "let token_rejected return True when a new token may help, else False.",
            )
    wrong = (each for each in provider.rejected_status if each == _LIMITED or each >= _SERVER)
    for status in wrong:
        raise CheckFailed(
            f"rejected_status names {status}, which never rejects a token.",
            "let rejected_status name the statuses with which the API rejects a token.",
        )
    for what, response in _declared_rejections(provider):
        if provider.token_rejected(settings, response) is not True:
            raise CheckFailed(
                f"{what}, but token_rejected does not return True for it.",
                "start token_rejected from super().token_rejected(settings, response).",
            )
    if not any(_rejections(subject)):
        raise CheckFailed(
            "token_rejected never returns True: a token that the API rejects is used until it "
            "expires.",
            "let token_rejected return True for a 401 that rejects the token.",
        )


def _declared_rejections(provider: Provider[Any]) -> Iterator[tuple[str, ReadResponse]]:
    """Yield responses that reject the token according to the provider's data."""
    headers, now = {"content-type": "application/json"}, time.time()
    for status in sorted(provider.rejected_status - {401}):
        yield f"rejected_status names {status}", ReadResponse(status, headers, b"{}", now)
    for code in provider.rejected_codes:
        content = samples.placed({}, provider.rejected_field or provider.error_field, code)
        body = json.dumps(content).encode()
        yield f"rejected_codes names {code!r}", ReadResponse(400, headers, body, now)


def _rejections(subject: Subject) -> Iterator[bool]:
    """Yield the results of `token_rejected` for rejections in platforms' formats."""
    provider, settings = subject.effective_provider, subject.settings()
    challenge = {
        "www-authenticate": 'Bearer error="invalid_token"',
        "content-type": "application/json",
    }
    codes = ["invalid_token", "token_expired", "expired", *own_strings(subject.provider)]
    bodies: list[Any] = [dict.fromkeys(_REJECTION_FIELDS, code) for code in codes]
    bodies += [{"error": dict.fromkeys(_REJECTION_FIELDS, code)} for code in codes]
    bodies += [{"errors": [dict.fromkeys(_REJECTION_FIELDS, code)]} for code in codes]
    bodies += [{code: code for code in codes}]
    for status in (401, 403):
        for body in bodies:
            response = ReadResponse(status, challenge, json.dumps(body).encode(), time.time())
            with contextlib.suppress(Exception):
                yield provider.token_rejected(settings, response) is True
