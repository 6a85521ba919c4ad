"""The commands about providers: listing and checking them, and showing their settings."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._cli.commands import DONE, FAILED, print_rows
from keyturn._common.names import escaped
from keyturn._common.redaction import Redaction
from keyturn._config.setting_values import parse
from keyturn._plugins import listing, loading
from keyturn._plugins.descriptions import provider_from_file
from keyturn._providers.calls import translate_errors
from keyturn._providers.schema import json_schema
from keyturn._providers.settings import given_secrets

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from keyturn._providers.provider import Provider
    from keyturn.testing.provider_kit._run import Report

_COLUMNS = ("name", "distribution", "version")


def providers(arguments: argparse.Namespace) -> None:
    """List the installed providers, without importing them."""
    rows = [{name: getattr(info, name) for name in _COLUMNS} for info in listing.providers()]
    print_rows(_COLUMNS, rows, arguments.format, arguments.out)


def schema(arguments: argparse.Namespace) -> None:
    """Print the JSON Schema of a provider's settings."""
    found = _chosen(arguments.provider).settings_schema()
    print(json.dumps(found, indent=2), file=arguments.out)


def verify(arguments: argparse.Namespace) -> int:
    """Run every check on a provider, against the kit's own endpoint on loopback."""
    from keyturn.testing.provider_kit._examples import Examples
    from keyturn.testing.provider_kit._run import CHECKS, loaded, run

    if not arguments.verbose:
        # The checks cause the provider's warnings.
        arguments.log.setLevel(logging.CRITICAL)
    provider = loaded(lambda: _chosen(arguments.provider))
    settings = _settings(provider, arguments.settings)
    report = run(provider, settings, Examples())
    redaction = Redaction(given_secrets(provider.settings, settings))
    outcomes = {name: _outcome(name, report) for name in CHECKS}
    if arguments.format == "json":
        shown = redaction.value(_as_json(provider.name, report, outcomes))
        print(json.dumps(shown, indent=2), file=arguments.out)
    else:
        rows = [
            {"check": name, "outcome": outcome.replace("failed", "FAILED")}
            for name, outcome in outcomes.items()
        ]
        print_rows(("check", "outcome"), rows, "table", arguments.out)
        for line in "\n".join(_lines(report)).split("\n"):
            print(escaped(redaction.text(line)), file=arguments.out)
    return FAILED if report.failures else DONE


def _chosen(name: str) -> Provider[Any]:
    """Return the provider of a name, or of a TOML file."""
    return provider_from_file(name) if name.endswith(".toml") else loading.provider(name)


def _outcome(name: str, report: Report) -> str:
    """Return a check's outcome; if an earlier check has the same cause, this names that check."""
    if name in report.repeated:
        return f"see {report.repeated[name]}"
    return "failed" if name in report.failures else "passed"


def _settings(provider: Provider[Any], arguments: list[str]) -> dict[str, Any]:
    """Return the settings of arguments such as `tenant=blue`."""
    schema = translate_errors(provider.name, lambda: json_schema(provider.settings, ""))
    pairs = [argument.partition("=") for argument in arguments]
    if not all(equals for _, equals, _ in pairs):
        raise errors.ConfigurationError("a setting has no value.", hint="Give it as SETTING=VALUE.")
    return {name: parse(value, schema["properties"].get(name, {})) for name, _, value in pairs}


def _as_json(provider: str, report: Report, outcomes: dict[str, str]) -> dict[str, Any]:
    request = report.request
    failures = {
        name: {"what": failure.what, "fix": failure.fix, "at": failure.at}
        for name, failure in report.failures.items()
    }
    return {
        "provider": provider,
        "checks": [
            {"check": name, "outcome": outcome} | failures.get(name, {})
            for name, outcome in outcomes.items()
        ],
        "notes": list(report.notes),
        "request": request
        and {
            "method": request.method,
            "url": "?".join(filter(None, (request.url, request.query))),
            "headers": request.headers,
            "body": request.body.decode(),
        },
    }


def _lines(report: Report) -> Iterator[str]:
    """Yield the failures, the notes, and the token request."""
    for name, failure in report.failures.items():
        yield f"\n{name}: {failure}"
    if report.notes:
        yield "\n- ".join(["\nnotes:", *report.notes])
    if request := report.request:
        yield "\nThe token request; compare it with the platform's documentation:"
        yield f"  {request.method} {'?'.join(filter(None, (request.url, request.query)))}"
        yield from (f"  {name}: {value}" for name, value in request.headers.items())
        yield f"\n  {request.body.decode()}" if request.body else ""
