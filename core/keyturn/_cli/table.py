"""All commands: the function, the summary and the arguments of each."""

from __future__ import annotations

from argparse import SUPPRESS
from typing import TYPE_CHECKING, Any, NamedTuple

from keyturn._cli import arguments as types
from keyturn._cli.token_formats import FORMATS

if TYPE_CHECKING:
    from typing import TypeAlias

    Arguments: TypeAlias = dict[str, dict[str, Any]]


class Command(NamedTuple):
    """A command, or a group of commands.

    Args:
        module: The module of `keyturn._cli` with its function; empty for a group.
        summary: One sentence without a full stop; empty for a command that help does not list.
        arguments: The names of its arguments, and `argparse`'s parameters for each.
    """

    module: str
    summary: str
    arguments: Arguments


# The options before or after a command. Suppressed, because the default of a command's parser would
# replace the value of an option before the command.
COMMON: Arguments = {
    "-h --help": {"action": "help", "help": "show this help message and exit"},
    "--config": {
        "metavar": "FILE",
        "default": SUPPRESS,
        "help": "the configuration file (default: $KEYTURN_CONFIG, else the user's keyturn.toml)",
    },
    "-v --verbose": {
        "action": "count",
        "default": SUPPRESS,
        "help": "log each step, attempt, retry and pause to standard error; -vv logs everything",
    },
}
# Completion offers values by an argument's choices, name and metavar.
_TABLE: Arguments = {
    "--format": {
        "choices": ("table", "json"),
        "default": "table",
        "help": "a table, or JSON for programs (default: table)",
    }
}
_NAME: Arguments = {"name": {"metavar": "NAME", "help": "the connection"}}
_PROVIDER: Arguments = {
    "provider": {"metavar": "PROVIDER", "help": "its name, or the path of a TOML file"}
}

_CONNECTION: Arguments = {
    "new_name": {"metavar": "NAME", "nargs": "?", "help": "the connection's name"},
    "provider": {**_PROVIDER["provider"], "nargs": "?"},
    "--set": {
        "metavar": "SETTING=VALUE",
        "action": "append",
        "default": [],
        "help": "a setting of the provider, or an option such as timeout; never a secret",
    },
    **{
        f"--secret-{source}": {
            "metavar": f"SETTING={metavar}",
            "action": "append",
            "default": [],
            "help": f"a reference to a secret: {where}",
        }
        for source, metavar, where in (
            ("env", "VARIABLE", "the environment variable with the secret"),
            ("file", "PATH", "the file with the secret"),
            ("keyring", "SERVICE/USER", "the entry of the system's keyring with the secret"),
        )
    },
    "--no-check": {"action": "store_true", "help": "do not request a token"},
}

