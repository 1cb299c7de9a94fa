"""What clients ask about people: what they are in themselves, others, who types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import orjson

from app import ids
from app.api import forms, registrations, user_conversations, users
from app.api.errors import NOT_FOUND
from app.api.reading import unread
from app.clock import iso_millis
from app.errors import Invalid, NotFound
from app.model import Content
from app.realtime import entities
from app.realtime.asked import BAD_REQUEST, Answer, Asked
from app.realtime.calling import Caller, Errand, Operation
from app.realtime.entities import CHANNEL, INFO, MESSAGES, ROSTER
from app.realtime.rights import Rights
from app.realtime.session import Session
from app.rules import permissions as needs
from app.runtime import Runtime
from app.settings.models import LimitSettings
from app.store import contents, memberships, powers
from app.store.database import Tx
from app.store.memberships import Membership
from app.store.scope import Scope
from app.store.slices import Slice

TYPING_S = 5
LATENCY_S = 1
"""What a typing indicator is given on its way."""
LISTED, LISTED_MAX = 50, 100
TEMPLATES_MAX = 100

COUNTS = """
SELECT (SELECT count(*) FROM participants WHERE conversation_sid = c.sid) AS participants_count,
  c.message_count - c.removed_count AS messages_count
FROM conversations c WHERE c.sid = $1
"""
USER = Operation("GET", "/Users/{Sid}", users.fetch)
EDIT = Operation("POST", "/Users/{Sid}", users.update)
READ = Operation(
    "POST", "/Users/{UserSid}/Conversations/{ConversationSid}", user_conversations.update
)


async def counts(tx: Tx, sid: str) -> dict[str, int]:
    """How many participants a conversation has, and messages."""
    row = await tx.sql.fetchrow(COUNTS, sid)
    return {} if row is None else dict(row)


class People:
    """Answers what is about people."""

    def __init__(
        self,
        runtime: Runtime,
        caller: Caller,
        rights: Rights,
        typed: Callable[[str, str, str], None],
    ) -> None:
        self._runtime, self._caller, self._rights, self._typed = runtime, caller, rights, typed

    async def listed(self, errand: Errand) -> Answer:
        """What the caller is in: a page of it."""
        after, size = (
            errand.asked.param("PageToken"),
            errand.asked.number("PageSize", LISTED, LISTED_MAX),
        )
        if after is not None and not ids.is_sid(after, ids.CONVERSATION):
            raise Invalid(BAD_REQUEST, "Invalid PageToken")
        scope = _scope(errand.session)
        mark = None if after is None else (after, "N")
        async with self._runtime.db.read() as tx:
            rows = await memberships.of_identity(
                tx, scope, errand.session.identity, Slice(size, mark)
            )
            beyond = await memberships.beyond(tx, rows[:size], memberships.LISTED_MAX)
        more = len(rows) > size
        limits = self._runtime.settings.limits
        shown = [_entry(one, beyond, limits) for one in rows[:size]]
        token = rows[size - 1].conversation.sid if more else None
        meta = {"next_token": token, "previous_token": None, "direct_token": "here"}
        return Answer(200, {"conversations": shown, "meta": meta})

    async def one(self, errand: Errand) -> Answer:
        """One conversation that the caller is in, by SID or unique name."""
        member = await self._membership(errand.session, errand.key)
        return Answer(200, member)

    async def read(self, errand: Errand) -> Answer:
        """Move the caller's read horizon, or mute the conversation."""
        grant, body = errand.session.grant, errand.asked.json
        key = errand.key
        held = await self._rights.held(errand.session, key)
        needs.check_member(member=held.participant_sid is not None)
        said = []
        if "last_read_message_index" in body:
            index = body["last_read_message_index"]
            said.append(("LastReadMessageIndex", "null" if index is None else str(index)))
        if body.get("notification_level") is not None:
            needs.check(needs.NOTIFY, held.service, held.conversation, member=True)
            said.append(("NotificationLevel", str(body["notification_level"])))
        keys = {
            "UserSid": errand.session.person.user_sid,
            "ConversationSid": held.conversation_sid or "",
        }
        shown = await self._caller.call(errand.session, READ, keys, said)
        return Answer(200, {**shown, "identity": grant.identity})

    async def _membership(self, session: Session, key: str) -> dict[str, Any]:
        held = await self._rights.held(session, key)
        needs.check_member(member=held.participant_sid is not None)
        sid = held.conversation_sid or ""
        async with self._runtime.db.read() as tx:
            membership = await memberships.one(tx, _scope(session), session.identity, sid)
            if membership is None:
                raise NotFound(50350, "Conversation not found")
            beyond = await memberships.beyond(tx, [membership])
        return _entry(membership, beyond, self._runtime.settings.limits)

    async def user(self, errand: Errand) -> Answer:
        """Somebody of the service."""
        shown = await self._caller.call(errand.session, USER, {"Sid": errand.key})
        return Answer(200, _user(shown, errand.base))

    async def edit(self, errand: Errand) -> Answer:
        """Change what is shown of somebody."""
        key, body, grant = errand.key, errand.asked.json, errand.session.grant
        own = key in (errand.session.identity, errand.session.person.user_sid)
        async with self._runtime.db.read() as tx:
            held = await powers.find(tx.sql, grant.service_sid, grant.identity)
        needs.check_service(needs.USER_OWN if own else needs.USER_ANY, held.service)
        said = []
        if body.get("friendly_name") is not None:
            said.append(("FriendlyName", str(body["friendly_name"])))
        if (attributes := body.get("attributes")) is not None:
            text = attributes if isinstance(attributes, str) else orjson.dumps(attributes).decode()
            said.append(("Attributes", text))
        return Answer(
            200,
            _user(await self._caller.call(errand.session, EDIT, {"Sid": key}, said), errand.base),
        )

    async def typing(self, errand: Errand) -> Answer:
        """The caller types in a conversation: the others are told."""
        server = self._runtime.settings.server
        sent = dict(
            forms.decode(errand.asked.payload.decode("utf-8", "replace"), server.form_fields_max)
        )
        sid = sent.get("ChannelSid") or sent.get("ConversationSid") or ""
        if not ids.is_sid(sid, ids.CONVERSATION):
            raise Invalid(BAD_REQUEST, "Invalid ChannelSid")
        held = await self._rights.held(errand.session, sid)
        needs.check_member(member=held.participant_sid is not None)
        self._typed(
            errand.session.grant.service_sid, held.conversation_sid or "", errand.session.identity
        )
        return Answer(200, {"typing_timeout": TYPING_S})

    async def templates(self, errand: Errand) -> Answer:
        """The account's content templates."""
        size, after = (
            errand.asked.number("PageSize", LISTED, TEMPLATES_MAX),
            errand.asked.param("PageToken"),
        )
        if after is not None and not ids.is_sid(after, ids.CONTENT):
            raise Invalid(BAD_REQUEST, "Invalid PageToken")
        mark = None if after is None else (after,)
        account_sid = errand.session.grant.account_sid
        async with self._runtime.db.read() as tx:
            rows = await contents.page(tx, account_sid, Slice(size, mark))
        token = rows[size - 1].sid if len(rows) > size else None
        meta = {"next_token": token, "previous_token": None, "direct_token": "here"}
        return Answer(200, {"templates": [_template(row) for row in rows[:size]], "meta": meta})

    async def register(self, session: Session, asked: Asked, sid: str) -> Answer:
        """Register a device for push notifications, or forget one."""
        runtime, grant = self._runtime, session.grant
        if asked.method == "POST" and not sid:
            return Answer(201, {"id": await registrations.register(runtime, grant, asked.json)})
        if asked.method != "DELETE":
            raise NotFound(NOT_FOUND, "The requested resource was not found")
        if sid:
            await registrations.unregister(runtime, grant, sid)
        else:
            await registrations.forget(runtime, grant, asked.json)
        return Answer(204)


