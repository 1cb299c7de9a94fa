"""Messages of clients: posted, edited, removed, and how they fared."""

from __future__ import annotations

import re

from app import ids
from app.api import channel_metadata, messages, receipts
from app.errors import Invalid
from app.realtime import configuration
from app.realtime.asked import BAD_REQUEST, Answer
from app.realtime.calling import Caller, Errand, Operation, paged, sent
from app.realtime.rights import Rights, check
from app.rules import permissions as needs
from app.runtime import Runtime
from app.store import sync
from app.store.database import Tx

INSIDE = "/Conversations/{ConversationSid}"

POST = Operation("POST", INSIDE + "/Messages", messages.post)
EDIT = Operation("POST", INSIDE + "/Messages/{Sid}", messages.update)
REMOVE = Operation("DELETE", INSIDE + "/Messages/{Sid}", messages.delete)
READ = Operation("GET", INSIDE + "/Messages/{Sid}", messages.fetch)
RECEIPTS = Operation("GET", INSIDE + "/Messages/{MessageSid}/Receipts", receipts.page)
METADATA = Operation(
    "GET", INSIDE + "/Messages/{MessageSid}/ChannelMetadata", channel_metadata.fetch
)
LISTED, LISTED_MAX = 50, 100
OF_ONE_MAX = 1000
"""Recipients of one message; the documented limit is 50."""
RECIPIENTS = """
SELECT r.message_sid, r.channel, r.address, p.identity
FROM unnest($1::text[]) WITH ORDINALITY AS m (sid, place)
CROSS JOIN LATERAL (
  SELECT * FROM receipts r WHERE r.message_sid = m.sid COLLATE "C" AND r.conversation_sid = $2
  ORDER BY r.sid LIMIT $3) AS r
LEFT JOIN participants p ON p.sid = r.participant_sid
ORDER BY m.place, r.sid
"""
ALL: dict[str, str | None] = {"previous": None, "next": None}
PLACE = re.compile(r"(from|to)-(\d{1,9})", re.ASCII)
"""Where a page of recipients begins, or ends: with the message of an index."""


