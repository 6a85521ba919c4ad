"""A renewal that all askers of this process share: they wait for one worker's outcome."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import attrs

from keyturn import errors, flights
from keyturn._provider import guarded

if TYPE_CHECKING:
    from concurrent.futures import Future

    from keyturn.renewal import Need, Outcome, Renewal

_PATIENCE_EXTRA = 10.0

_flights: flights.Flights[Outcome] = flights.Flights()


@attrs.frozen
class SharedRenewal:
    """Asks a renewal for tokens, one worker at a time for each key.

    Args:
        renewal: Obtains the tokens.
        connection: The connection's name, for errors.
    """

    renewal: Renewal
    connection: str

    def join(self, need: Need) -> Future[Outcome]:
        """Return the future of the worker that obtains this token; see `Renewal.obtain`."""
        store, request = self.renewal.store.store, self.renewal.request
        return _flights.join(
            (id(store), request.fingerprint, need),
            lambda: guarded(self.renewal.provider.name, lambda: self.renewal.obtain(need)),
        )

    def wait(self, flight: Future[Outcome]) -> Outcome:
        """Wait for a worker's outcome.

        Raises:
            keyturn.errors.KeyturnError: There is no token to be had.
        """
        try:
            return flight.result(self._patience)
        except errors.KeyturnError as error:
            failure = error
        except TimeoutError:
            failure = self._too_slow()
        raise self.own(failure)

    async def wait_async(self, flight: Future[Outcome]) -> Outcome:
        """Wait for a worker's outcome without blocking the event loop; see `wait`."""
        try:
            return await flights.wait(flight, self._patience)
        except errors.KeyturnError as error:
            failure = error
        except TimeoutError:
            failure = self._too_slow()
        raise self.own(failure)

    def own(self, failure: errors.KeyturnError) -> errors.KeyturnError:
        """Return a copy for one waiter: an error raised in two threads mixes their tracebacks."""
        own = copy.copy(failure)
        own.connection = self.connection
        return own

    @property
    def _patience(self) -> float:
        options = self.renewal.options
        return options.timeout + options.wait + _PATIENCE_EXTRA

    def _too_slow(self) -> errors.KeyturnError:
        return errors.EndpointUnavailable(
            f"no token came within {self._patience:g} s, since another request for it hangs.",
            hint="Ask again.",
        )
