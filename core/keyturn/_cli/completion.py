"""Shell completion: each shell runs `keyturn complete` with the typed words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyturn import errors
from keyturn._cli.table import COMMANDS, COMMON

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

# The first line of the output if the shell should complete file names.
_FILES: Final = ":files"
_FILE_WORDS: Final = {"FILE", "PATH", "DIRECTORY"}
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")

_BASH: Final = r"""# For bash: eval "$(keyturn completion bash)"
_keyturn() {
    local value
    COMPREPLY=()
    while IFS=$'\t' read -r value _; do
        if [[ $value == :files ]]; then
            compopt -o default 2>/dev/null
            return
        fi
        COMPREPLY+=("$value")
    done < <("$1" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _keyturn keyturn
"""
_ZSH: Final = r"""#compdef keyturn
# For zsh, after compinit: eval "$(keyturn completion zsh)"; or as _keyturn in a directory of fpath.
_keyturn() {
    local line
    local -a values
    for line in "${(@f)$("${words[1]}" complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
        if [[ $line == :files ]]; then
            _files
            return
        fi
        [[ -n $line ]] && values+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    _describe keyturn values
}
if [[ ${funcstack[1]} == _keyturn ]]; then
    _keyturn "$@"
else
    compdef _keyturn keyturn
fi
"""
_FISH: Final = r"""# For fish: keyturn completion fish | source
function __keyturn_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] complete -- $words[2..-1] 2>/dev/null)
    if test "$found[1]" = :files
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found
    end
end
complete -c keyturn -f -a '(__keyturn_complete)'
"""
_SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def completion(arguments: argparse.Namespace) -> None:
    """Print the script that a shell runs to complete keyturn's arguments."""
    print(_SCRIPTS[arguments.shell], end="", file=arguments.out)


def complete(arguments: argparse.Namespace) -> None:
    """Print the completions of the last word: each value, a tab, and its description."""
    *before, current = arguments.words or [""]
    for value, summary in _candidates(before, current):
        print(f"{value}\t{summary}" if summary else value, file=arguments.out)


def _candidates(before: list[str], current: str) -> Iterator[tuple[str, str]]:
    """Yield the completions of the current word, with their descriptions."""
    line = _Line()
    # bash splits `--format=json` at the equals sign.
    for word in before:
        if word != "=":
            line.add(word)
    prefix = ""
    if current == "=":
        current = ""
    elif current.startswith("--") and "=" in current and not line.option:
        option, _, current = current.partition("=")
        line.add(option)
        prefix = f"{option}="
    for value, summary in line.candidates(current):
        # The name of a third-party plugin must not control the terminal or the shell.
        if value == _FILES or (value.startswith(current) and value.isprintable()):
            yield f"{prefix}{value}" if value != _FILES else value, summary


class _Line:
    """The words before the current one."""

    def __init__(self) -> None:
        self.path = ""
        self.option: tuple[str, dict[str, Any]] | None = None
        self._count = 0
        self._config: str | None = None

    def add(self, word: str) -> None:
        """Add a word."""
        if self.option:
            if self.option[0] == "--config":
                self._config = word
            self.option = None
        elif word.startswith("-"):
            name, equals, _ = word.partition("=")
            for names, options in self._arguments().items():
                if name in names.split() and options.get("action") in {None, "append"}:
                    self.option = None if equals else (names, options)
        elif self.path in COMMANDS and COMMANDS[self.path].module:
            self._count += 1
        else:
            self.path = f"{self.path} {word}".lstrip()

    def candidates(self, current: str) -> Iterable[tuple[str, str]]:
        """Return the possible next values, with their descriptions."""
        if self.option:
            return self._values(*self.option)
        if current.startswith("-"):
            return [
                (name, options["help"])
                for names, options in self._arguments().items()
                for name in names.split()
                if name.startswith("--")
            ]
        if self.path not in COMMANDS or not COMMANDS[self.path].module:
            return _commands(self.path)
        positional = [each for each in self._arguments().items() if not each[0].startswith("-")]
        if self._count < len(positional):
            return self._values(*positional[self._count])
        is_open = positional and positional[-1][1].get("nargs") == "*"
        return self._values(*positional[-1]) if is_open else []

    def _arguments(self) -> dict[str, dict[str, Any]]:
        own = COMMANDS[self.path].arguments if self.path in COMMANDS else {}
        return {**own, **COMMON}

    def _values(self, names: str, options: dict[str, Any]) -> Iterable[tuple[str, str]]:
        """Return the values of an argument."""
        if "choices" in options:
            return [(str(each), "") for each in options["choices"]]
        if names.startswith("-") and options.get("metavar") in _FILE_WORDS:
            return [(_FILES, "")]
        if names == "name":
            return self._connections()
        if names == "provider":
            return _providers()
        if names == "words":
            return _commands("")
        return [(each, "") for each in (_METHODS if names == "method" else ())]

    def _connections(self) -> list[tuple[str, str]]:
        from keyturn import _config

        try:
            configured = _config.read(self._config)
        except errors.ConfigurationError:
            return []
        return [(name, configured.provider_of(name)) for name in sorted(configured.connections)]


def _commands(group: str) -> list[tuple[str, str]]:
    """Return the commands of a group, or those without a group for ""."""
    split = [(*name.rpartition(" "), each.summary) for name, each in COMMANDS.items()]
    return [(word, summary) for path, _, word, summary in split if path == group and summary]


def _providers() -> list[tuple[str, str]]:
    from keyturn._plugins.discovery import installed_providers

    return [(each.name, each.distribution) for each in installed_providers()]
