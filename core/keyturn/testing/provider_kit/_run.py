"""All checks by their names, and running them."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import attrs

from keyturn import errors
from keyturn.testing.provider_kit import _checks_data as checks_data
from keyturn.testing.provider_kit import _checks_errors as checks_errors
from keyturn.testing.provider_kit import _checks_foreign as checks_foreign
from keyturn.testing.provider_kit import _checks_hosts as checks_hosts
from keyturn.testing.provider_kit import _checks_keys as checks_keys
from keyturn.testing.provider_kit import _checks_request as checks_request
from keyturn.testing.provider_kit import _checks_secrets as checks_secrets
from keyturn.testing.provider_kit import _checks_tokens as checks_tokens
from keyturn.testing.provider_kit import _checks_use as checks_use
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._subject import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from keyturn._http.request import TokenRequest
    from keyturn._providers.provider import Provider
    from keyturn.testing.provider_kit._examples import Examples
    from keyturn.testing.provider_kit._subject import Subject

    Check = Callable[[Subject], None]

_IN_ORDER: tuple[Check, ...] = (
    checks_data.data,
    checks_data.settings_class,
    checks_data.schema,
    checks_data.settings_read,
    checks_data.schema_of_checks,
    checks_request.golden_request,
    checks_request.well_formed_request,
    checks_request.repeatable_request,
    checks_request.token_url_setting,
    checks_request.no_input_or_output,
    checks_request.nothing_changed,
    checks_keys.fingerprint,
    checks_keys.scope_order,
    checks_hosts.hostile_strings,
    checks_hosts.hostile_urls,
    checks_secrets.no_secret_in_url,
    checks_secrets.redaction,
    checks_errors.oauth_errors,
    checks_errors.http_errors,
    checks_errors.error_inside_200,
    checks_errors.documented_errors,
    checks_errors.read_error_method,
    checks_tokens.lifetime,
    checks_tokens.missing_lifetime,
    checks_tokens.bad_lifetimes,
    checks_tokens.short_lifetime,
    checks_tokens.margin,
    checks_tokens.faults,
    checks_use.rate_limit,
    checks_use.sync_and_async,
    checks_use.api_headers,
    checks_use.api_address,
    checks_foreign.foreign_api_address,
    checks_use.token_rejected,
    checks_secrets.revocation,
)
CHECKS: dict[str, Check] = {check.__name__: check for check in _IN_ORDER}
"""Every check by its name; its docstring says what it proves."""


@attrs.frozen
class Report:
    """The outcome of all checks.

    Args:
        failures: The failures by the check's name.
        notes: Remarks that are not failures.
        request: The token request, redacted; None when the provider makes none.
    """

    failures: Mapping[str, CheckFailed]
    notes: tuple[str, ...]
    request: TokenRequest | None


def check(name: str, subject: Subject) -> CheckFailed | None:
    """Run a check, and return its failure or None."""
    try:
        CHECKS[name](subject)
    except CheckFailed as failed:
        failure = failed
    except errors.KeyturnError as error:
        # The message names the provider's method.
        failure = CheckFailed(str(error), "correct what the error names.")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a provider may even raise SystemExit
        frame = traceback.extract_tb(error.__traceback__)[-1]
        failure = CheckFailed(
            f"{type(error).__name__} was raised in {frame.name}, line {frame.lineno}.",
            "let the provider and its settings class raise nothing there.",
        )
    else:
        return None
    return failure.with_traceback(None)


def run(provider: Provider[Any], given: Mapping[str, Any], examples: Examples) -> Report:
    """Run every check.

    Args:
        provider: The provider.
        given: Plain settings; what is missing is made up.
        examples: The author's examples.

    Raises:
        keyturn.errors.ConfigurationError: The settings have mistakes.
    """
    with opened(provider, given, examples) as subject:
        results = {name: check(name, subject) for name in CHECKS}
        try:
            request = subject.request().redacted()
        except (Exception, SystemExit):  # noqa: BLE001 - the checks report it
            request = None
        failures = {name: failure for name, failure in results.items() if failure}
        return Report(failures, tuple(subject.notes), request)
