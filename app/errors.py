"""The closed tree of errors. Codes, no HTTP: api/errors.py maps the first family to statuses.

ParleyError
├── Refused                 a request that must not happen; carries the original's code
│   ├── NotFound            the thing named in the path or a parameter does not exist
│   ├── Invalid             a parameter is missing or wrong
│   ├── Conflict            the state of things forbids it
│   ├── Forbidden           the caller may not
│   ├── Denied              an access token does not let its bearer in
│   └── TooMany             a limit was reached; carries retry_after_s
├── Unavailable             we could not do it now (database away, queue full); try again
│   └── NoRoom              there is no room for it on the disk
├── Unsealable              what is kept sealed cannot be opened: no key for it, or it was changed
└── CarrierError            what a carrier says of a send
    ├── Temporary           known not to have happened; may be tried again
    ├── Permanent           known not to have happened; never again
    └── Unknown             it may have happened: ask the carrier before anything is sent again
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

NOT_LET_IN = frozenset({20003, 20005})
"""The original's numbers for wrong credentials and for an account that is not active."""


class ParleyError(Exception):
    """Everything that Parley raises on purpose."""


class Refused(ParleyError):
    """A request that must not happen. `code` is the original's error number."""

    def __init__(self, code: int, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


class NotFound(Refused):
    """The thing named does not exist (or is not the caller's)."""


class Invalid(Refused):
    """A parameter is missing or wrong; the message names it."""


class Conflict(Refused):
    """The state of things forbids it; the same request may succeed later."""


class Forbidden(Refused):
    """The caller may not do this."""


class Denied(Refused):
    """An access token does not let its bearer in; the code says which part of it is wrong."""


class TooMany(Refused):
    """A limit was reached; try again after `retry_after_s` seconds."""

    def __init__(self, code: int, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(code, message)
        self.retry_after_s = retry_after_s


class Unavailable(ParleyError):
    """We could not do it now; try again after `retry_after_s` seconds.

    Nothing happened, unless the database broke away under a COMMIT: then nobody knows. Inbounds are
    safe to repeat (the ledger), creates with an Idempotency-Key too.
    """

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NoRoom(Unavailable):
    """There is no room for a file; an operator must make some. The text may be shown."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 60.0)


def unheard(setting: str, host: str, port: int, error: OSError) -> ParleyError:
    """Nobody can listen there; says which setting asked for it."""
    said = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    return ParleyError(f"{setting}: cannot listen at {host}:{port}: {said}")


class Unsealable(ParleyError):
    """What is kept sealed cannot be opened; the message says why, never what."""


class CarrierError(ParleyError):
    """What a carrier says of a send that did not simply succeed. `down`: it says that the carrier
    itself fails, for every sender, and nothing of this message: no connection, no answer, an error
    of its server, or that it does not take the login that all of them share. `barred`: it says
    nothing of this message, but perhaps of its sender alone (a page, a number, an account there):
    by another carrier it may go."""

    down = False

    def __init__(
        self,
        message: str,
        code: int | None = None,
        *,
        down: bool | None = None,
        barred: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.down = type(self).down if down is None else down
        self.barred = barred or self.down


class Temporary(CarrierError):
    """The send is known not to have happened and may be tried again (not before retry_after_s).
    Who is not let in (NOT_LET_IN) is `barred`; only the carrier knows whether everybody is.
    `throttled`: the sender is to send less, whoever it writes to."""

    def __init__(
        self,
        message: str,
        code: int | None = None,
        retry_after_s: float | None = None,
        *,
        down: bool = False,
        barred: bool = False,
        throttled: bool = False,
    ) -> None:
        super().__init__(message, code, down=down, barred=barred or code in NOT_LET_IN)
        self.retry_after_s = retry_after_s
        self.throttled = throttled


class Permanent(CarrierError):
    """The send did not happen and never will; `code` is the original's error number.

    `status` is what the receipt becomes: `failed` or `undelivered`.
    """

    def __init__(self, message: str, code: int, status: str = "failed") -> None:
        super().__init__(message, code)
        self.status = status


class Unknown(CarrierError):
    """The answer was lost: the send may or may not have happened."""

    down = True
