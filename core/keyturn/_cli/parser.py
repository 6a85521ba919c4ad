"""The arguments of the command line."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from keyturn._cli.token_formats import FORMATS
from keyturn._common.names import escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    _Arguments: TypeAlias = dict[str, dict[str, Any]]

# RFC 9110 section 5.6.2: a token.
_HEADER_NAME_PATTERN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_EXIT_CODES = """
exit codes: 0 done, 2 usage or configuration, 3 credentials or scope refused, 4 rate limited,
5 endpoint or network, 130 interrupted, 1 any other failure
"""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; its namespace's `command` is `module:function` within `keyturn._cli`."""
    parser = _Parser(
        prog="keyturn",
        description="Turn OAuth 2 client credentials into a valid access token.",
        epilog=_EXIT_CODES,
    )
    parser.add_argument("--version", action=_Version)
    parser.set_defaults(config=None, verbose=0)
    _add_common(parser)
    # Without `prog`, argparse would format the usage to find it.
    commands = parser.add_subparsers(
        prog="keyturn", metavar="COMMAND", required=True, parser_class=_CommandParser
    )
    for name, (module, summary, arguments) in _COMMANDS.items():
        commands.add_parser(
            name,
            help=summary,
            description=f"{summary}.",
            command=f"{module}:{name.replace('-', '_')}",
            arguments=arguments,
        )
    return parser


class _Parser(argparse.ArgumentParser):
    """A parser whose messages change no terminal."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong with the arguments, and exit with code 2."""
        super().error(escaped(message))

    def print_help(self, file: Any = None) -> None:
        """Print the help; argparse's own method ignores that an output is full."""
        print(self.format_help(), end="", file=file)


class _CommandParser(_Parser):
    """The parser of one command, which is made when its command is chosen: each takes 0.3 ms."""

    def __init__(self, *, command: str, arguments: _Arguments, **given: Any) -> None:
        self._command = command
        self._arguments = arguments
        self._given = given

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        """Make the parser, and parse the arguments."""
        super().__init__(add_help=False, **self._given)
        self.set_defaults(command=self._command)
        self.add_argument("-h", "--help", action="help", help="show this help message and exit")
        _add_common(self)
        for names, options in self._arguments.items():
            self.add_argument(*names.split(), **options)
        return super().parse_known_args(args, namespace)


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show keyturn's version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        # importlib.metadata takes 40 ms to import: only when the version is asked for.
        from keyturn._plugins.discovery import own_release

        print(f"keyturn {own_release()}")
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
        action="count",
        default=argparse.SUPPRESS,
        help="write what happens to standard error; -vv writes more",
    )


def _port(value: str) -> int:
    port = int(value)
    if not 0 <= port <= 65535 - 3:
        raise ValueError
    return port


def _lifetime(value: str) -> int:
    lifetime = int(value)
    if not 1 <= lifetime < 1 << 31:
        raise argparse.ArgumentTypeError("must be a number of seconds from 1 to 2147483647")
    return lifetime


def _header(header: str) -> tuple[str, str]:
    name, colon, value = header.partition(":")
    if not colon or not re.fullmatch(_HEADER_NAME_PATTERN, name) or not value.isprintable():
        # A ValueError's message would show the value, which may be secret.
        raise argparse.ArgumentTypeError("must be 'NAME: VALUE', without control characters")
    return name, value.strip()


