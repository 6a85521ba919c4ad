"""A renewal that all askers of this process share: they wait for one worker's outcome."""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING

import attrs

from keyturn import errors
from keyturn._providers.calls import translate_errors
from keyturn._tokens import single_flight as flights

if TYPE_CHECKING:
    from concurrent.futures import Future

    from keyturn._token import Token
    from keyturn._tokens.acquisition import Renewal, TokenQuery

# For locks whose holder is gone, twice: that of the request, and that of the rate_limit.
_PATIENCE_EXTRA = 15.0

# Tells what came before and what after, whatever the clocks do.
sequence = itertools.count(1)


@attrs.frozen
class Fetched:
    """What a worker brought, and when.

    Args:
        token: The token.
        number: Its place in the `sequence` of this process.
        now: When the worker had it, in epoch seconds.
        monotonic: The same moment on the monotonic clock.
    """

    token: Token
    number: int
    now: float
    monotonic: float


_flights: flights.SingleFlight[Fetched] = flights.SingleFlight()


@attrs.frozen
class SharedAcquisition:
    """Asks a renewal for tokens, one worker at a time for each key.

    Args:
        renewal: Obtains the tokens.
        connection: The connection's name, for errors.
    """

    renewal: Renewal
    connection: str

    def join(self, need: TokenQuery) -> Future[Fetched]:
        """Return the future of the worker that obtains this token; see `Renewal.obtain`."""
        renewal = self.renewal
        # Who may wait shorter or longer has a worker of their own; the store's lock keeps them one.
        key = (id(renewal.store.store), renewal.request.fingerprint, need, renewal.options)
        try:
            return _flights.join(key, lambda: self._obtained(need))
        except flights.ReentrantCallError:
            failure = errors.ConfigurationError(
                "a token is asked for on the thread that obtains it.",
                hint="Don't ask for one in a handler of keyturn's log, nor in a provider's method.",
            )
        raise self.own(failure)

    def _obtained(self, need: TokenQuery) -> Fetched:
        renewal = self.renewal
        outcome = translate_errors(renewal.provider.name, lambda: renewal.obtain(need))
        now, monotonic = renewal.clock.time(), renewal.clock.monotonic()
        return Fetched(outcome.token, next(sequence), now, monotonic)

    def wait(self, flight: Future[Fetched]) -> Fetched:
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

    async def wait_async(self, flight: Future[Fetched]) -> Fetched:
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
            f"no token came within {self._patience:g} s: the request for it hangs, here or in "
            "another process.",
            hint="Ask again; if it lasts, look at how long names take to be resolved.",
        )
