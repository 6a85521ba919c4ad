"""All checks by their names, and running them."""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING

import attrs

from keyturn import errors
from keyturn.testing.provider_kit import _checks_data as checks_data
from keyturn.testing.provider_kit import _checks_errors as checks_errors
from keyturn.testing.provider_kit import _checks_foreign as checks_foreign
from keyturn.testing.provider_kit import _checks_hosts as checks_hosts
from keyturn.testing.provider_kit import _checks_isolation as checks_isolation
from keyturn.testing.provider_kit import _checks_keys as checks_keys
from keyturn.testing.provider_kit import _checks_messages as checks_messages
from keyturn.testing.provider_kit import _checks_rejected as checks_rejected
from keyturn.testing.provider_kit import _checks_request as checks_request
from keyturn.testing.provider_kit import _checks_secrets as checks_secrets
from keyturn.testing.provider_kit import _checks_settings as checks_settings
from keyturn.testing.provider_kit import _checks_tokens as checks_tokens
from keyturn.testing.provider_kit import _checks_use as checks_use
from keyturn.testing.provider_kit import _checks_values as checks_values
from keyturn.testing.provider_kit._audit import Watch, watched
from keyturn.testing.provider_kit._checks_request import NO_IO
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._limits import Hung, within_limit
from keyturn.testing.provider_kit._source import location, own_places
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
    checks_settings.setting_defaults,
    checks_settings.rules_agree,
    checks_settings.unused_names,
    checks_messages.plugin_messages,
    checks_request.golden_request,
    checks_request.well_formed_request,
    checks_request.unambiguous_request,
    checks_request.repeatable_request,
    checks_request.token_url_setting,
    checks_request.no_input_or_output,
    checks_request.nothing_changed,
    checks_isolation.import_effects,
    checks_isolation.isolation,
    checks_isolation.other_process,
    checks_isolation.forgotten_settings,
    checks_keys.fingerprint,
    checks_keys.scope_order,
    checks_keys.scope_values_sent,
    checks_values.dynamic_values,
    checks_hosts.hostile_strings,
    checks_hosts.hostile_secrets,
    checks_hosts.hostile_urls,
    checks_settings.secret_strings,
    checks_values.exact_credentials,
    checks_secrets.no_secret_in_url,
    checks_secrets.redaction,
    checks_errors.oauth_errors,
    checks_errors.http_errors,
    checks_errors.error_inside_200,
    checks_errors.documented_errors,
    checks_errors.read_error_method,
    checks_tokens.lifetime,
    checks_tokens.token_as_sent,
    checks_tokens.missing_lifetime,
    checks_tokens.bad_lifetimes,
    checks_tokens.short_lifetime,
    checks_tokens.margin,
    checks_tokens.faults,
    checks_use.rate_limit,
    checks_use.sync_and_async,
    checks_use.api_headers,
    checks_use.token_headers_of_any,
    checks_use.api_address,
    checks_foreign.foreign_api_address,
    checks_foreign.shared_domains,
    checks_rejected.token_rejected,
    checks_secrets.revocation,
)
# What is kept between calls shows in several of them, and in other methods than keep it.
_STATE = {
    checks_request.nothing_changed.__name__,
    checks_isolation.isolation.__name__,
    checks_isolation.other_process.__name__,
    checks_isolation.forgotten_settings.__name__,
}
CHECKS: dict[str, Check] = {check.__name__: check for check in _IN_ORDER}
"""Every check by its name; its docstring says what it proves."""


@attrs.frozen
class Report:
    """The outcome of all checks.

    Args:
        failures: The failures by the check's name, one for each cause.
        repeated: The checks that fail for the cause of an earlier one, which they name.
        notes: Remarks that are not failures.
        request: The token request, redacted; None when the provider makes none.
    """

    failures: Mapping[str, CheckFailed]
    repeated: Mapping[str, str]
    notes: tuple[str, ...]
    request: TokenRequest | None


def check(name: str, subject: Subject) -> CheckFailed | None:
    """Run a check for a limited time, and return its failure or None."""
    watch = Watch(own_places(subject.provider), subject.endpoint.address)

    def work() -> CheckFailed | None:
        with watched(watch) as attempts:
            failure = _failure(name, subject)
        if attempts and name != checks_request.no_input_or_output.__name__:
            what, where = attempts[0]
            return CheckFailed(f"while {name} was checked, the provider {what}.", NO_IO, at=where)
        return failure

    failure = within_limit(work, watch.places)
    if failure is None or failure.at:
        return failure
    at = location(subject.provider, f"{failure.what}\n{failure.fix}")
    return CheckFailed(failure.what, failure.fix, at)


def _failure(name: str, subject: Subject) -> CheckFailed | None:
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
    failures: dict[str, CheckFailed] = {}
    repeated: dict[str, str] = {}
    causes: dict[str, str] = {}
    with opened(provider, given, examples) as subject:
        for name in CHECKS:
            failure = check(name, subject)
            if failure is None:
                continue
            first = causes.setdefault(cause(name, failure), name)
            if first == name:
                failures[name] = failure
            else:
                repeated[name] = first
            if isinstance(failure, Hung):
                return Report(failures, repeated, tuple(subject.notes), None)
        try:
            request = subject.request().redacted()
        except (Exception, SystemExit):  # noqa: BLE001 - the checks report it
            request = None
        return Report(failures, repeated, tuple(subject.notes), request)


def loaded(load: Callable[[], Provider[Any]]) -> Provider[Any]:
    """Return the provider that `load` imports, which reaches no other host meanwhile.

    Raises:
        keyturn.errors.ConfigurationError: It has tried to, or there is no provider.
    """
    watch = Watch(())
    try:
        with watched(watch):
            return load()
    finally:
        _raise_for(watch.attempts)


def _raise_for(attempts: list[tuple[str, str]]) -> None:
    """Raise for what an import has tried, in place of what has come of it."""
    if attempts:
        raise errors.ConfigurationError(
            f"the import of the provider {attempts[0][0]}.",
            hint="Leave only imports, classes, functions and constants at the top level of its "
            "module.",
        )


def cause(name: str, failure: CheckFailed) -> str:
    """Return what stands for the cause of a failure: where it is, or else what it says."""
    if name in _STATE:
        return "state"
    return failure.at.partition(",")[0] or re.sub(r"[0-9]+", "0", failure.what)
