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

    from keyturn.testing.provider_kit._subject import Subject

# A failure of the server (RFC 9110 section 15.6).
_SUCCESS, _SERVER = 200, 500
# They mean the request, or the server (RFC 9110 section 15.5): a new token can't help.
_OTHERS = {404, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 422, 425, 429, 431}
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
    wrong = (each for each in provider.rejected_status if each in _OTHERS or each >= _SERVER)
    for status in wrong:
        raise CheckFailed(
            f"rejected_status names {status}, which never rejects a token.",
            "let rejected_status name the statuses with which the API rejects a token.",
        )
    if "insufficient_scope" in provider.rejected_codes:
        raise CheckFailed(
            "rejected_codes names insufficient_scope: a new token has the same scope.",
            "let rejected_codes name the codes with which the API rejects a token.",
        )
    _judge_others(subject)
    _judge_declared(subject)
    if not any(_rejections(subject, (401, 403))):
        raise CheckFailed(
            "token_rejected never returns True: a token that the API rejects is used until it "
            "expires.",
            "let token_rejected return True for a 401 that rejects the token.",
        )


def _judge_others(subject: Subject) -> None:
    """Check that no response of another status, or of success, means the token."""
    provider, statuses = subject.effective_provider, (_SUCCESS, *sorted(_OTHERS), _SERVER)
    headers, now = {"content-type": "application/json"}, time.time()
    wrong: list[int] = []
    with contextlib.suppress(Exception):  # what it raises for a 401 has been reported
        for status in statuses:
            response = ReadResponse(status, headers, b"{}", now)
            if provider.token_rejected(subject.settings(), response) is True:
                wrong.append(status)
    # Without codes, it is asked about `rejected_status` only, and need not look at it.
    if wrong and (provider.rejected_codes or _SUCCESS not in wrong):
        raise CheckFailed(
            f"token_rejected returns True for HTTP {wrong[0]} with the JSON {{}}, which does not "
            "mean the token.",
            "let token_rejected return True for responses that mean the token alone.",
        )


def _judge_declared(subject: Subject) -> None:
    """Check that what the provider's data have of rejections is kept."""
    provider, settings = subject.effective_provider, subject.settings()
    ignored = [
        f"rejected_status names {status}"
        for status in sorted(provider.rejected_status - {401})
        if not any(_rejections(subject, (status,)))
    ]
    headers, now = {"content-type": "application/json"}, time.time()
    for code in provider.rejected_codes:
        content = samples.placed({}, provider.rejected_field or provider.error_field, code)
        response = ReadResponse(400, headers, json.dumps(content).encode(), now)
        if provider.token_rejected(settings, response) is not True:
            ignored.append(f"rejected_codes names {code!r}")
    for what in ignored:
        raise CheckFailed(
            f"{what}, but token_rejected does not return True for it.",
            "start token_rejected from super().token_rejected(settings, response).",
        )


def _rejections(subject: Subject, statuses: tuple[int, ...]) -> Iterator[bool]:
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
    for status in statuses:
        for body in bodies:
            response = ReadResponse(status, challenge, json.dumps(body).encode(), time.time())
            with contextlib.suppress(Exception):
                yield provider.token_rejected(settings, response) is True
