"""The commands that set up connections: `init`, and `connections add`, `list` and `remove`."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from keyturn import _config, errors
from keyturn._cli import questions
from keyturn._cli.commands import DONE, FAILED, check_store, in_words, print_rows, report
from keyturn._cli.secret_places import discard
from keyturn._common.names import did_you_mean, escaped
from keyturn._config.configuration import variable_name
from keyturn._config.editing import change_file, with_table, without_table
from keyturn._config.providers import chosen_provider
from keyturn._config.references import RawSetting
from keyturn._config.setting_values import parse

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from keyturn._config.configuration import Configuration

_OPTIONS: Final = {
    "store": {"type": "string"},
    "rate_limit": {"type": "string"},
    **{option: {"type": "number"} for option in ("margin", "timeout", "wait")},
}
_SOURCES: Final = ("env", "file", "keyring")


def init(arguments: argparse.Namespace) -> None:
    """Set up the first connection interactively."""
    if not questions.has_terminal():
        raise errors.ConfigurationError(
            "keyturn init is interactive and needs a terminal.",
            hint="Use keyturn connections add NAME PROVIDER --set SETTING=VALUE.",
        )
    configured = _config.read(arguments.config, may_be_new=True)
    questions.say(f"This adds a connection to {configured.file()}.")
    connections_add(arguments)


def connections_add(arguments: argparse.Namespace) -> None:
    """Add a connection to the configuration file, after one token request."""
    configured = _config.read(arguments.config, may_be_new=True)
    path = configured.file()
    provider = arguments.provider or _ask_provider()
    schema = chosen_provider(provider, path).settings_schema()
    name = arguments.new_name or questions.ask("Name of the connection", provider)
    _require_new(name, configured)
    given = _given(arguments, schema["properties"])
    table: dict[str, Any] = {"provider": provider, **given}
    with _discarding(path, name, table, given):
        if questions.has_terminal():
            questions.ask_settings(name, schema, table, path)
        while problems := _problems(configured, name, table):
            _correct(problems, name, table, schema, path)
        if not arguments.no_check:
            _check(_with(configured, name, table), name)
        change_file(path, lambda text: with_table(text, name, table))
    questions.say(f"keyturn: added connection {name} to {escaped(str(path))}.")


def connections_list(arguments: argparse.Namespace) -> None:
    """List the configured connections, without importing providers or reading secrets."""
    configured = _config.read(arguments.config)
    rows = []
    for name in sorted(configured.connections):
        provider = configured.connections[name].get("provider")
        in_environment = provider is not None and provider.from_environment
        origin = "the environment" if in_environment else str(configured.path)
        rows.append(
            {"connection": name, "provider": configured.provider_of(name), "defined in": origin}
        )
    print_rows(("connection", "provider", "defined in"), rows, arguments.format, arguments.out)


def connections_remove(arguments: argparse.Namespace) -> int:
    """Remove a connection from the configuration file, with its stored secrets."""
    configured = _config.read(arguments.config)
    name, path = configured.find(arguments.name), configured.file()
    if not arguments.yes and questions.has_terminal():
        question = f"Remove connection {name} and its stored secrets? (yes, no)"
        if questions.ask(question, "no", ("yes", "no")) == "no":
            questions.say("keyturn: nothing was changed.")
            return FAILED
    change_file(path, lambda text: without_table(text, name))
    others = [
        setting.value
        for other, settings in configured.connections.items()
        for setting in settings.values()
        if other != name
    ]
    for setting in configured.connections[name].values():
        if setting.value not in others and (problem := discard(path, name, setting.value)):
            questions.say(f"keyturn: {escaped(problem)}.")
    questions.say(f"keyturn: removed connection {name} from {escaped(str(path))}.")
    return DONE


def _ask_provider() -> str:
    from keyturn._plugins.discovery import installed_providers

    names = [each.name for each in installed_providers()]
    return questions.ask(f"Provider ({escaped(', '.join(names))})", known=names)


def _require_new(name: str, configured: Configuration) -> None:
    """Check that a name can be a connection's, and is not taken.

    Raises:
        keyturn.errors.ConfigurationError: It can't, or it is taken.
    """
    if not _config.is_name(name):
        raise errors.ConfigurationError(
            f"{name!r} is not a valid name for a connection.",
            hint="Use at most 100 letters, digits and . _ -, with a letter or a digit first.",
        )
    for known in configured.connections:
        if variable_name(known) == variable_name(name):
            raise errors.ConfigurationError(
                f"a connection with the name {known} already exists in {configured.origin}.",
                hint=f"Choose another name, or run keyturn connections remove {known}.",
            )


def _given(arguments: argparse.Namespace, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings and references that the arguments give.

    Raises:
        keyturn.errors.ConfigurationError: One is not a setting, or a secret would be an argument.
    """
    found: dict[str, Any] = {}
    for setting, value in _pairs("--set", arguments.set, [*properties, *_OPTIONS]):
        schema = properties.get(setting, _OPTIONS.get(setting, {}))
        if schema.get("writeOnly"):
            raise errors.ConfigurationError(
                f"{setting} is a secret, and other users can read arguments.",
                hint=f"Use --secret-env {setting}=VARIABLE or --secret-file {setting}=PATH.",
            )
        found[setting] = parse(value, schema)
    secrets = [setting for setting, schema in properties.items() if schema.get("writeOnly")]
    for source in _SOURCES:
        for setting, target in _pairs(
            f"--secret-{source}", getattr(arguments, f"secret_{source}"), secrets
        ):
            # A reference needs an absolute path, because the working directory may change.
            is_relative = source == "file" and not target.startswith("~")
            found[setting] = {source: str(Path(target).absolute()) if is_relative else target}
    return found


