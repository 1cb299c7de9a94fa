"""The carriers' doors: verify, parse, queue; answered when everything is committed.

`/carriers/{name}/inbound` and `/carriers/{name}/status`, one URL for all numbers of a carrier. 2xx
only after the commit; 403 on a bad signature, 413 and 400 on bad input, 503 with Retry-After when
we could not store it (the carrier tries again).

A carrier that gives up waiting is answered before it does: 503, too. What it brought keeps its
place and goes on; the carrier's next try is a duplicate of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

from aiohttp import web

from app.carriers.contract import Approving, Carrier, Challenged, Junk, Mailing, Request
from app.channels.address import masked
from app.errors import Unavailable
from app.inbound import patience, requests
from app.inbound.mail import Mailroom
from app.inbound.requests import BadRequest
from app.model.traffic import ApprovalStatus, Inbound, SignatureResult, Status
from app.observe import Failed, InboundSeen
from app.road.items import Arrival, Posted, Road, Taken
from app.runtime import Runtime
from app.store import contents
from app.turnstile import Turnstile

Report = Callable[[Status], asyncio.Future[bool]]
"""Settles one status; says whether its receipt was found."""

LARGE_AT_ONCE, LARGE_WAITING_MAX = 2, 64
"""Mails larger than usual bodies: they are read in memory with their files."""
MAIL_S = 60.0
"""How long a mail may take to come in."""
BAD_SIGNATURE = "the signature is not valid for this URL and body"
UNADMITTED = "the secret of this door (in its URL), or the signature, is missing or wrong"

SEEN_AS = {"dropped": "unroutable", "duplicate": "duplicate"}
"""The metric's word for what the road made of an inbound; everything else is accepted."""


