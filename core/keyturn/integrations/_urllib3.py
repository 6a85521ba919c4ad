"""Pools of urllib3 whose connections are checked against a network policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn.integrations._api_address import check_for

if TYPE_CHECKING:
    from keyturn.integrations._request_auth import RequestAuth


def checked_pool(pool: Any, auth: RequestAuth, **members: Any) -> Any:
    """Return a class of connection pools that check each new connection.

    Args:
        pool: A class of urllib3's pools.
        auth: The authorization with the policy.
        members: Further members of the class.
    """

    class Checked(pool.ConnectionCls):  # type: ignore[misc]
        def _new_conn(self) -> Any:
            made = super()._new_conn()
            try:
                check_for(auth.connection, made.getpeername()[0], self.host)
            except errors.KeyturnError:
                made.close()
                raise
            return made

    return type(pool.__name__, (pool,), {"ConnectionCls": Checked, **members})
