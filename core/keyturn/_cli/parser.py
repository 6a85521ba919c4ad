"""The arguments of the command line."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    # Without `prog`, argparse would format the usage to find it.
    commands = parser.add_subparsers(
        prog="keyturn", metavar="COMMAND", required=True, parser_class=_CommandParser
    )
    for name, (command, summary, add_arguments) in _COMMANDS.items():
        commands.add_parser(
            name,
            help=summary,
            description=f"{summary}.",
            command=command,
            add_arguments=add_arguments,
        )
    return parser


class _CommandParser(argparse.ArgumentParser):
    """The parser of one command; only that of the chosen command gets its arguments."""

    def __init__(
        self,
        *,
        command: str,
        add_arguments: Callable[[argparse.ArgumentParser], None],
        **given: Any,
    ) -> None:
        super().__init__(add_help=False, **given)
        self.set_defaults(command=command)
        self._add_arguments = add_arguments

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        """Add the arguments and parse them."""
        self.add_argument("-h", "--help", action="help", help="show this help message and exit")
        _add_common(self)
        self._add_arguments(self)
        return super().parse_known_args(args, namespace)


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show keyturn's version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        # importlib.metadata takes 40 ms to import: only when the version is asked for.
        from importlib.metadata import version

        print(f"keyturn {version('keyturn')}")
        parser.exit()


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


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def _emulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=0, help="the first of four ports")


def _table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("table", "json"), default="table")


def _schema(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("provider", metavar="PROVIDER")


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="check only this connection")
    _table(parser)


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the connection")


def _token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=TOKEN_FORMATS, default="token")
    parser.add_argument(
        "--renew",
        action="store_true",
        help="request a new token even if the cached one is valid",
    )
    _name(parser)


def _request(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("method", metavar="METHOD")
    parser.add_argument("path", metavar="PATH", help="below the API's URL, or a URL of the API")
    parser.add_argument("-d", "--data", metavar="DATA", help="the request's body")
    parser.add_argument(
        "-H",
        "--header",
        metavar="'NAME: VALUE'",
        type=_header,
        action="append",
        default=[],
        help="a header; Accept is the provider's by default",
    )


def _new_provider(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the provider's name")
    parser.add_argument(
        "--directory", default=".", help="where to create keyturn-NAME (default: here)"
    )
    parser.add_argument(
        "--data", action="store_true", help="describe the provider in a TOML file, without code"
    )


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("provider", metavar="PROVIDER", help="its name, or a TOML file")
    parser.add_argument(
        "settings",
        metavar="SETTING=VALUE",
        nargs="*",
        help="made-up settings; a required one that is missing is made up",
    )
    _table(parser)


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


_COMMANDS: dict[str, tuple[str, str, Callable[[argparse.ArgumentParser], None]]] = {
    "demo": ("demo:demo", "Show what keyturn does, against its own emulator", _no_arguments),
    "emulate": ("emulate:emulate", "Run the emulator of the four providers", _emulate),
    "providers": ("overview:providers", "List the installed providers", _table),
    "schema": ("overview:schema", "Print a provider's settings, JSON Schema", _schema),
    "check": (
        "overview:check",
        "Check the configuration, and get a token for each connection",
        _check,
    ),
    "status": ("overview:status", "Show the state of each token; no request is sent", _table),
    "token": ("tokens:token", "Print a token that can be used now", _token),
    "explain": ("tokens:explain", "Show how a token is acquired, redacted", _name),
    "request": ("request:request", "Send an API request with a token", _request),
    "revoke": ("tokens:revoke", "Revoke the token at the provider", _name),
    "forget": ("tokens:forget", "Forget the token on this side", _name),
    "new-provider": (
        "new_provider:new_provider",
        "Write a distribution with a new provider",
        _new_provider,
    ),
    "verify": ("verify:verify", "Run every check on a provider", _verify),
}
