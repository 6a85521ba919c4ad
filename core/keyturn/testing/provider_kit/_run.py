"""All checks by their names, and running them."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import attrs

from keyturn import errors
from keyturn.testing.provider_kit import _checks_api_headers as checks_api_headers
from keyturn.testing.provider_kit import _checks_data as checks_data
from keyturn.testing.provider_kit import _checks_domains as checks_domains
from keyturn.testing.provider_kit import _checks_errors as checks_errors
from keyturn.testing.provider_kit import _checks_foreign as checks_foreign
from keyturn.testing.provider_kit import _checks_hosts as checks_hosts
from keyturn.testing.provider_kit import _checks_isolation as checks_isolation
from keyturn.testing.provider_kit import _checks_keys as checks_keys
from keyturn.testing.provider_kit import _checks_messages as checks_messages
from keyturn.testing.provider_kit import _checks_methods as checks_methods
from keyturn.testing.provider_kit import _checks_rejected as checks_rejected
from keyturn.testing.provider_kit import _checks_request as checks_request
from keyturn.testing.provider_kit import _checks_revocation as checks_revocation
from keyturn.testing.provider_kit import _checks_secrets as checks_secrets
from keyturn.testing.provider_kit import _checks_settings as checks_settings
from keyturn.testing.provider_kit import _checks_tokens as checks_tokens
from keyturn.testing.provider_kit import _checks_use as checks_use
from keyturn.testing.provider_kit import _checks_values as checks_values
from keyturn.testing.provider_kit._audit import Watch, watched
from keyturn.testing.provider_kit._causes import Causes, named, raised_at, ran
from keyturn.testing.provider_kit._checks_methods import NO_IO
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._limits import Hung, within_limit
from keyturn.testing.provider_kit._source import (
    datum_location,
    is_data_alone,
    location,
    own_places,
)
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
    checks_settings.settings_alone,
    checks_settings.rules_agree,
    checks_settings.unused_names,
    checks_messages.plugin_messages,
    checks_isolation.import_effects,
    checks_request.golden_request,
    checks_request.well_formed_request,
    checks_request.unambiguous_request,
    checks_request.repeatable_request,
    checks_request.token_url_setting,
    checks_methods.no_input_or_output,
    checks_methods.nothing_changed,
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
    checks_secrets.made_of_secrets,
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
    checks_api_headers.api_headers,
    checks_api_headers.token_headers_of_any,
    checks_use.api_address,
    checks_foreign.foreign_api_address,
    checks_domains.shared_domains,
    checks_rejected.token_rejected,
    checks_revocation.revocation,
)
CHECKS: dict[str, Check] = {check.__name__: check for check in _IN_ORDER}
"""Every check by its name; its docstring says what it checks."""


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
        if attempts and name != checks_methods.no_input_or_output.__name__:
            what, where = attempts[0]
            said = f"while {name} was checked, the provider {what}."
            return CheckFailed(said, NO_IO, at=where, is_impure=True)
        return failure

    failure = within_limit(work, watch.places)
    is_final = failure is None or failure.at or isinstance(failure, Hung)
    return failure if is_final or failure is None else _located(name, subject, failure)


def failed(name: str, subject: Subject, causes: Causes) -> tuple[CheckFailed, str] | None:
    """Run a check; return its failure, and the first check that failed for the same cause.

    Args:
        name: The check.
        subject: The subject of the check.
        causes: The causes of the failures so far.
    """
    failure = check(name, subject)
    if failure is None:
        return None
    if causes.is_impure and not (failure.ran or isinstance(failure, Hung)):
        functions = ran(subject.provider, lambda: _failure(name, subject))
        failure.ran = tuple(each.partition(",")[0] for each in functions)
    return failure, causes.first(name, failure)


def _located(name: str, subject: Subject, failure: CheckFailed) -> CheckFailed:
    """Return a failure with its place: that in its message, or else the functions that ran."""
    provider, functions = subject.provider, list[str]()
    what, fix = ("", "") if failure.is_impure else (failure.what, failure.fix)
    at = location(provider, what)
    if not at and not is_data_alone(provider):
        functions = named(ran(provider, lambda: _failure(name, subject)), what)
        at = functions[-1] if functions else datum_location(provider, what)
    at = at or location(provider, fix)
    return CheckFailed(failure.what, failure.fix, at, is_impure=failure.is_impure, ran=functions)


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
            at=raised_at(subject.provider, error),
        )
    else:
        return None
    return failure.with_traceback(None)


def run(provider: Provider[Any], given: Mapping[str, Any], examples: Examples) -> Report:
    """Run every check.

    Args:
        provider: The provider.
        given: Plain settings; missing ones are generated.
        examples: The author's examples.

    Raises:
        keyturn.errors.ConfigurationError: The settings have mistakes.
    """
    failures: dict[str, CheckFailed] = {}
    repeated: dict[str, str] = {}
    causes = Causes()
    with opened(provider, given, examples) as subject:
        for name in CHECKS:
            found = failed(name, subject, causes)
            if found is None:
                continue
            failure, first = found
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
    """Return the provider that `load` imports; the import can't reach other hosts.

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
    """Raise for an action that an import has tried, instead of its consequence."""
    if attempts:
        raise errors.ConfigurationError(
            f"the import of the provider {attempts[0][0]}.",
            hint="Leave only imports, classes, functions and constants at the top level of its "
            "module.",
        )
