"""Twilio's Messages list, read for what its webhooks lost.

https://www.twilio.com/docs/messaging/api/message-resource (read multiple) and .../media-resource.
The list is ordered by DateSent, newest first, and has both directions. It does not say who else is
in a group MMS, nor what WhatsApp told of a profile: a recovered message lacks that. Its filter is
given whole days: then it means the same whether or not Twilio looks at the time of day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from multidict import MultiDict

from app.carriers import twilio_form
from app.carriers.contract import Context, Junk, Listed, Sent, Unlisted
from app.carriers.exchange import Reply, call, retry_after
from app.carriers.twilio_form import MEDIA_MAX
from app.carriers.twilio_messages import OPERATORS_STATUSES, TOO_MANY, Line, next_page
from app.channels.address import normalise
from app.errors import CarrierError
from app.model.traffic import Inbound

PAGE_SIZE = 200
PAGE_BYTES_MAX = 8_388_608
"""Two hundred of the longest messages, each character escaped."""
INBOUND = "inbound"
POSITION = "{account_sid} {url}"

# The names of a row, and those of a webhook's parameters.
PARAMETERS: Mapping[str, Sequence[str]] = {
    "sid": ("MessageSid", "SmsMessageSid", "SmsSid"),
    "account_sid": ("AccountSid",),
    "messaging_service_sid": ("MessagingServiceSid",),
    "from": ("From",),
    "to": ("To",),
    "body": ("Body",),
    "num_media": ("NumMedia",),
    "num_segments": ("NumSegments",),
    "status": ("SmsStatus",),
    "api_version": ("ApiVersion",),
}


async def page(
    lines: Sequence[Line], since: datetime, position: str | None, context: Context
) -> Listed:
    """The page at this position: of the first account, then of the next ones. Raises Unlisted."""
    line, url = _place(lines, position)
    params = {}
    if not url:
        params = {"DateSent>": since.strftime("%Y-%m-%d"), "PageSize": str(PAGE_SIZE)}
    said = await _get(line, url or line.messages_url, params, context, continued=bool(url))
    if not isinstance(said.get("messages"), list):
        raise Unlisted("garbage", "the list of messages is none")
    following = next_page(line, said)
    if following is not None and following == url:
        raise Unlisted("garbage", "a page of the list of messages names itself as the next one")
    inbounds: list[Inbound] = []
    sent: list[Sent] = []
    junk, dates = 0, list[datetime]()
    for row in said["messages"]:
        try:
            dates.append(at := _moment(row))
            if str(row.get("direction")).startswith(INBOUND):
                inbounds.append(_inbound(line, row, at))
            elif (one := _sent(line, row, at)) is not None:
                sent.append(one)
        except Junk:
            junk += 1
    if dates and max(dates) < since:
        following = None  # behind a page like this everything is older
    place = _after(lines, line, following)
    return Listed(tuple(inbounds), tuple(sent), place, junk)


async def with_media(line: Line, found: Inbound, context: Context) -> Inbound:
    """The inbound as a webhook would have brought it, with the URLs of its files. Raises Unlisted;
    of a message that is deleted by now none are left."""
    if found.form.get("NumMedia", "0") == "0" or found.media:
        return found
    url = f"{line.messages_url.removesuffix('.json')}/{found.external_id}/Media.json"
    try:
        said = await _get(line, url, {"PageSize": str(MEDIA_MAX)}, context, continued=True)
    except Unlisted as unlisted:
        if unlisted.outcome != "expired":
            raise
        said = {"media_list": []}
    rows = said.get("media_list")
    if not isinstance(rows, list):
        raise Unlisted("garbage", "the list of a message's media is none")
    form = {**found.form, "NumMedia": "0"}
    count = 0
    for row in rows[:MEDIA_MAX]:
        path = row.get("uri") if isinstance(row, dict) else None
        media_url = next_page(line, {"next_page_uri": path})
        if media_url is not None:
            form[f"MediaUrl{count}"] = media_url.removesuffix(".json")
            form[f"MediaContentType{count}"] = str(row.get("content_type") or "")
            count += 1
    form["NumMedia"] = str(count)
    try:
        made = twilio_form.inbound(found.carrier, MultiDict(form))
    except Junk as junk:
        raise Unlisted("garbage", f"the list of a message's media: {junk}") from None
    return _marked(made, found.sent_at)


def _place(lines: Sequence[Line], position: str | None) -> tuple[Line, str]:
    """Whose list a position is in, and the URL of its page: nothing for the first one. Our login
    never goes anywhere but to the API, also when that has another URL by now."""
    account_sid, _, url = (position or "").partition(" ")
    if not account_sid:
        return lines[0], ""
    for line in lines:
        if line.account_sid == account_sid and (not url or url.startswith(f"{line.base_url}/")):
            return line, url
    raise Unlisted("expired", "the position is of an account or URL that is not configured")


def _after(lines: Sequence[Line], line: Line, following: str | None) -> str | None:
    if following is not None:
        return POSITION.format(account_sid=line.account_sid, url=following)
    later = lines[lines.index(line) + 1 :]
    return POSITION.format(account_sid=later[0].account_sid, url="") if later else None


async def _get(
    line: Line, url: str, params: Mapping[str, str], context: Context, *, continued: bool
) -> Mapping[str, Any]:
    try:
        reply = await call(
            context,
            "GET",
            url,
            timeout_s=line.timeout_s,
            headers=line.headers,
            params=params,
            bytes_max=PAGE_BYTES_MAX,
        )
    except CarrierError as error:
        raise Unlisted("unreachable", error.message) from error
    if reply.status != 200:
        wait_s = retry_after(reply.headers, context.clock.now())
        raise Unlisted(_outcome(reply, continued), f"HTTP {reply.status}", wait_s)
    return reply.json()


def _outcome(reply: Reply, continued: bool) -> str:
    if reply.status == TOO_MANY:
        return "throttled"
    if reply.status >= 500:
        return "unreachable"
    if reply.status in OPERATORS_STATUSES:
        return "refused"
    if continued and reply.status in (400, 404):
        return "expired"
    return "refused" if reply.status == 404 else "garbage"


def _moment(row: Any) -> datetime:
    """When it was sent, or, of one that is not sent yet, made; raises Junk."""
    if not isinstance(row, dict):
        raise Junk("a row is no object")
    try:
        given = parsedate_to_datetime(str(row.get("date_sent") or row.get("date_created")))
        zoned = given if given.tzinfo is not None else given.replace(tzinfo=UTC)
        return zoned.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError) as error:
        raise Junk("a row has no date") from error


def _inbound(line: Line, row: Mapping[str, Any], at: datetime) -> Inbound:
    """As the webhook has it; its files are not known yet, only how many there are. Raises Junk."""
    form = {
        parameter: str(row[name])
        for name, parameters in PARAMETERS.items()
        if row.get(name) is not None
        for parameter in parameters
    }
    count = form.get("NumMedia", "0")
    made = twilio_form.inbound(line.carrier, MultiDict(form | {"NumMedia": "0"}))
    if count.isdecimal() and int(count) > 0:
        made = replace(made, form=made.form | {"NumMedia": str(int(count))})
    return _marked(made, at)


def _marked(made: Inbound, at: datetime | None) -> Inbound:
    return replace(made, sent_at=at, recovered=True, signature="unchecked")


def _sent(line: Line, row: Mapping[str, Any], at: datetime) -> Sent | None:
    """One of ours; None when it says nothing that can be used."""
    fields = {
        "MessageSid": row.get("sid"),
        "MessageStatus": row.get("status"),
        "ErrorCode": row.get("error_code"),
        "ErrorMessage": row.get("error_message"),
    }
    known = {name: str(value) for name, value in fields.items() if value is not None}
    status = twilio_form.status(line.carrier, MultiDict(known), None)
    if status is None:
        return None
    try:
        address, proxy_address = (normalise(str(row.get(name))) for name in ("to", "from"))
    except ValueError:
        return None
    return Sent(status, address, proxy_address, at)