def _pairs(option: str, given: list[str], known: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the settings and values of an option."""
    for argument in given:
        setting, equals, value = argument.partition("=")
        if not equals or not value:
            raise errors.ConfigurationError(f"{option} needs SETTING=VALUE.")
        if setting not in known:
            raise errors.ConfigurationError(
                f"{setting!r} of {option} is not a known setting; known settings are "
                f"{', '.join(known)}.{did_you_mean(setting, known)}"
            )
        yield setting, value


@contextlib.contextmanager
def _discarding(
    path: Path, name: str, table: Mapping[str, Any], given: Mapping[str, Any]
) -> Generator[None]:
    """Delete the stored secrets of a connection if it is not added."""
    try:
        yield
    except BaseException:
        for setting, value in table.items():
            if setting not in given:
                discard(path, name, value)
        raise


def _with(configured: Configuration, name: str, table: Mapping[str, Any]) -> Configuration:
    """Return a configuration with only the new connection."""
    raw = {
        setting: RawSetting(value, f"connections.{name}.{setting}")
        for setting, value in table.items()
    }
    return attrs.evolve(configured, connections={name: raw})


def _problems(
    configured: Configuration, name: str, table: Mapping[str, Any]
) -> Sequence[errors.Problem]:
    """Return the mistakes in the new connection's settings, for a user to correct.

    Raises:
        keyturn.errors.ConfigurationError: Mistakes exist, and the user can't be asked.
    """
    try:
        _with(configured, name, table).check()
    except errors.ConfigurationError as error:
        if not questions.has_terminal():
            raise
        return error.problems
    return ()


def _correct(
    problems: Sequence[errors.Problem],
    name: str,
    table: dict[str, Any],
    schema: Mapping[str, Any],
    path: Path,
) -> None:
    """Ask for the settings with problems again.

    Raises:
        keyturn.errors.ConfigurationError: One is not a setting of the provider.
    """
    for problem in problems:
        setting = problem.path.removeprefix(f"connections.{name}.")
        if setting not in schema["properties"]:
            raise errors.ConfigurationError(
                f"the configuration ({path}) has mistakes:", problems=problems
            )
        questions.say(f"\n{problem}")
        discard(path, name, table.pop(setting, None))
        questions.ask_setting(name, setting, schema, table, path)


def _check(configured: Configuration, name: str) -> None:
    """Get a token from the new connection.

    Raises:
        keyturn.errors.KeyturnError: This failed.
        SystemExit: This failed, and the user does not keep the connection.
    """
    try:
        with configured.open(name) as connection:
            token = connection.token()
            check_store(connection)
    except errors.KeyturnError as error:
        if not questions.has_terminal():
            raise
        code = report(error)
        if questions.ask("Add the connection anyway? (yes, no)", "no", ("yes", "no")) == "no":
            raise SystemExit(code) from None
    else:
        questions.say(
            f"keyturn: received a token, which expires {in_words(token.expires_at - time.time())}."
        )