# In the order of `keyturn --help`. The name of a command in a group has two words.
COMMANDS: dict[str, Command] = {
    "init": Command("connections", "Set up a connection interactively", _CONNECTION),
    "connections": Command("", "Add, list or remove connections", {}),
    "connections add": Command(
        "connections", "Add a connection to the configuration file", _CONNECTION
    ),
    "connections list": Command("connections", "List the configured connections", _TABLE),
    "connections remove": Command(
        "connections",
        "Remove a connection from the configuration file",
        {**_NAME, "--yes": {"action": "store_true", "help": "do not ask for confirmation"}},
    ),
    "config": Command("", "Show the configuration", {}),
    "config path": Command("config", "Print the path of the configuration file", {}),
    "config show": Command(
        "config",
        "Show each value of the configuration and its source",
        {"name": {"metavar": "NAME", "nargs": "?", "help": "show only this connection"}, **_TABLE},
    ),
    "check": Command(
        "overview",
        "Check the configuration, and get a token for each connection",
        {"name": {"metavar": "NAME", "nargs": "?", "help": "check only this connection"}, **_TABLE},
    ),
    "status": Command("overview", "Show the state of each token, without a request", _TABLE),
    "doctor": Command(
        "doctor", "Check the environment and the configuration, without a token request", _TABLE
    ),
    "token": Command(
        "tokens",
        "Print a usable token",
        {
            "--format": {
                "choices": tuple(FORMATS),
                "default": "token",
                "help": "only the token, headers, JSON, shell variables, or the format for "
                "kubectl or Bazel (default: token)",
            },
            "--renew": {
                "action": "store_true",
                "help": "request a new token even if the cached one is valid",
            },
            "--refused": {
                "metavar": "-",
                "choices": ("-",),
                "help": "read a token that an API refused from standard input; request a new "
                "token if it is still the current one",
            },
            **_NAME,
        },
    ),
    "explain": Command("tokens", "Show how keyturn acquires a token, without secrets", _NAME),
    "request": Command(
        "api_request",
        "Send an API request with a token",
        {
            **_NAME,
            "method": {"metavar": "METHOD", "help": "the HTTP method, such as GET"},
            "path": {
                "metavar": "PATH",
                "help": "a path below the API's URL, or a full URL of the API",
            },
            "-d --data": {
                "metavar": "DATA",
                "help": "the request's body; @FILE is a file's content, @- standard input; JSON "
                "is sent as application/json",
            },
            "-H --header": {
                "metavar": "'NAME: VALUE'",
                "type": types.header,
                "action": "append",
                "default": [],
                "help": "a header; the provider sets Accept by default",
            },
        },
    ),
    "serve": Command(
        "serve",
        "Run an agent for programs on this host: a proxy that adds tokens, tokens, and a status "
        "page",
        {
            "--port": {
                "metavar": "PORT",
                "type": types.port,
                "default": 0,
                "help": "the port on 127.0.0.1 (default: a free port)",
            },
            "--socket": {
                "metavar": "PATH",
                "help": "a Unix socket, instead of a port, for this user only",
            },
            "--secret-file": {
                "metavar": "PATH",
                "help": "the file with the session secret; created if it does not exist (default: "
                "$KEYTURN_SERVE_SECRET, else a new secret is printed)",
            },
            "--token-file": {
                "metavar": "NAME=PATH",
                "action": "append",
                "default": [],
                "help": "a file in which the agent keeps a usable token of a connection",
            },
        },
    ),
    "revoke": Command("tokens", "Revoke the token at the provider", _NAME),
    "forget": Command(
        "tokens",
        "Discard the cached token, without revoking it",
        {
            "--rate-limits": {
                "action": "store_true",
                "help": "also reset the rate limit and counts of its token endpoint, for all "
                "processes that share the store",
            },
            **_NAME,
        },
    ),
    "providers": Command("providers", "List the installed providers", _TABLE),
    "plugins": Command(
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
    "schema": Command("providers", "Print a provider's settings as JSON Schema", _PROVIDER),
    "new-provider": Command(
        "new_provider",
        "Write a distribution with a new provider",
        {
            "new_name": {"metavar": "NAME", "help": "the provider's name"},
            "--directory": {
                "metavar": "DIRECTORY",
                "default": ".",
                "help": "where to create keyturn-NAME (default: the working directory)",
            },
            "--data": {
                "action": "store_true",
                "help": "describe the provider in a TOML file, without code",
            },
        },
    ),
    "verify": Command(
        "providers",
        "Run every check on a provider",
        {
            **_PROVIDER,
            "settings": {
                "metavar": "SETTING=VALUE",
                "nargs": "*",
                "help": "test values for settings; keyturn generates required settings that are "
                "missing",
            },
            **_TABLE,
        },
    ),
    "demo": Command("demo", "Demonstrate keyturn with its own emulator", {}),
    "emulate": Command(
        "emulate",
        "Run the emulator of the four providers",
        {
            "--output": {
                "metavar": "PATH",
                "help": "write the keyturn.toml to this file, readable by this user only, "
                "instead of printing it",
            },
            "--host": {
                "metavar": "HOST",
                "default": "127.0.0.1",
                "help": "the name or IPv4 address to listen on (default: 127.0.0.1); in a "
                "container 0.0.0.0",
            },
            "--port": {
                "metavar": "PORT",
                "type": types.port,
                "default": 0,
                "help": "the first of four ports (default: free ones)",
            },
            "--lifetime": {
                "type": types.lifetime,
                "metavar": "SECONDS",
                "help": "the lifetime of all tokens (default: the providers' own)",
            },
            "--stable": {
                "action": "store_true",
                "help": "use the same, publicly known client IDs and secrets at each start",
            },
        },
    ),
    "completion": Command(
        "completion",
        "Print the script that completes keyturn's arguments in a shell",
        {
            "shell": {
                "metavar": "SHELL",
                "choices": ("bash", "zsh", "fish"),
                "help": "bash, zsh or fish",
            }
        },
    ),
    "complete": Command(
        "completion", "", {"words": {"nargs": "*", "help": "the words that were typed"}}
    ),
    "help": Command(
        "about",
        "Show the help of keyturn, or of a command",
        {"words": {"metavar": "COMMAND", "nargs": "*", "help": "the command"}},
    ),
    "version": Command("about", "Show keyturn's version", {}),
}
