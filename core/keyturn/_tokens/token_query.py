"""The query for a token, and the credentials of its request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from keyturn._tokens.single_flight import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn._http.request import TokenRequest
    from keyturn._http.response import Response
    from keyturn._plugins.events import Reason
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn._token import Token
    from keyturn._tokens.snapshot import TokenSnapshot


@attrs.frozen(eq=False, repr=False)
class TokenQuery:
    """A query for a token.

    Args:
        other_than: A token that must not be returned: it was refused, or it has expired.
        refused: Whether an API refused it.
        fresh: Whether only a fresh token may be returned, as for a renewal before the expiry.
        reason: The reason of the query, for events.
        exchanges: Records the requests that were sent, and the token endpoint's responses.
        progress: The progress of the token request.
        deadline: The deadline of a chain of token requests, on the monotonic clock.
        is_repeated: Whether the request is sent again because a step's token was refused.
        steps: Records the steps before the request: name, acquisition and query of each.
        step_values: Values of these steps that the token keeps for API requests, by their names.
    """

    other_than: Token | None = None
    refused: bool = False
    fresh: bool = False
    reason: Reason = "cold"
    exchanges: list[tuple[TokenRequest, Response]] = attrs.field(factory=list)
    progress: Progress = attrs.field(factory=Progress)
    deadline: float | None = None
    is_repeated: bool = False
    steps: list[Any] = attrs.field(factory=list)
    step_values: Mapping[str, str] = attrs.field(factory=dict)

    def matches(self, snapshot: TokenSnapshot, now: float) -> bool:
        """Return whether a token satisfies this query now (on the monotonic clock)."""
        unwanted = self.other_than is not None and (
            self.other_than.access_token == snapshot.token.access_token
        )
        return not unwanted and now < (
            snapshot.fresh_until if self.fresh else snapshot.usable_until
        )


class Credentials(NamedTuple):
    """A provider, its settings and the token request that they make.

    Args:
        provider: The provider as it behaves for these settings.
        settings: The settings, with their secrets.
        request: The token request.
    """

    provider: Provider[Any]
    settings: Settings
    request: TokenRequest
