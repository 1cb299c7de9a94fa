"""A server that behaves like Twilio's Messages API, with the sandbox's World behind it.

Sends arrive on the World's phones; phones' messages and statuses come to our doors as Twilio's
forms, signed with X-Twilio-Signature. So whole roads run with `kind: twilio`.
https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from aiohttp import web
from multidict import MultiMapping

from app.carriers import signature
from app.carriers.sandbox_behaviour import Cut, Refusal
from app.carriers.sandbox_records import Received, Texted
from app.carriers.sandbox_wire import Call, Media, Message, Report, Send
from app.carriers.sandbox_world import World
from app.ids import RECEIPT, is_sid

ACCOUNT_SID = "AC" + "7e" * 16
AUTH_TOKEN = "token-of-the-stand-in"
API = "/2010-04-01/Accounts/{account}"
MEDIA_TYPE = "image/jpeg"
BODY_MAX = 1600

Trouble = Callable[[web.Request], web.StreamResponse]

# What the API says of a create that it does not take: (HTTP status, code, message).
Error = tuple[int, int, str]
UNAUTHORISED: Error = (401, 20003, "Authenticate")
NOT_FOUND: Error = (404, 20404, "The requested resource was not found")
NO_TO: Error = (400, 21604, "A 'To' phone number is required.")
NO_FROM: Error = (400, 21603, "A 'From' phone number is required.")
NO_CONTENT: Error = (400, 21619, "A text message body or media urls must be specified.")
BAD_ADDRESS: Error = (400, 21211, "Invalid 'To' Phone Number")
TOO_LONG: Error = (400, 21617, "The concatenated message body exceeds the 1600 character limit")
TOO_MANY: Error = (429, 20429, "Too Many Requests")


@dataclass(frozen=True, slots=True)
class TwilioDialect:
    """How Twilio speaks to doors: signed forms."""

    account_sid: str = ACCOUNT_SID
    auth_token: str = AUTH_TOKEN

    def inbound(self, url: str, message: Message) -> Call:
        """https://www.twilio.com/docs/messaging/guides/webhook-request"""
        form = self._about(message.id, message.sender, message.to) | {
            "Body": message.body or "",
            "NumMedia": str(len(message.media)),
            "NumSegments": "1",
            "SmsStatus": "received",
        }
        for index, part in enumerate(message.media):
            form |= {f"MediaUrl{index}": part.url, f"MediaContentType{index}": part.content_type}
        form |= {f"OtherRecipients{index}": one for index, one in enumerate(message.others)}
        form |= {name: str(value) for name, value in (message.metadata or {}).items()}
        return self._call(url, form)

    def status(self, url: str, report: Report) -> Call:
        """https://www.twilio.com/docs/messaging/guides/track-outbound-message-status"""
        form = self._about(report.id, report.sender, report.to)
        form |= {"MessageStatus": report.status, "SmsStatus": report.status}
        if report.error_code is not None:
            form["ErrorCode"] = str(report.error_code)
        return self._call(url, form)

    def _about(self, sid: str, sender: str, to: str) -> dict[str, str]:
        return {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "MessageSid": sid,
            "SmsSid": sid,
            "From": sender,
            "To": to,
        }

    def _call(self, url: str, form: dict[str, str]) -> Call:
        made = signature.sign(url, form, self.auth_token)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            signature.HEADER: made,
        }
        return Call(url, headers, urlencode(form).encode())


