"""The arguments of the command line."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TOKEN_FORMATS = ("token", "header", "json", "env", "exec-credential", "credential-helper")
# RFC 9110 section 5.6.2: a token.
_HEADER_NAME_PATTERN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_EXIT_CODES = """
exit codes: 0 done, 2 usage or configuration, 3 credentials or scope refused, 4 rate limited,
5 endpoint or network, 130 interrupted, 1 any other failure
"""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; its namespace's `command` is `module:function` within `keyturn._cli`."""
    parser = argparse.ArgumentParser(
        prog="keyturn",
        description="Turn OAuth 2 client credentials into a valid access token.",
        epilog=_EXIT_CODES,
    )
    parser.add_argument("--version", action=_Version)
    parser.set_defaults(config=None, verbose=False)
    _add_common(parser)
    commands = _Commands(parser)
    _add_overviews(commands)
    _add_token_commands(commands)
    _add_authors_commands(commands)
    return parser


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show keyturn's version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        # importlib.metadata takes 40 ms to import: only when the version is asked for.
        from importlib.metadata import version

        print(f"keyturn {version('keyturn')}")
        parser.exit()


class _Commands:
    """The commands of a parser."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._subparsers = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(self, name: str, command: str, summary: str) -> argparse.ArgumentParser:
        """Add a command, `module:function`, and return its parser."""
        parser = self._subparsers.add_parser(name, help=summary, description=f"{summary}.")
        parser.set_defaults(command=command)
        _add_common(parser)
        return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    # Suppressed: a command's default would replace the value of an option before the command.
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="the configuration file (default: $KEYTURN_CONFIG, else the user's keyturn.toml)",
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        default=argparse.SUPPRESS,
        help="write the log to standard error",
    )


def _add_overviews(commands: _Commands) -> None:
    commands.add("demo", "demo:demo", "Show what keyturn does, against its own emulator")
    emulate = commands.add("emulate", "emulate:emulate", "Run the emulator of the four providers")
    emulate.add_argument("--port", type=_port, default=0, help="the first of four ports")
    providers = commands.add("providers", "overview:providers", "List the installed providers")
    schema = commands.add("schema", "overview:schema", "Print a provider's settings, JSON Schema")
    schema.add_argument("provider", metavar="PROVIDER")
    check = commands.add(
        "check", "overview:check", "Check the configuration, and get a token for each connection"
    )
    check.add_argument("name", metavar="NAME", nargs="?", help="check only this connection")
    status = commands.add(
        "status", "overview:status", "Show the state of each token; no request is sent"
    )
    for table in (providers, check, status):
        table.add_argument("--format", choices=("table", "json"), default="table")


def _add_authors_commands(commands: _Commands) -> None:
    new = commands.add(
        "new-provider", "new_provider:new_provider", "Write a distribution with a new provider"
    )
    new.add_argument("name", metavar="NAME", help="the provider's name")
    new.add_argument(
        "--directory", default=".", help="where to create keyturn-NAME (default: here)"
    )
    new.add_argument(
        "--data", action="store_true", help="describe the provider in a TOML file, without code"
    )
    verify = commands.add("verify", "verify:verify", "Run every check on a provider")
    verify.add_argument("provider", metavar="PROVIDER", help="its name, or a TOML file")
    verify.add_argument(
        "settings",
        metavar="SETTING=VALUE",
        nargs="*",
        help="made-up settings; a required one that is missing is made up",
    )
    verify.add_argument("--format", choices=("table", "json"), default="table")


def _add_token_commands(commands: _Commands) -> None:
    token = commands.add("token", "tokens:token", "Print a token that can be used now")
    token.add_argument("--format", choices=TOKEN_FORMATS, default="token")
    token.add_argument(
        "--renew",
        action="store_true",
        help="request a new token even if the cached one is valid",
    )
    explain = commands.add("explain", "tokens:explain", "Show how a token is acquired, redacted")
    request = commands.add("request", "request:request", "Send an API request with a token")
    revoke = commands.add("revoke", "tokens:revoke", "Revoke the token at the provider")
    forget = commands.add("forget", "tokens:forget", "Forget the token on this side")
    for parser in (token, explain, request, revoke, forget):
        parser.add_argument("name", metavar="NAME", help="the connection")
    request.add_argument("method", metavar="METHOD")
    request.add_argument("path", metavar="PATH", help="below the API's URL, or a URL of the API")
    request.add_argument("-d", "--data", metavar="DATA", help="the request's body")
    request.add_argument(
        "-H",
        "--header",
        metavar="'NAME: VALUE'",
        type=_header,
        action="append",
        default=[],
        help="a header; Accept is the provider's by default",
    )


def _port(value: str) -> int:
    port = int(value)
    if not 0 <= port <= 65535 - 3:
        raise ValueError
    return port


def _header(header: str) -> tuple[str, str]:
    name, colon, value = header.partition(":")
    if not colon or not re.fullmatch(_HEADER_NAME_PATTERN, name) or not value.isprintable():
        raise ValueError
    return name, value.strip()
