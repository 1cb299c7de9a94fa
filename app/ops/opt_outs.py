"""`/ops/opt-outs`: who opted out of what, and putting it right when it was not meant."""

from __future__ import annotations

from aiohttp import web

from app.channels.address import normalise
from app.clock import iso_seconds
from app.errors import Invalid, NotFound
from app.ops.routes import Admit, answered, guarded
from app.runtime import Runtime
from app.store import standing

PAGE_USUAL, PAGE_MAX = 50, 1000
WRONG = 20001


class OptOutRoutes:
    """Answers operators, each about its own account."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def routes(self, admit: Admit) -> list[web.RouteDef]:
        """Everything under /ops/opt-outs."""
        return [
            web.get("/ops/opt-outs", guarded(self.listed, admit)),
            web.post("/ops/opt-outs/clear", guarded(self.cleared, admit)),
        ]

    async def listed(self, request: web.Request, account_sid: str) -> web.Response:
        """Who opted out, also of those who opted in again: Address, PageSize, After."""
        query = request.query
        address = _address(query["Address"]) if "Address" in query else None
        after, _, sender = _plus(_printed("After", query.get("After", ""))).partition(" ")
        limit = _size(query.get("PageSize"))
        async with self._runtime.db.begin() as tx:
            rows = await standing.listed(tx.sql, account_sid, address, (after, sender), limit)
        last = rows[-1] if len(rows) == limit else None
        return answered(
            {
                "opt_outs": [
                    {**row, "date_updated": iso_seconds(row["date_updated"])} for row in rows
                ],
                "after": f"{last['address']} {last['sender']}" if last else None,
            }
        )

    async def cleared(self, request: web.Request, account_sid: str) -> web.Response:
        """Somebody may be written to again: Address, and Sender (an address of ours, or the SID of
        a messaging service; without it: by all). Their carrier may still refuse it."""
        form = await request.post()
        given, sender = form.get("Address"), form.get("Sender")
        if not isinstance(given, str) or not (sender is None or isinstance(sender, str)):
            raise Invalid(WRONG, "Missing required parameter Address")
        sender = sender if sender is None else _printed("Sender", sender)
        async with self._runtime.db.begin() as tx:
            count = await standing.clear(tx.sql, account_sid, _address(given), sender, tx.now)
        if not count:
            raise NotFound(20404, "nobody with this Address opted out of it")
        return answered({"cleared": count})


def _address(text: str) -> str:
    try:
        return normalise(_plus(text), allow_short_code=True, lenient=True)
    except ValueError as error:
        raise Invalid(WRONG, f"Address: {error}") from error


def _printed(name: str, text: str) -> str:
    """What a database can hold."""
    if not text.isprintable():
        raise Invalid(WRONG, f"{name} has characters that nobody prints")
    return text


def _plus(text: str) -> str:
    """A + that was not written as %2B came as a space."""
    return "+" + text[1:] if text.startswith(" ") else text


def _size(text: str | None) -> int:
    if text is None:
        return PAGE_USUAL
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text)):
        raise Invalid(WRONG, "PageSize should be a whole number from 1 on")
    return min(int(text), PAGE_MAX)
