"""`/ops/hooks`: the log of webhooks, and what operators may do about those that did not arrive."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from aiohttp import web

from app.errors import Invalid, NotFound
from app.ops import hooks
from app.ops.routes import Admit, Asked, answered, guarded
from app.runtime import Runtime
from app.store.hook_repairs import Dead

PAGE_USUAL = 50


class HookRoutes:
    """Answers operators, each about its own account."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def routes(self, admit: Admit) -> list[web.RouteDef]:
        """Everything under /ops/hooks."""

        def behind(asked: Asked) -> Any:
            return guarded(asked, admit)

        return [
            web.get("/ops/hooks", behind(self.listed)),
            web.get("/ops/hooks/dead", behind(self.dead)),
            web.get("/ops/hooks/targets", behind(self.targets)),
            web.get("/ops/hooks/{id}", behind(self.shown)),
            web.post("/ops/hooks/replay", behind(self.replayed)),
            web.post("/ops/hooks/{seq}/skip", behind(self.skipped)),
            web.post("/ops/hooks/{seq}/unblock", behind(self.unblocked)),
            web.post("/ops/hooks/targets/{target}/resume", behind(self.resumed)),
        ]

    async def listed(self, request: web.Request, account_sid: str) -> web.Response:
        """Attempts: Target, Conversation, Outcome; PageSize, Before."""
        limit = _number(request.query, "PageSize", PAGE_USUAL, hooks.PAGE_MAX)
        async with self._runtime.db.begin() as tx:
            asked = await hooks.wanted(tx, account_sid, **_filter(request.query))
            rows = await hooks.attempts(tx, asked, limit)
        return answered(hooks.as_json(rows, "id", limit))

    async def dead(self, request: web.Request, account_sid: str) -> web.Response:
        """What was given up: the same, without Outcome."""
        limit = _number(request.query, "PageSize", PAGE_USUAL, hooks.PAGE_MAX)
        async with self._runtime.db.begin() as tx:
            asked = await hooks.wanted(tx, account_sid, **_filter(request.query))
            rows = await hooks.dead(tx, asked, limit)
        return answered(hooks.as_json(rows, "seq", limit))

    async def targets(self, request: web.Request, account_sid: str) -> web.Response:
        """Targets that fail or are crowded: After, PageSize."""
        limit = _number(request.query, "PageSize", PAGE_USUAL, hooks.PAGE_MAX)
        after = request.query.get("After", "")
        async with self._runtime.db.begin() as tx:
            rows = await hooks.targets(tx, account_sid, after, limit)
        last = rows[-1]["target"] if len(rows) == limit else None
        return answered({"targets": rows, "after": last})

    async def shown(self, request: web.Request, account_sid: str) -> web.Response:
        """One attempt."""
        async with self._runtime.db.begin() as tx:
            found = await hooks.show(tx, account_sid, _item(request, "id", "attempt"))
        return answered(found)

    async def replayed(self, request: web.Request, account_sid: str) -> web.Response:
        """A batch, again: dead letters by Seq (several), Target, Conversation or All=true; or the
        messages of a Conversation from Index on, to a Webhook. Ask again while there is `more`,
        with the `until` (and `index`) of the answer."""
        form = await request.post()
        given = {name: str(value) for name, value in form.items()}
        if "Index" in given:
            return await self._messages(account_sid, given)
        seqs = tuple(hooks.whole("Seq", str(value)) for value in form.getall("Seq", ()))
        if len(seqs) > hooks.BATCH_MAX:
            raise Invalid(hooks.WRONG, f"Seq may be given {hooks.BATCH_MAX} times")
        if not (seqs or {"Target", "Conversation"} & set(given) or given.get("All") == "true"):
            raise Invalid(hooks.WRONG, "give Seq, Target, Conversation or All=true")
        new_tokens = given.get("NewToken") == "true"
        async with self._runtime.db.begin() as tx:
            until = _moment(given["Until"]) if "Until" in given else tx.now
            of = await hooks.wanted(
                tx, account_sid, target=given.get("Target"), conversation=given.get("Conversation")
            )
            dead = Dead(account_sid, until, of.endpoint, of.conversation_sid, seqs)
            count = await hooks.raise_dead(tx, dead, new_tokens=new_tokens)
        more = count == hooks.BATCH_MAX
        return answered({"replayed": count, "more": more, "until": until.isoformat()})

    async def _messages(self, account_sid: str, given: Mapping[str, str]) -> web.Response:
        for name in ("Conversation", "Webhook"):
            if name not in given:
                raise Invalid(hooks.WRONG, f"Missing required parameter {name}")
        settings = self._runtime.settings.of(account_sid)
        index = hooks.whole("Index", given["Index"])
        until = hooks.whole("Until", given["Until"]) if "Until" in given else None
        async with self._runtime.db.begin() as tx:
            again = await hooks.replay_messages(
                tx, settings, given["Conversation"], given["Webhook"], index, until
            )
        said = {"replayed": again.told, "more": again.more}
        return answered({**said, "index": again.index, "until": again.until})

    async def skipped(self, request: web.Request, account_sid: str) -> web.Response:
        """The first of a lane is given up."""
        async with self._runtime.db.begin() as tx:
            await hooks.skip(tx, account_sid, _item(request, "seq", "webhook"))
        return answered({"skipped": 1})

    async def unblocked(self, request: web.Request, account_sid: str) -> web.Response:
        """The first of a lane is tried now."""
        async with self._runtime.db.begin() as tx:
            await hooks.unblock(tx, account_sid, _item(request, "seq", "webhook"))
        return answered({"unblocked": 1})

    async def resumed(self, request: web.Request, account_sid: str) -> web.Response:
        """A paused target is asked now."""
        async with self._runtime.db.begin() as tx:
            await hooks.resume(tx, account_sid, request.match_info["target"])
        return answered({"resumed": 1})


def _filter(query: Mapping[str, str]) -> dict[str, Any]:
    return {
        "target": query.get("Target"),
        "conversation": query.get("Conversation"),
        "outcome": query.get("Outcome"),
        "before": _number(query, "Before", hooks.NUMBER_MAX, hooks.NUMBER_MAX),
    }


def _number(query: Mapping[str, str], name: str, usual: int, most: int) -> int:
    """A number of a query, at least 1; more than `most` counts as that."""
    if name not in query:
        return usual
    number = hooks.whole(name, query[name])
    if not number:
        raise Invalid(hooks.WRONG, f"{name} should be at least 1")
    return min(most, number)


def _item(request: web.Request, name: str, what: str) -> int:
    """The number in a path. Raises NotFound for what cannot be one."""
    with suppress(Invalid):
        return hooks.whole(name, request.match_info[name])
    raise NotFound(hooks.UNKNOWN, f"there is no {what} {request.match_info[name][:40]}")


def _moment(text: str) -> datetime:
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment
    raise Invalid(hooks.WRONG, "Until should be what the answer before said")
