"""Definitions as they are walked: read once, since a revision never changes."""

from __future__ import annotations

from collections import OrderedDict

from app.errors import ParleyError
from app.flows.definition import parse
from app.flows.states import Flow, FlowErrors
from app.store import running
from app.store.database import Database

KEPT_MAX = 256


class Unwalkable(ParleyError):
    """There is no such revision any more, or it cannot be walked."""


class Definitions:
    """The definitions that this process walked last."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: OrderedDict[tuple[str, int], Flow] = OrderedDict()

    async def of(self, flow_sid: str, revision: int) -> Flow:
        """A flow in one of its revisions. Raises Unwalkable."""
        place = flow_sid, revision
        if place in self._known:
            self._known.move_to_end(place)
            return self._known[place]
        async with self._db.read() as tx:
            text = await running.definition(tx.sql, flow_sid, revision)
        if text is None:
            raise Unwalkable(f"there is no revision {revision} of {flow_sid}")
        try:
            flow = self._known[place] = parse(text)
        except FlowErrors as errors:
            raise Unwalkable(f"{flow_sid} cannot be walked: {errors.problems[0]}") from None
        if len(self._known) > KEPT_MAX:
            self._known.popitem(last=False)
        return flow
