"""What WhatsApp thinks of templates, asked of the carriers that can be asked.

Meta tells by its webhook; Twilio is asked: a template that names its ContentSid there (`carriers`)
is asked about every few minutes while it is being decided on, every hour otherwise. One that was
submitted here and is not there is handed in; they are asked first, so that a request whose answer
was lost is not made twice. What the YAML says of an approval stays.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.carriers.contract import Reviewing, Unlisted
from app.model.contents import PENDING, RECEIVED, UNSUBMITTED
from app.model.traffic import Review
from app.observe import Said
from app.rules.approvals import approvable
from app.runtime import Runtime
from app.store import contents
from app.store.contents import Asked

RING_S = 10.0
"""How often it is seen whether some are due."""
AT_ONCE = 5
"""Templates in one turn, one call after the other."""
LEASE_S = 900.0
"""Longer than a turn whose every call takes as long as it may."""
SOON_S, RARELY_S = 300.0, 3600.0
UNDECIDED = (RECEIVED, PENDING)
PASSING = ("throttled", "unreachable")
"""What another try may not meet; anything else is the operator's to mend."""


class Approvals:
    """Asks for all accounts. Any number of replicas may take turns at once."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._carriers = {
            name: one for name, one in runtime.carriers.items() if isinstance(one, Reviewing)
        }

    async def turn(self) -> None:
        """Ask about some of those that are due."""
        if not self._carriers:
            return
        async with self._runtime.db.begin() as tx:
            asked = await contents.due(tx, LEASE_S, AT_ONCE)
        away: dict[str, float] = {}
        for one in asked:
            await self._ask(one, away)

    async def _ask(self, one: Asked, away: dict[str, float]) -> None:
        """Ask about one, and when it is asked about next. `away` are the carriers that do not
        answer in this turn, and for how long they are left alone."""
        named = self._named(one)
        if named is None:
            return await self._keep(one, None, RARELY_S)
        name, carrier, names = named
        if name in away:
            return await self._keep(one, None, away[name])
        try:
            review = await carrier.review(names, self._runtime.context)
            if review.status == UNSUBMITTED and one.request is not None:
                review = await carrier.submit(names, one.request, self._runtime.context)
        except Unlisted as error:
            wait_s = _wait_s(error)
            if error.outcome in PASSING:
                away[name] = wait_s
            said = f"carrier {name} does not tell of template {one.sid}: {error.message}"
            self._runtime.observe(Said("warning", "approvals", said))
            return await self._keep(one, None, wait_s)
        undecided = review.status in UNDECIDED
        return await self._keep(one, review, SOON_S if undecided else RARELY_S)

    def _named(self, one: Asked) -> tuple[str, Reviewing, Mapping[str, str]] | None:
        """The first carrier that can be asked about it, and what that calls it."""
        for name, names in one.names.items():
            carrier = self._carriers.get(name)
            if not one.declared and carrier is not None and carrier.can_review(names):
                return name, carrier, names
        return None

    async def _keep(self, one: Asked, review: Review | None, wait_s: float) -> None:
        news = False
        async with self._runtime.db.begin() as tx:
            await contents.ask_again(tx, one, wait_s)
            if review is not None and review.status != UNSUBMITTED:
                kind = review.kind if review.kind in one.types else approvable(one.types)
                news = await contents.reviewed(tx, one.sid, kind, review)
        if news and review is not None:
            said = f"template {one.sid} is {review.status}"
            self._runtime.observe(Said("info", "approvals", said))


def _wait_s(error: Unlisted) -> float:
    if error.outcome not in PASSING:
        return RARELY_S
    return min(max(SOON_S, error.retry_after_s or 0.0), RARELY_S)
