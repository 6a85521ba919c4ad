"""Secret storage of the command line: the keyring, or files beside keyturn.toml.

The configuration contains references to the secrets, never a secret.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from keyturn import errors
from keyturn._config.directories import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyturn._secret import Secret

    Reference = dict[str, str]

_SERVICE: Final = "keyturn"
_DIRECTORY: Final = "secrets"


def keyring_problem() -> str | None:
    """Return why the system's keyring can't store a secret, or None."""
    try:
        import keyring
    except ImportError:
        return "the package keyring is missing; install keyturn[keyring]"
    try:
        backend: Any = keyring.get_keyring()
        # A back end that always fails, or that stores nothing, has a priority of 0 or less.
        usable = backend.priority > 0
    except Exception as error:  # noqa: BLE001 - a back end may raise anything
        return f"the keyring failed with {type(error).__name__}"
    return None if usable else "this system has no keyring"


def keep_in_keyring(name: str, setting: str, secret: Secret) -> Reference:
    """Store a connection's secret in the system's keyring, and return the reference to it.

    Raises:
        keyturn.errors.ConfigurationError: The keyring failed.
    """
    import keyring

    try:
        service = next(
            service
            for each in _free_names(name)
            if keyring.get_password(service := f"{_SERVICE}/{each}", setting) is None
        )
        keyring.set_password(service, setting, secret.reveal())
    except Exception as error:  # noqa: BLE001 - as above
        failure = type(error).__name__
    else:
        return {"keyring": f"{service}/{setting}"}
    raise errors.ConfigurationError(
        f"the keyring failed with {failure}.",
        connection=name,
        hint="Unlock it, or store the secret in a file.",
    )


def keep_in_file(configuration: Path, name: str, setting: str, secret: Secret) -> Reference:
    """Store a connection's secret in a file for this user only, and return the reference to it.

    Raises:
        keyturn.errors.ConfigurationError: The file can't be written.
    """
    directory = _directory(configuration)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = next(
            path
            for each in _free_names(name)
            if not (path := directory / f"{each}.{setting}").exists()
        )
        replace_file(path, secret.reveal())
    except OSError as error:
        problem = f"the secret can't be written into {directory}: {error.strerror}."
    else:
        return {"file": str(path)}
    raise errors.ConfigurationError(
        problem, connection=name, hint="Choose env, and set the environment variable."
    )


def discard(configuration: Path, name: str, reference: Any) -> str | None:
    """Delete a stored secret of a connection; return the problem if this fails, or None.

    Args:
        configuration: The path of the configuration file.
        name: The connection.
        reference: The value of one of its settings; keyturn deletes only secrets that it stored.
    """
    source, target = next(iter(reference.items())) if isinstance(reference, dict) else ("", "")
    try:
        if source == "file" and Path(target).parent == _directory(configuration):
            Path(target).unlink(missing_ok=True)
        elif source == "keyring" and str(target).startswith(f"{_SERVICE}/{name}"):
            import keyring

            keyring.delete_password(*str(target).rsplit("/", 1))
    except Exception as error:  # noqa: BLE001 - as above
        return f"{source} {target} can't be deleted ({type(error).__name__})"
    return None


def _directory(configuration: Path) -> Path:
    return configuration.absolute().parent / _DIRECTORY


def _free_names(name: str) -> Iterator[str]:
    """Yield names for entries: another configuration may have a connection with the same name."""
    yield name
    yield from (f"{name}-{number}" for number in itertools.count(2))
