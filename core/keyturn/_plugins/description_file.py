"""Reading a provider that a TOML file describes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._providers.from_data import provider_from_toml

if TYPE_CHECKING:
    import os

    from keyturn._providers.provider import Provider


def provider_from_file(path: str | os.PathLike[str], *, name: str | None = None) -> Provider[Any]:
    """Return the provider that a TOML file describes; see `provider_from_data`.

    Args:
        path: The file.
        name: The provider's name; by default the one in the file, else the file's without `.toml`.

    Raises:
        keyturn.errors.ConfigurationError: The file can't be read, or there are mistakes in it.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except (OSError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
    else:
        return provider_from_toml(content, str(file), name=name, usual_name=file.stem)
    raise errors.ConfigurationError(f"the description {file} can't be read ({problem}).")