class Doors:
    """Both doors of every configured carrier."""

    def __init__(self, runtime: Runtime, road: Road, report: Report) -> None:
        self._runtime = runtime
        self._road = road
        self._turnstile = Turnstile()
        self._patience = patience.Patience()
        self._report = report
        carriers = runtime.carriers.items()  # asked once: at a door it took a tenth of our own time
        self._approving = {name: one for name, one in carriers if isinstance(one, Approving)}
        self._mailing = {name: one for name, one in carriers if isinstance(one, Mailing)}
        self._mailroom = Mailroom(runtime)
        given = runtime.settings.carriers
        self._answer_s = {
            name: patience.answer_s(given[name].patience_s or one.patience_s)
            for name, one in carriers
        }

    def routes(self) -> list[web.RouteDef]:
        """What the service serves."""
        return [
            web.post("/carriers/{carrier}/inbound", self.inbound),
            web.post("/carriers/{carrier}/status", self.status),
            web.get("/carriers/{carrier}/inbound", self.challenge),
            web.get("/carriers/{carrier}/status", self.challenge),
        ]

    async def challenge(self, request: web.Request) -> web.Response:
        """A carrier wants to see that this door is ours."""
        carrier = self._runtime.carriers.get(request.match_info["carrier"])
        if not isinstance(carrier, Challenged):
            return _error(405, "this door takes POST")
        settings, public_url = self._runtime.settings, self._runtime.public_url
        try:
            proof = carrier.challenge(await requests.read(request, settings.server, public_url))
        except BadRequest as error:
            return _refusal(error, self._runtime)
        if proof is None:
            return _error(403, "the challenge does not name our verify token")
        return web.Response(text=proof.body, content_type=proof.content_type)

    async def inbound(self, request: web.Request) -> web.Response:
        """A message came; answered when what it caused is committed."""
        mailing = self._mailing.get(request.match_info["carrier"])
        if mailing is None:
            return await self._inbound(request, None)
        try:
            async with self._large(request.content_length):
                return await self._inbound(request, mailing)
        except Unavailable as error:
            return _unavailable(error)

    async def _inbound(self, request: web.Request, mailing: Mailing | None) -> web.Response:
        started = self._runtime.clock.monotonic()
        try:
            carrier, read, signature = await self._open(request)
            messages = await self._parsed(carrier, read)
            if carrier.one_door:
                await self._settle(carrier.parse_status(read), self._left_s(request, started))
            if (approving := self._approving.get(carrier.name)) is not None:
                async with asyncio.timeout(self._left_s(request, started)):
                    await self._approve(carrier.name, approving.parse_approvals(read))
            if mailing is not None:
                messages = await self._mailroom.sort(messages, mailing.per_minute_max)
            left_s = self._left_s(request, started)
            failed = await self._take(messages, signature, started, left_s)
        except Exception as error:
            return self._turned_away(request, started, error)
        if failed is not None:
            return _unavailable(failed)
        answer = carrier.answer(messages)
        return web.Response(text=answer.body, content_type=answer.content_type)

    async def status(self, request: web.Request) -> web.Response:
        """A carrier reports on a send; answered when the receipt's move is committed."""
        carrier = self._runtime.carriers.get(request.match_info["carrier"])
        if carrier is not None and carrier.one_door:
            return await self.inbound(request)
        started = self._runtime.clock.monotonic()
        try:
            carrier, read, _ = await self._open(request)
            await self._settle(carrier.parse_status(read), self._left_s(request, started))
        except Exception as error:
            return _refusal(error, self._runtime)
        return web.Response(text="")

    async def mail(self, carrier: str, raw: bytes, sender: str, recipients: Sequence[str]) -> None:
        """A mail came to the port of this carrier; returns when what it caused is committed. Raises
        Junk, Unavailable and what the road raises."""
        mailing, started = self._mailing[carrier], self._runtime.clock.monotonic()
        async with self._large(len(raw)):
            try:
                read = await asyncio.to_thread(mailing.read_mail, raw, sender, recipients)
            except Junk:
                took = self._runtime.clock.monotonic() - started
                self._runtime.observe(InboundSeen(carrier, "junk", took, signature="unchecked"))
                raise
            await self._settle(read[1], None)
            messages = await self._mailroom.sort(read[0], mailing.per_minute_max)
            failed = await self._take(messages, "unchecked", started, None)
        if failed is not None:
            raise failed

    @asynccontextmanager
    async def _large(self, size: int | None) -> AsyncIterator[None]:
        """A mail takes several times its size while it is read: few large ones at once. Raises
        Unavailable when too many wait."""
        if size is not None and size <= self._runtime.settings.server.body_bytes_max:
            yield
            return
        async with self._runtime.turns.take("large mails", LARGE_AT_ONCE, LARGE_WAITING_MAX):
            yield

    async def _parsed(self, carrier: Carrier, read: Request) -> Sequence[Inbound]:
        """Mails are large: meanwhile others go on."""
        if carrier.name in self._mailing:
            return await asyncio.to_thread(carrier.parse_inbound, read)
        return carrier.parse_inbound(read)

    async def _take(
        self,
        messages: Sequence[Inbound],
        signature: SignatureResult,
        started: float,
        left_s: float | None,
    ) -> Exception | None:
        """Walk the road with all of them; gives what kept one of them from it. Raises TimeoutError
        when that is not known in time."""
        arrivals = [self._arrival(message, signature) for message in messages]
        results = await self._walk(arrivals, left_s)
        took = self._runtime.clock.monotonic() - started
        for arrival, result in zip(arrivals, results, strict=True):
            self._seen(arrival, result, took)
        return next((one for one in results if isinstance(one, Exception)), None)

    async def _settle(self, statuses: Sequence[Status], left_s: float | None) -> None:
        reported = [self._report(status) for status in statuses]
        for outcome in await self._patience.outcomes(reported, left_s):
            if isinstance(outcome, Exception):
                raise outcome

    def _left_s(self, request: web.Request, started: float) -> float | None:
        """How long this request's carrier may still be kept waiting; None: as long as it takes."""
        answer_s = self._answer_s.get(request.match_info["carrier"])
        return answer_s and max(0.0, started + answer_s - self._runtime.clock.monotonic())

    async def _approve(self, carrier: str, decided: Sequence[ApprovalStatus]) -> None:
        """Keep what WhatsApp decided on the templates of those who send by this carrier."""
        if decided:
            senders = self._runtime.settings.senders
            owners = {one.account for one in senders if one.carrier == carrier}
            accounts = sorted(one or self._runtime.settings.account.sid for one in owners)
            async with self._runtime.db.begin() as tx:
                await contents.decided(tx, accounts, decided)

    async def _open(self, request: web.Request) -> tuple[Carrier, Request, SignatureResult]:
        """The carrier, its request and what its signature is worth. Raises BadRequest."""
        name = request.match_info["carrier"]
        carrier = self._runtime.carriers.get(name)
        if carrier is None:
            raise BadRequest(404, f"no carrier {name!r} is configured")
        settings = self._runtime.settings
        mode = settings.carriers[name].signature
        read = await self._read(request, name, mode)
        await self._turnstile.enter()
        if mode == "off":
            return carrier, read, "unchecked"
        signature = carrier.verify(read)
        if signature == "invalid" and mode == "enforce":
            raise BadRequest(403, UNADMITTED if name in self._mailing else BAD_SIGNATURE)
        return carrier, read, signature

    async def _read(self, request: web.Request, name: str, mode: str) -> Request:
        server, public_url = self._runtime.settings.server, self._runtime.public_url
        mailing = self._mailing.get(name)
        if mailing is None:
            return await requests.read(request, server, public_url)
        if mode == "enforce" and not mailing.admits(requests.head(request, public_url)):
            raise BadRequest(403, UNADMITTED)
        most = mailing.body_bytes_max
        try:
            async with asyncio.timeout(MAIL_S):
                return await requests.read(request, server, public_url, bytes_max=most)
        except TimeoutError:
            raise BadRequest(408, f"the mail did not come within {MAIL_S:g} seconds") from None

    def _arrival(self, message: Inbound, signature: SignatureResult) -> Arrival:
        account_sid = self._runtime.settings.owner(message.proxy_address)
        if message.signature != signature:
            message = replace(message, signature=signature)
        return Arrival(account_sid, message)

    async def _walk(
        self, arrivals: Sequence[Arrival], left_s: float | None
    ) -> list[Taken | Posted | Exception]:
        """Walk the road with all of them, in their order."""
        return await self._patience.outcomes(
            [self._entered(arrival) for arrival in arrivals], left_s
        )

    def _entered(self, arrival: Arrival) -> asyncio.Future[Taken | Posted]:
        try:
            return self._road.enqueue(arrival)
        except Unavailable as error:
            away: asyncio.Future[Taken | Posted] = asyncio.get_running_loop().create_future()
            away.set_exception(error)
            return away

    def _seen(self, arrival: Arrival, result: Taken | Posted | Exception, took_s: float) -> None:
        inbound = arrival.inbound
        taken = result if isinstance(result, Taken) else None
        if taken is not None:
            outcome = SEEN_AS.get(taken.outcome, "accepted")
        else:
            outcome = "throttled" if isinstance(result, Unavailable) else "failed"
        seen = InboundSeen(
            carrier=inbound.carrier,
            outcome=outcome,
            ack_s=took_s,
            signature=inbound.signature,
            rule=taken.rule if taken else None,
            decision=taken.outcome if taken else None,
            autocreate=taken.autocreate if taken else None,
            external_id=inbound.external_id,
            message_sid=taken.message_sid if taken else None,
            conversation_sid=taken.conversation_sid if taken else None,
            address=masked(inbound.address),
            proxy_address=masked(inbound.proxy_address),
        )
        if outcome == "failed":
            self._runtime.observe(Failed("the road", cast(BaseException, result)))
        self._runtime.observe(seen)

    def _turned_away(self, request: web.Request, started: float, error: Exception) -> web.Response:
        name = request.match_info["carrier"]
        known = name if name in self._runtime.carriers else "unknown"
        status = error.status if isinstance(error, BadRequest) else 400
        outcome = "bad_signature" if status == 403 else "junk"
        if isinstance(error, Unavailable):
            outcome = "throttled"
        elif isinstance(error, TimeoutError):
            outcome = "late"
        took = self._runtime.clock.monotonic() - started
        verified = "unchecked" if outcome == "late" else "invalid"
        self._runtime.observe(InboundSeen(known, outcome, took, signature=verified))
        return _refusal(error, self._runtime)


def _refusal(error: Exception, runtime: Runtime) -> web.Response:
    if isinstance(error, BadRequest):
        return _error(error.status, error.reason)
    if isinstance(error, Junk):
        return _error(400, str(error))
    if not isinstance(error, Unavailable | TimeoutError):
        runtime.observe(Failed("a carrier's door", error))
    return _unavailable(error)


def _unavailable(error: BaseException) -> web.Response:
    after = error.retry_after_s if isinstance(error, Unavailable) else 1.0
    response = _error(503, "not stored; please try again")
    response.headers["Retry-After"] = str(max(1, round(after)))
    return response


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"status": status, "message": message}, status=status)