_TABLE: _Arguments = {"--format": {"choices": ("table", "json"), "default": "table"}}
_NAME: _Arguments = {"name": {"metavar": "NAME", "help": "the connection"}}
_COMMANDS: dict[str, tuple[str, str, _Arguments]] = {
    "demo": ("demo", "Show what keyturn does, against its own emulator", {}),
    "emulate": (
        "emulate",
        "Run the emulator of the four providers",
        {
            "--output": {
                "metavar": "PATH",
                "help": "write the keyturn.toml to this file, for this user alone, instead of "
                "printing it",
            },
            "--host": {
                "default": "127.0.0.1",
                "help": "the name or IPv4 address to listen on (default: 127.0.0.1); in a "
                "container 0.0.0.0",
            },
            "--port": {"type": _port, "default": 0, "help": "the first of four ports"},
            "--lifetime": {
                "type": _lifetime,
                "metavar": "SECONDS",
                "help": "of all tokens (default: the providers' own)",
            },
            "--stable": {
                "action": "store_true",
                "help": "the same client IDs and secrets at each start, which anyone knows",
            },
        },
    ),
    "providers": ("providers", "List the installed providers", _TABLE),
    "plugins": (
        "plugins",
        "List providers, stores, secret sources and listeners, and their states",
        {
            **_TABLE,
            "--json": {
                "action": "store_const",
                "dest": "format",
                "const": "json",
                "help": "the same as --format json",
            },
        },
    ),
    "schema": (
        "providers",
        "Print a provider's settings, JSON Schema",
        {"provider": {"metavar": "PROVIDER", "help": "its name, or a TOML file"}},
    ),
    "check": (
        "tokens",
        "Check the configuration, and get a token for each connection",
        {"name": {"metavar": "NAME", "nargs": "?", "help": "check only this connection"}, **_TABLE},
    ),
    "status": ("tokens", "Show the state of each token; no request is sent", _TABLE),
    "doctor": ("doctor", "Show what works here, and what to set; no token is requested", _TABLE),
    "token": (
        "tokens",
        "Print a token that can be used now",
        {
            "--format": {"choices": tuple(FORMATS), "default": "token"},
            "--renew": {
                "action": "store_true",
                "help": "request a new token even if the cached one is valid",
            },
            "--refused": {
                "metavar": "-",
                "choices": ("-",),
                "help": "read from standard input a token that an API refused; request a new one "
                "if it is still the current one",
            },
            **_NAME,
        },
    ),
    "explain": ("tokens", "Show how a token is acquired, redacted", _NAME),
    "request": (
        "tokens",
        "Send an API request with a token",
        {
            **_NAME,
            "method": {"metavar": "METHOD"},
            "path": {"metavar": "PATH", "help": "below the API's URL, or a URL of the API"},
            "-d --data": {"metavar": "DATA", "help": "the request's body"},
            "-H --header": {
                "metavar": "'NAME: VALUE'",
                "type": _header,
                "action": "append",
                "default": [],
                "help": "a header; Accept is the provider's by default",
            },
        },
    ),
    "serve": (
        "serve",
        "Serve tokens, a proxy that adds them, and a status page to programs of this host",
        {
            "--port": {"type": _port, "default": 0, "help": "of 127.0.0.1 (default: a free one)"},
            "--socket": {
                "metavar": "PATH",
                "help": "a Unix socket instead, for this user alone",
            },
            "--secret-file": {
                "metavar": "PATH",
                "help": "has the session secret, and is created if there is none (default: "
                "$KEYTURN_SERVE_SECRET, else a new one, printed)",
            },
            "--token-file": {
                "metavar": "NAME=PATH",
                "action": "append",
                "default": [],
                "help": "a file that always has a usable token of a connection",
            },
        },
    ),
    "revoke": ("tokens", "Revoke the token at the provider", _NAME),
    "forget": (
        "tokens",
        "Forget the token on this side",
        {
            "--rate-limits": {
                "action": "store_true",
                "help": "also what is counted for its token endpoint, for all who share the store",
            },
            **_NAME,
        },
    ),
    "new-provider": (
        "new_provider",
        "Write a distribution with a new provider",
        {
            "name": {"metavar": "NAME", "help": "the provider's name"},
            "--directory": {"default": ".", "help": "where to create keyturn-NAME (default: here)"},
            "--data": {
                "action": "store_true",
                "help": "describe the provider in a TOML file, without code",
            },
        },
    ),
    "verify": (
        "providers",
        "Run every check on a provider",
        {
            "provider": {"metavar": "PROVIDER", "help": "its name, or a TOML file"},
            "settings": {
                "metavar": "SETTING=VALUE",
                "nargs": "*",
                "help": "made-up settings; a required one that is missing is made up",
            },
            **_TABLE,
        },
    ),
}
