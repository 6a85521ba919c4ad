"""The plugin for HTTPie, which finds it by its entry point: `http --auth-type keyturn`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from httpie.plugins import AuthPlugin

if TYPE_CHECKING:
    from keyturn.integrations.requests import KeyturnAuth


class KeyturnPlugin(AuthPlugin):  # type: ignore[misc]  # HTTPie has no types
    """Adds the token of a configured connection: `http --auth-type keyturn --auth shop URL`.

    It follows the rules of `keyturn.integrations.requests.KeyturnAuth`. HTTPie prints asterisks for
    the added values, and stores the connection's name in its session files.
    """

    name = "keyturn"
    auth_type = "keyturn"
    description = "OAuth 2 tokens of a connection that keyturn.toml or the environment defines"
    prompt_password = False

    def get_auth(self, username: str | None = None, password: str | None = None) -> KeyturnAuth:
        """Return the adapter of a connection; HTTPie calls it.

        Args:
            username: The connection's name.
            password: Must be empty, as keyturn keeps the secret.

        Raises:
            keyturn.errors.ConfigurationError: There is a password.
        """
        # HTTPie imports this module for each of its calls, whatever the authentication.
        from keyturn.integrations._httpie import masked_auth

        return masked_auth(username or "", password)
