"""A renewal that all askers of this process share: they wait for one worker's outcome."""

from __future__ import annotations

import copy
import traceback
from typing import TYPE_CHECKING

import attrs

from keyturn import errors, flights

if TYPE_CHECKING:
    from concurrent.futures import Future

    from keyturn.renewal import Outcome, Renewal
    from keyturn.token import Token

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

    def join(self, *, rejected: Token | None = None, ahead: bool = False) -> Future[Outcome]:
        """Return the future of the worker that obtains this token; see `Renewal.obtain`."""
        store, fingerprint = self.renewal.store.store, self.renewal.request.fingerprint
        key = (id(store), fingerprint, rejected and rejected.access_token, ahead)
        return _flights.join(key, lambda: self._obtain(rejected, ahead=ahead))

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

    def _obtain(self, rejected: Token | None, *, ahead: bool) -> Outcome:
        failure: errors.KeyturnError
        try:
            return self.renewal.obtain(rejected=rejected, ahead=ahead)
        except errors.KeyturnError as error:
            failure = error
        except BaseException as error:  # noqa: BLE001 - a provider's method may raise anything
            place = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__} in {place.name}, line {place.lineno}"
            failure = errors.KeyturnError(
                f"provider {self.renewal.provider.name} failed with {what}.",
                hint="This is a defect: please tell the provider's authors.",
            )
        # The frames behind a failure hold secrets; its text says what there is to say.
        raise failure.with_traceback(None)

    @property
    def _patience(self) -> float:
        options = self.renewal.options
        return options.timeout + options.wait + _PATIENCE_EXTRA

    def _too_slow(self) -> errors.KeyturnError:
        return errors.EndpointUnavailable(
            f"no token came within {self._patience:g} s, since another request for it hangs.",
            hint="Ask again.",
        )
