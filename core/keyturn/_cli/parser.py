"""The parser of the command line."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from keyturn._cli.table import COMMANDS, COMMON
from keyturn._common.names import did_you_mean, escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyturn._cli.table import Arguments, Command


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; its namespace's `command` is `module:function` within `keyturn._cli`."""
    parser = _Parser(
        prog="keyturn",
        description="Turn OAuth 2 client credentials into a valid access token.",
        add_help=False,
    )
    parser.add_arguments(COMMON)
    parser.add_argument("--version", action=_Version)
    parser.set_defaults(config=None, verbose=0)
    parser.add_commands("")
    return parser


class _Parser(argparse.ArgumentParser):
    """A parser that escapes control characters in messages, and suggests the nearest name."""

    path = ""
    has_commands = False

    def add_arguments(self, arguments: Arguments) -> None:
        """Add arguments."""
        for names, options in arguments.items():
            self.add_argument(*names.split(), **options)

    def add_commands(self, path: str) -> None:
        """Add the commands of a group; the commands without a group for ""."""
        self.has_commands = True
        # Without `prog`, argparse would format the usage to find it.
        commands = self.add_subparsers(
            prog=self.prog, metavar="COMMAND", parser_class=_CommandParser
        )
        for name, command in COMMANDS.items():
            group, _, word = name.rpartition(" ")
            if group == path:
                # argparse lists each command with a `help`, even if it is None.
                shown: dict[str, Any] = {"help": command.summary} if command.summary else {}
                commands.add_parser(word, path=name, command=command, **shown)

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        """Parse the arguments; without a command, print the help and exit with code 0."""
        for each in args:
            if not each.startswith("-"):
                break
            self._check_option(each)
        namespace, surplus = super().parse_known_args(args, namespace)
        if surplus:
            self._check_option(surplus[0])
            self.error(f"unexpected argument {surplus[0]!r}.")
        if self.has_commands and not hasattr(namespace, "command"):
            self.print_help()
            self.exit()
        return namespace, surplus

    def _check_option(self, argument: str) -> None:
        """Report an unknown option, without its value, which may be secret."""
        name = argument.partition("=")[0]
        known = [option for action in self._actions for option in action.option_strings]
        is_short = argument[:2] in known and not argument.startswith("--")
        if name.startswith("-") and not is_short and not any(o.startswith(name) for o in known):
            long = [option for option in known if option.startswith("--")]
            self.error(f"unknown option {name}.{did_you_mean(name, long)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Report a value that is not one of an argument's choices."""
        if action.choices is None or value in action.choices:
            return
        question = did_you_mean(str(value), action.choices)
        if action.metavar == "COMMAND":
            words = " ".join(["help", *self.path.split()])
            question = question or f" Run keyturn {words} for the commands."
            self.error(f"unknown command {value!r}.{question}")
        known = "" if question else f" Choose from {', '.join(map(str, action.choices))}."
        raise argparse.ArgumentError(action, f"invalid choice {value!r}.{question}{known}")

    def error(self, message: str) -> NoReturn:
        """Print the mistake in the arguments and the documentation's address; exit with code 2."""
        from keyturn._cli.about import command_page

        super().error(f"{escaped(message)}\nkeyturn: See {command_page(self.path)}")

    def format_help(self) -> str:
        """Return the help, with examples and the documentation's address."""
        from keyturn._cli.about import about, help_ending

        # Only `--help` needs these strings, so they are imported here.
        self.description = " ".join(filter(None, (self.description, about(self.path).details)))
        return super().format_help() + help_ending(self.path)

    def print_help(self, file: Any = None) -> None:
        """Print the help; argparse's own method ignores a failed write."""
        print(self.format_help(), end="", file=file)


class _CommandParser(_Parser):
    """The parser of one command, which is built only if the command is chosen: it takes 0.3 ms."""

    def __init__(self, *, path: str, command: Command, **given: Any) -> None:
        self.path = path
        self._command = command
        self._given = given

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        """Build the parser, and parse the arguments."""
        module, summary, arguments = self._command
        super().__init__(add_help=False, description=f"{summary}.", **self._given)
        self.add_arguments(COMMON)
        if module:
            function = self.path.replace(" ", "_").replace("-", "_")
            self.set_defaults(command=f"{module}:{function}")
        else:
            self.add_commands(self.path)
        self.add_arguments(arguments)
        return super().parse_known_args(args, namespace)


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show keyturn's version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from keyturn._cli.about import version_line

        print(version_line())
        parser.exit()