def _scope(session: Session) -> Scope:
    return Scope(session.grant.account_sid, session.grant.service_sid)


def _entry(one: Membership, beyond: Mapping[str, int], limits: LimitSettings) -> dict[str, Any]:
    """A conversation that somebody is in, as their list shows it."""
    participant, conversation = one
    sid = conversation.sid
    return {
        "conversation_sid": sid,
        "participant_sid": participant.sid,
        "status": "joined",
        "friendly_name": conversation.friendly_name,
        "unique_name": conversation.unique_name,
        "attributes": conversation.attributes,
        "created_by": conversation.created_by,
        "date_created": iso_millis(conversation.date_created),
        "date_updated": iso_millis(conversation.date_updated),
        "last_read_message_index": participant.last_read_message_index,
        "unread_messages_count": unread(one, beyond, limits),
        "notification_level": participant.notification_level,
        "sync_objects": {
            "conversation": entities.name(CHANNEL, sid),
            "messages": entities.name(MESSAGES, sid),
            "participants": entities.name(ROSTER, sid),
        },
        "links": {},
    }


def _user(shown: dict[str, Any], base: str) -> dict[str, Any]:
    identity = shown["identity"]
    return {
        **shown,
        "url": f"{base}/Users/{quote(identity, safe='')}",
        "links": {},
        "sync_objects": {"user_info_map": entities.name(INFO, identity)},
    }


def _template(row: Content) -> dict[str, Any]:
    """A content template: its bodies by type, as clients show them."""
    return {
        "sid": row.sid,
        "friendly_name": row.friendly_name,
        "variables": orjson.dumps(row.variables).decode(),
        "variants": row.types,
        "date_created": iso_millis(row.date_created),
        "date_updated": iso_millis(row.date_updated),
    }