class Posting:
    """Does what clients ask of messages."""

    def __init__(self, runtime: Runtime, caller: Caller, rights: Rights) -> None:
        self._runtime, self._caller, self._rights = runtime, caller, rights

    async def post(self, errand: Errand) -> Answer:
        """Post a message, with the files that the caller uploaded."""
        held, body = await self._rights.inside(errand.session, errand.key), errand.asked.json
        media = body.get("media_sids") or []
        if not isinstance(media, list):
            raise Invalid(BAD_REQUEST, "Invalid MediaSids")
        if media:
            check(held, needs.SEND_MEDIA)
            await self._rights.uploaded(errand.session, [str(one) for one in media])
        if not media or body.get("body") is not None:
            check(held, needs.SEND)
        if len(media) > configuration.MEDIA_MAX:
            raise Invalid(BAD_REQUEST, f"More than {configuration.MEDIA_MAX} media in a message")
        names = ("body", "subject", "attributes", "content_sid", "content_variables")
        said = [*sent(body, *names), ("Author", errand.session.identity)]
        said += [("MediaSids", str(one)) for one in media]
        keys = {"ConversationSid": held.conversation_sid or ""}
        shown = await self._caller.call(errand.session, POST, keys, said)
        url = f"{errand.base}/Conversations/{held.conversation_sid}/Messages/{shown['sid']}"
        return Answer(201, {**shown, "url": url, "links": {}})

    async def edit(self, errand: Errand) -> Answer:
        """Edit a message: its text, its attributes."""
        body = errand.asked.json
        keys: dict[str, str] = {}
        if "attributes" not in body or "body" in body:
            keys = await self._own(errand, needs.EDIT_OWN, needs.EDIT_ANY)
        if "attributes" in body:
            keys = await self._own(errand, needs.ATTRIBUTES_OWN, needs.ATTRIBUTES_ANY)
        said = sent(body, "body", "attributes", "subject")
        return Answer(200, await self._caller.call(errand.session, EDIT, keys, said))

    async def remove(self, errand: Errand) -> Answer:
        """Remove a message."""
        keys = await self._own(errand, needs.DELETE_OWN, needs.DELETE_ANY)
        await self._caller.call(errand.session, REMOVE, keys)
        return Answer(204)

    async def one(self, errand: Errand) -> Answer:
        """One message."""
        keys = await self._inside(errand, "Sid")
        return Answer(200, await self._caller.call(errand.session, READ, keys))

    async def receipts(self, errand: Errand) -> Answer:
        """How a message fares with each of its recipients."""
        keys = await self._inside(errand, "MessageSid")
        said = [("PageSize", str(errand.asked.number("PageSize", 50, 100)))]
        if token := errand.asked.param("PageToken"):
            said.append(("PageToken", token))
        shown = await self._caller.call(errand.session, RECEIPTS, keys, said)
        return Answer(200, paged(shown))

    async def metadata(self, errand: Errand) -> Answer:
        """What the channel told about a message, for a participant who may read that. Raises
        Forbidden 50430, 50531."""
        held = await self._rights.inside(errand.session, errand.key)
        needs.check_reader(held.service, held.conversation)
        keys = {"ConversationSid": held.conversation_sid or "", "MessageSid": errand.sid}
        return Answer(200, await self._caller.call(errand.session, METADATA, keys))

    async def recipients(self, errand: Errand) -> Answer:
        """Who got a message outside; or, of no message, a page of messages with who got them."""
        held = await self._rights.inside(errand.session, errand.key)
        sid = held.conversation_sid or ""
        wanted = errand.asked.param("MessageSid")
        async with self._runtime.db.read() as tx:
            sids, meta = list[str](), ALL
            if wanted is None:
                sids, meta = await self._messages(tx, errand, sid)
            elif ids.is_sid(wanted, ids.MESSAGE):
                sids = [ids.lowered(wanted)]
            rows = await tx.sql.fetch(RECIPIENTS, sids, sid, OF_ONE_MAX)
        shown = [
            {
                "type": row["channel"],
                "message_sid": row["message_sid"],
                "level": "to",
                "name": row["identity"],
                "address": row["address"],
            }
            for row in rows
        ]
        tokens = {f"{side}_token": token for side, token in meta.items()}
        return Answer(200, {"message_recipients": shown, "meta": tokens | {"direct_token": "here"}})

    async def _messages(
        self, tx: Tx, errand: Errand, sid: str
    ) -> tuple[list[str], dict[str, str | None]]:
        """A page of a conversation's messages, and where those before and after it begin. Raises
        Invalid."""
        size = errand.asked.number("PageSize", LISTED, LISTED_MAX)
        found = PLACE.fullmatch(errand.asked.param("PageToken") or "from-0")
        if found is None:
            raise Invalid(BAD_REQUEST, "Invalid PageToken")
        down, index = found[1] == "to", int(found[2])
        page = await sync.messages(tx.sql, sid, index, size, down=down)
        rows = list(reversed(page.rows)) if down else list(page.rows)
        before, after = (page.after, page.before) if down else (page.before, page.after)
        tokens = {
            "previous": f"to-{rows[0]['index'] - 1}" if rows and before else None,
            "next": f"from-{rows[-1]['index'] + 1}" if rows and after else None,
        }
        return [row["sid"] for row in rows], tokens

    async def _own(
        self, errand: Errand, own: tuple[str, ...], others: tuple[str, ...]
    ) -> dict[str, str]:
        return await self._rights.message(errand.session, errand.key, errand.sid, own, others)

    async def _inside(self, errand: Errand, name: str) -> dict[str, str]:
        """Where a message is, for a participant. Raises Forbidden 50430."""
        held = await self._rights.inside(errand.session, errand.key)
        return {"ConversationSid": held.conversation_sid or "", name: errand.sid}