class TwilioStandIn:
    """The API on top of a World that speaks TwilioDialect. `reads` are the targets of all GETs;
    `troubles` are what the next ones meet instead of an answer. `words` are statuses that no
    callback told; `page_max` is how many rows a page has at most. `signed` gives the URL under
    which the storage behind it has a file now."""

    def __init__(self, world: World, dialect: TwilioDialect | None = None) -> None:
        self.world = world
        self.requests: list[dict[str, list[str]]] = []
        self.reads: list[str] = []
        self.troubles: deque[Trouble] = deque()
        self.page_max = 1000
        self.words: dict[str, str] = {}
        self.signed: Callable[[str], str] | None = None
        self._account_sid = (dialect or TwilioDialect()).account_sid
        self._auth_token = (dialect or TwilioDialect()).auth_token

    def app(self) -> web.Application:
        """The API's resources."""
        app = web.Application()
        app.add_routes(
            [
                web.post(f"{API}/Messages.json", self.create),
                web.get(f"{API}/Messages.json", self.page),
                web.get(f"{API}/Messages/{{sid}}.json", self.fetch),
                web.get(f"{API}/Messages/{{sid}}/Media.json", self.media),
                web.get(f"{API}/Messages/{{sid}}/Media/{{file}}", self.file),
            ]
        )
        return app

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The API's base URL."""
        runner = web.AppRunner(self.app(), shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def create(self, request: web.Request) -> web.StreamResponse:
        """POST Messages.json"""
        form = await request.post()
        fields = {name: [str(value) for value in form.getall(name)] for name in form}
        self.requests.append(fields)
        wrong = self._refused(request) or _wrong(fields)
        if wrong is not None:
            return _error(wrong)
        try:
            received = await self.world.take(_order(fields))
        except Refusal as refusal:
            return _refusal(refusal)
        except Cut:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        except ValueError:
            return _error(BAD_ADDRESS)
        return web.json_response(self._resource(received, "queued"), status=201)

    async def page(self, request: web.Request) -> web.StreamResponse:
        """GET Messages.json with To, From, DateSent, DateSent> and DateSent<; newest first. The
        next page begins behind a row (PageToken), whatever comes meanwhile."""
        if (instead := self._instead(request)) is not None:
            return instead
        size = min(int(request.query.get("PageSize", "50")), self.page_max)
        number = int(request.query.get("Page", "0"))
        found = list(self._found(request.query))
        if after := request.query.get("PageToken"):
            found = found[[_sid(one) for one in found].index(after) + 1 :]
        shown, more = found[:size], len(found) > size
        following = None
        if more:
            token = _sid(shown[-1])
            following = request.rel_url.update_query(Page=str(number + 1), PageToken=token)
        return web.json_response(
            {
                "messages": [self._row(one) for one in shown],
                "page": number,
                "page_size": size,
                "uri": str(request.rel_url),
                "next_page_uri": str(following) if more else None,
            }
        )

    async def fetch(self, request: web.Request) -> web.StreamResponse:
        """GET Messages/{sid}.json"""
        if (instead := self._instead(request)) is not None:
            return instead
        for received in self.world.records.taken():
            if received.external_id == request.match_info["sid"]:
                return web.json_response(self._resource(received))
        return _error(NOT_FOUND)

    async def media(self, request: web.Request) -> web.StreamResponse:
        """GET Messages/{sid}/Media.json"""
        if (instead := self._instead(request)) is not None:
            return instead
        sid = request.match_info["sid"]
        for one in self.world.records.everything():
            if isinstance(one, Texted) and one.external_id == sid:
                rows = [self._medium(sid, number) for number in range(len(one.message.media))]
                return web.json_response({"media_list": rows, "next_page_uri": None})
        return _error(NOT_FOUND)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """GET Messages/{sid}/Media/{sid}: where it lies, for a while."""
        if (instead := self._instead(request)) is not None:
            return instead
        if self.signed is None:
            return _error(NOT_FOUND)
        place = self.signed(request.match_info["file"])
        return web.Response(status=307, headers={"Location": place})

    def _medium(self, sid: str, number: int) -> dict[str, Any]:
        path = f"{API.format(account=self._account_sid)}/Messages/{sid}/Media/ME{number:032x}"
        return {"sid": f"ME{number:032x}", "content_type": MEDIA_TYPE, "uri": f"{path}.json"}

    def _instead(self, request: web.Request) -> web.StreamResponse | None:
        """What a read meets instead of its answer: a trouble, or a refusal."""
        self.reads.append(request.rel_url.raw_path_qs)
        if self.troubles:
            return self.troubles.popleft()(request)
        wrong = self._refused(request)
        return None if wrong is None else _error(wrong)

    def _refused(self, request: web.Request) -> Error | None:
        pair = f"{self._account_sid}:{self._auth_token}".encode()
        wanted = b"Basic " + b64encode(pair)
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(wanted, given):
            return UNAUTHORISED
        return NOT_FOUND if request.match_info["account"] != self._account_sid else None

    def _found(self, query: MultiMapping[str]) -> Iterator[Received | Texted]:
        for one in reversed(list(self.world.records.everything())):
            day = _at(one).date().isoformat()
            if (
                query.get("To", one.to) == one.to
                and query.get("From", one.sender) == one.sender
                and query.get("DateSent", day) == day
                and query.get("DateSent>", day) <= day <= query.get("DateSent<", day)
            ):
                yield one

    def _row(self, one: Received | Texted) -> dict[str, Any]:
        return self._resource(one) if isinstance(one, Received) else self._inbound(one)

    def _inbound(self, texted: Texted) -> dict[str, Any]:
        message, sid = texted.message, texted.external_id
        at = format_datetime(_at(texted).replace(microsecond=0))
        uri = f"{API.format(account=self._account_sid)}/Messages/{sid}"
        return {
            "sid": sid,
            "account_sid": self._account_sid,
            "messaging_service_sid": None,
            "api_version": "2010-04-01",
            "body": message.body or "",
            "date_created": at,
            "date_sent": at,
            "date_updated": at,
            "direction": "inbound",
            "error_code": None,
            "error_message": None,
            "from": message.sender,
            "num_media": str(len(message.media)),
            "num_segments": "1",
            "price": None,
            "status": "received",
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": message.to,
            "uri": f"{uri}.json",
        }

    def _resource(self, received: Received, status: str | None = None) -> dict[str, Any]:
        words = received.statuses
        return {
            "sid": received.external_id,
            "account_sid": self._account_sid,
            "api_version": "2010-04-01",
            "body": received.body or "",
            "date_created": format_datetime(received.taken_at.replace(microsecond=0)),
            "date_sent": format_datetime(received.taken_at.replace(microsecond=0)),
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": received.sender,
            "num_media": str(len(received.media)),
            "num_segments": "1",
            "status": status
            or self.words.get(received.external_id, words[-1] if words else "queued"),
            "to": received.to,
            "uri": f"{API.format(account=self._account_sid)}/Messages/{received.external_id}.json",
        }


@asynccontextmanager
async def standing_in(
    *, inbound_url: str | None = None, **world: Any
) -> AsyncIterator[tuple[TwilioStandIn, str]]:
    """A stand-in with a World of its own, and the `base_url` for a carrier of kind twilio (with
    ACCOUNT_SID and AUTH_TOKEN)."""
    async with World(inbound_url=inbound_url, dialect=TwilioDialect(), **world) as made:
        stand_in = TwilioStandIn(made)
        async with stand_in.serving() as url:
            yield stand_in, url


def _sid(one: Received | Texted) -> str:
    return one.external_id


def _at(one: Received | Texted) -> datetime:
    at = one.taken_at if isinstance(one, Received) else one.message.sent_at
    assert at is not None
    return at


def _wrong(fields: dict[str, list[str]]) -> Error | None:
    if not fields.get("To"):
        return NO_TO
    if not fields.get("From"):
        return NO_FROM
    body = fields.get("Body", [""])[0]
    if not body and not fields.get("MediaUrl") and not fields.get("ContentSid"):
        return NO_CONTENT
    return TOO_LONG if len(body) > BODY_MAX else None


def _order(fields: dict[str, list[str]]) -> Send:
    """Twilio knows no reference: a double is seen by the receipt in the StatusCallback."""
    callback = fields.get("StatusCallback", [None])[0]
    receipt = parse_qs(urlsplit(callback or "").query).get("receipt", [""])[0]
    prefix, colon, _ = fields["To"][0].partition(":")
    media = tuple(Media(url=url, content_type=MEDIA_TYPE) for url in fields.get("MediaUrl", []))
    return Send(
        reference=receipt if is_sid(receipt, RECEIPT) else "",
        channel=prefix if colon else ("mms" if media else "sms"),
        sender=fields["From"][0],
        to=fields["To"][0],
        body=fields.get("Body", fields.get("ContentSid", [None]))[0],
        media=media,
        status_url=callback,
    )


def _refusal(refusal: Refusal) -> web.Response:
    if refusal.code == TOO_MANY[1]:
        wait = "1" if refusal.retry_after_s is None else f"{refusal.retry_after_s:.0f}"
        return _error(TOO_MANY, {"Retry-After": wait})
    return _error((400 if refusal.permanent else 503, refusal.code, "refused by the stand-in"))


def _error(error: Error, headers: dict[str, str] | None = None) -> web.Response:
    status, code, message = error
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    said = {"code": code, "message": message, "more_info": more_info, "status": status}
    return web.json_response(said, status=status, headers=headers)
