"""The command that runs the conformance kit, for authors of providers."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._cli.commands import DONE, FAILED, print_rows
from keyturn._plugins import loading as plugins
from keyturn._plugins.loading import provider_from_file
from keyturn._providers.calls import translate_errors
from keyturn._providers.kinds import json_schema
from keyturn.testing.provider_kit._examples import Examples
from keyturn.testing.provider_kit._run import CHECKS, run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from keyturn._http.request import TokenRequest
    from keyturn._providers.provider import Provider
    from keyturn.testing.provider_kit._run import Report

_COLUMNS = ("check", "outcome")


def verify(arguments: argparse.Namespace) -> int:
    """Run every check on a provider, against the kit's own endpoint on loopback."""
    if not arguments.verbose:
        # The checks provoke the provider's warnings.
        arguments.log.setLevel(logging.CRITICAL)
    named: str = arguments.provider
    open_provider = provider_from_file if named.endswith(".toml") else plugins.provider
    provider = open_provider(named)
    report = run(provider, _settings(provider, arguments.settings), Examples())
    if arguments.format == "json":
        print(json.dumps(_as_json(provider, report), indent=2), file=arguments.out)
    else:
        rows = [{"check": name, "outcome": _outcome(report, name)} for name in CHECKS]
        print_rows(_COLUMNS, rows, "table", arguments.out)
        print("\n".join(_lines(report)), file=arguments.out)
    return FAILED if report.failures else DONE


def _settings(provider: Provider[Any], given: list[str]) -> dict[str, Any]:
    """Return the settings of arguments such as `tenant=blue`."""
    schema = translate_errors(provider.name, lambda: json_schema(provider.settings, ""))
    properties = schema["properties"]
    pairs = [argument.partition("=") for argument in given]
    if not all(equals for _, equals, _ in pairs):
        raise errors.ConfigurationError("a setting has no value.", hint="Give it as SETTING=VALUE.")
    return {name: _value(properties.get(name, {}), value) for name, _, value in pairs}


def _value(schema: Mapping[str, Any], value: str) -> Any:
    if "anyOf" in schema or "string" in schema.get("type", "string"):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _outcome(report: Report, name: str) -> str:
    return "FAILED" if name in report.failures else "passed"


def _lines(report: Report) -> Iterator[str]:
    """Yield the failures, the notes, and the token request."""
    for name, failure in report.failures.items():
        yield f"\n{name}: {failure.what}\nTo fix: {failure.fix}"
    if report.notes:
        yield "\nnotes:"
        yield from (f"- {note}" for note in report.notes)
    if report.request is not None:
        yield "\nThe token request; compare it with the platform's documentation:"
        yield f"  {report.request.method} {_address(report.request)}"
        yield from (f"  {name}: {value}" for name, value in report.request.headers.items())
        yield f"\n  {report.request.body.decode()}" if report.request.body else ""


def _address(request: TokenRequest) -> str:
    return f"{request.url}{'?' if request.query else ''}{request.query}"


def _as_json(provider: Provider[Any], report: Report) -> dict[str, Any]:
    request = report.request
    return {
        "provider": provider.name,
        "checks": [
            {"check": name, "outcome": _outcome(report, name).lower()}
            | (
                {"what": report.failures[name].what, "fix": report.failures[name].fix}
                if name in report.failures
                else {}
            )
            for name in CHECKS
        ],
        "notes": list(report.notes),
        "request": request
        and {
            "method": request.method,
            "url": _address(request),
            "headers": request.headers,
            "body": request.body.decode(),
        },
    }
