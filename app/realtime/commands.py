"""Commands of clients: what each needs, and which resource does it.

What a command changes, the client sees by the events alone. Of an answer it reads little: where a
new conversation is, the index of a message, how much is unread.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from app import ids
from app.api import channel_metadata, conversations, messages, participants, receipts
from app.api.errors import NOT_FOUND
from app.api.limits import Buckets
from app.errors import Invalid, NotFound
from app.realtime import configuration, entities, people
from app.realtime.asked import BAD_REQUEST, Answer, Asked, segment
from app.realtime.calling import Caller, Operation
from app.realtime.entities import CHANNEL, MESSAGES, ROSTER
from app.realtime.session import Session
from app.road.items import Road
from app.rules import permissions as needs
from app.runtime import Runtime
from app.store import powers
from app.store.powers import Powers

ITSELF = "/Conversations/{Sid}"
INSIDE = "/Conversations/{ConversationSid}"
CREATE = Operation("POST", "/Conversations", conversations.create)
FETCH = Operation("GET", ITSELF, conversations.fetch)
UPDATE = Operation("POST", ITSELF, conversations.update)
DELETE = Operation("DELETE", ITSELF, conversations.delete)
JOIN = Operation("POST", INSIDE + "/Participants", participants.create)
CHANGE = Operation("POST", INSIDE + "/Participants/{Sid}", participants.update)
LEAVE = Operation("DELETE", INSIDE + "/Participants/{Sid}", participants.delete)
POST = Operation("POST", INSIDE + "/Messages", messages.post)
EDIT = Operation("POST", INSIDE + "/Messages/{Sid}", messages.update)
REMOVE = Operation("DELETE", INSIDE + "/Messages/{Sid}", messages.delete)
READ = Operation("GET", INSIDE + "/Messages/{Sid}", messages.fetch)
RECEIPTS = Operation("GET", INSIDE + "/Messages/{MessageSid}/Receipts", receipts.page)
METADATA = Operation(
    "GET", INSIDE + "/Messages/{MessageSid}/ChannelMetadata", channel_metadata.fetch
)

PARAMETERS: Mapping[str, str] = {
    "friendly_name": "FriendlyName",
    "unique_name": "UniqueName",
    "attributes": "Attributes",
    "body": "Body",
    "subject": "Subject",
    "content_sid": "ContentSid",
    "content_variables": "ContentVariables",
}
BINDING: Mapping[str, str] = {
    "address": "MessagingBinding.Address",
    "proxy_address": "MessagingBinding.ProxyAddress",
    "projected_address": "MessagingBinding.ProjectedAddress",
    "name": "MessagingBinding.Name",
    "level": "MessagingBinding.Level",
}


def failed(status: int, code: int, message: str) -> Answer:
    """The answer to a request that went wrong: the app sees the message."""
    return Answer(status, {"status": status, "code": code, "message": message}, message)


def sent(body: Mapping[str, Any], *names: str) -> list[tuple[str, str]]:
    """The parameters that these members of a body stand for; null was not sent. Raises Invalid."""
    found = []
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        if name in ("attributes", "content_variables") and not isinstance(value, str):
            value = orjson.dumps(value).decode()
        if not isinstance(value, str):
            raise Invalid(BAD_REQUEST, f"Invalid {PARAMETERS[name]}")
        found.append((PARAMETERS[name], value))
    return found


Command = Callable[[Session, Asked, "re.Match[str]", str], Awaitable[Answer]]


class Commands:
    """Does what clients ask for. `typed` tells others that somebody types."""

    def __init__(
        self,
        runtime: Runtime,
        road: Road,
        actions: Buckets,
        typed: Callable[[str, str, str], None],
    ) -> None:
        self._runtime, self._caller = runtime, Caller(runtime, road, actions)
        self._people = people.People(runtime, self._caller, typed)
        conversation, key = r"Conversations/(?P<key>[^/]+)", r"/(?P<sid>[^/]+)"
        member, message = conversation + "/Participants", conversation + "/Messages"
        mine = self._people
        self._routes: list[tuple[str, re.Pattern[str], Command]] = [
            (method, re.compile(path), command)
            for method, path, command in (
                ("GET", "Configuration", self._configuration),
                ("GET", "MyConversations", mine.listed),
                ("GET", "MyConversations/(?P<key>[^/]+)", mine.one),
                ("POST", "MyConversations/(?P<key>[^/]+)", mine.read),
                ("GET", "Users/(?P<key>[^/]+)", mine.user),
                ("POST", "Users/(?P<key>[^/]+)", mine.edit),
                ("POST", "Typing", mine.typing),
                ("GET", "ContentTemplates", mine.templates),
                ("POST", "Conversations", self._create),
                ("GET", conversation, self._fetch),
                ("POST", conversation, self._update),
                ("DELETE", conversation, self._delete),
                ("POST", member, self._join),
                ("POST", member + key, self._change),
                ("DELETE", member + key, self._leave),
                ("POST", message, self._post),
                ("GET", message + key, self._message),
                ("POST", message + key, self._edit),
                ("DELETE", message + key, self._remove),
                ("GET", message + key + "/Receipts", self._receipts),
                ("GET", message + key + "/ChannelMetadata", self._metadata),
                ("GET", conversation + "/MessageRecipients", mine.recipients),
            )
        ]

    async def run(self, session: Session, asked: Asked, path: str, base: str) -> Answer:
        """Do it. `base` is the URL of what is before `/Client/v2`. Raises Refused, Unavailable."""
        for method, pattern, command in self._routes:
            if method == asked.method and (found := pattern.fullmatch(path)):
                return await command(session, asked, found, f"{base}/Client/v2")
        raise NotFound(NOT_FOUND, f"The requested resource /{path} was not found")

    async def register(self, session: Session, asked: Asked, sid: str) -> Answer:
        """Register a device for push notifications, or forget one."""
        return await self._people.register(session, asked, sid)

    async def _configuration(
        self, session: Session, asked: Asked, found: re.Match[str], base: str
    ) -> Answer:
        async with self._runtime.db.read() as tx:
            shown = await configuration.shown(self._runtime, tx.sql, session.person, base)
        return Answer(200, shown)

    async def _powers(self, session: Session, key: str) -> Powers:
        """What the caller may do there. Raises NotFound when there is no such conversation."""
        grant = session.grant
        by_name = not ids.is_sid(key, ids.CONVERSATION)
        async with self._runtime.db.read() as tx:
            held = await powers.find(
                tx.sql, grant.service_sid, grant.identity, key, by_name=by_name
            )
        if held.conversation_sid is None:
            raise NotFound(50350, "Conversation not found")
        return held

    async def _may(self, session: Session, key: str, any_of: tuple[str, ...]) -> Powers:
        held = await self._powers(session, key)
        _check(held, any_of)
        return held

    async def _create(
        self, session: Session, asked: Asked, found: re.Match[str], base: str
    ) -> Answer:
        grant = session.grant
        async with self._runtime.db.read() as tx:
            held = await powers.find(tx.sql, grant.service_sid, grant.identity)
        needs.check_service(needs.CREATE, held.service)
        said = sent(asked.json, "friendly_name", "unique_name", "attributes")
        shown = await self._caller.call(session, CREATE, {}, said)
        return Answer(201, _conversation(shown, base))

    async def _fetch(
        self, session: Session, asked: Asked, found: re.Match[str], base: str
    ) -> Answer:
        held = await self._powers(session, segment(found["key"]))
        if held.created_by != session.identity:
            _check(held, (*needs.JOIN, *held.conversation))
        shown = await self._caller.call(session, FETCH, {"Sid": held.conversation_sid or ""})
        async with self._runtime.db.read() as tx:
            counts = await people.counts(tx.sql, held.conversation_sid or "")
        return Answer(200, {**_conversation(shown, base), **counts})

    async def _update(
        self, session: Session, asked: Asked, found: re.Match[str], base: str
    ) -> Answer:
        held, body = await self._powers(session, segment(found["key"])), asked.json
        if "friendly_name" in body or "unique_name" in body or "attributes" not in body:
            _check(held, needs.RENAME)
        if "attributes" in body:
            _check(held, needs.REDESCRIBE)
        said = sent(body, "friendly_name", "unique_name", "attributes")
        shown = await self._caller.call(session, UPDATE, {"Sid": held.conversation_sid or ""}, said)
        return Answer(200, _conversation(shown, base))

    async def _delete(
        self, session: Session, asked: Asked, found: re.Match[str], base: str
    ) -> Answer:
        held = await self._may(session, segment(found["key"]), needs.DELETE)
        await self._caller.call(session, DELETE, {"Sid": held.conversation_sid or ""})
        return Answer(204)

    async def _join(
        self, session: Session, asked: Asked, found: re.Match[str], base: str
    ) -> Answer:
        held, body = await self._powers(session, segment(found["key"])), asked.json
        identity, binding = body.get("identity"), body.get("messaging_binding")
        said = sent(body, "attributes")
        if isinstance(binding, dict):
            _check(held, needs.ADD_NON_CHAT)
            said += [
                (BINDING[name], str(value))
                for name, value in binding.items()
                if _given(name, value)
            ]
        elif identity == session.identity:
            needs.check_service(needs.JOIN, held.service | held.conversation)
            said += await self._creators(session, held)
        else:
            _check(held, needs.ADD)
        if identity is not None:
            said.append(("Identity", str(identity)))
        keys = {"ConversationSid": held.conversation_sid or ""}
        return Answer(201, await self._caller.call(session, JOIN, keys, said))

    async def _creators(self, session: Session, held: Powers) -> list[tuple[str, str]]:
        """The role of who joins what they made."""
        if held.created_by != session.identity:
            return []
        async with self._runtime.db.read() as tx:
            role_sid = await powers.creator_role(tx.sql, session.grant.service_sid)
        return [] if role_sid is None else [("RoleSid", role_sid)]

    async def _change(
        self, session: Session, asked: Asked, found: re.Match[str], base: str
    ) -> Answer:
        held = await self._powers(session, segment(found["key"]))
        keys = await self._member(held, segment(found["sid"]))
        own = keys["Sid"] == held.participant_sid
        _check(held, needs.PARTICIPANT_OWN if own else needs.PARTICIPANT_ANY)
        said = sent(asked.json, "attributes")
        return Answer(200, await self._caller.call(session, CHANGE, keys, said))

    async def _leave(
        self, session: Session, asked: Asked, found: re.Match[str], base: str
    ) -> Answer:
        held = await self._powers(session, segment(found["key"]))
        keys = await self._member(held, segment(found["sid"]))
        _check(held, needs.LEAVE if keys["Sid"] == held.participant_sid else needs.REMOVE)
        await self._caller.call(session, LEAVE, keys)
        return Answer(204)

    async def _member(self, held: Powers, key: str) -> dict[str, str]:
        """Where the participant with this SID or identity is. Raises NotFound 50432."""
        async with self._runtime.db.read() as tx:
            sid = await powers.participant(tx.sql, held.conversation_sid or "", key)
        if sid is None:
            raise NotFound(50432, "Participant not found")
        return {"ConversationSid": held.conversation_sid or "", "Sid": sid}

    async def _post(
        self, session: Session, asked: Asked, found: re.Match[str], base: str
    ) -> Answer:
        held, body = await self._powers(session, segment(found["key"])), asked.json
        media = body.get("media_sids") or []
        if not isinstance(media, list):
            raise Invalid(BAD_REQUEST, "Invalid MediaSids")
        needs.check_member(member=held.participant_sid is not None)
        if media:
            _check(held, needs.SEND_MEDIA)
            await self._uploaded(session, [str(one) for one in media])
        if not media or body.get("body") is not None:
            _check(held, needs.SEND)
        if len(media) > configuration.MEDIA_MAX:
            raise Invalid(BAD_REQUEST, f"More than {configuration.MEDIA_MAX} media in a message")
        names = ("body", "subject", "attributes", "content_sid", "content_variables")
        said = [*sent(body, *names), ("Author", session.identity)]
        said += [("MediaSids", str(one)) for one in media]
        keys = {"ConversationSid": held.conversation_sid or ""}
        shown = await self._caller.call(session, POST, keys, said)
        url = f"{base}/Conversations/{held.conversation_sid}/Messages/{shown['sid']}"
        return Answer(201, {**shown, "url": url, "links": {}})

    async def _uploaded(self, session: Session, media: Sequence[str]) -> None:
        """Files go into messages of who uploaded them. Raises NotFound 50507."""
        grant = session.grant
        async with self._runtime.db.read() as tx:
            if not await powers.uploaded(tx.sql, grant.service_sid, grant.identity, media):
                raise NotFound(50507, "Media not found")

    async def _own(
        self, session: Session, found: re.Match[str], own: tuple[str, ...], any_of: tuple[str, ...]
    ) -> dict[str, str]:
        """Where a message is that the caller may change: their own, or anybody's. Raises Forbidden,
        NotFound."""
        held = await self._powers(session, segment(found["key"]))
        sid = held.conversation_sid or ""
        async with self._runtime.db.read() as tx:
            author = await powers.author(tx.sql, sid, segment(found["sid"]))
        if author is None:
            raise NotFound(50500, "Message not found")
        _check(held, own if author == session.identity else any_of)
        return {"ConversationSid": sid, "Sid": segment(found["sid"])}

    async def _edit(
        self, session: Session, asked: Asked, found: re.Match[str], base: str
    ) -> Answer:
        body = asked.json
        keys: dict[str, str] = {}
        if "attributes" not in body or "body" in body:
            keys = await self._own(session, found, needs.EDIT_OWN, needs.EDIT_ANY)
        if "attributes" in body:
            keys = await self._own(session, found, needs.ATTRIBUTES_OWN, needs.ATTRIBUTES_ANY)
        said = sent(body, "body", "attributes", "subject")
        return Answer(200, await self._caller.call(session, EDIT, keys, said))

    async def _remove(
        self, session: Session, asked: Asked, found: re.Match[str], base: str
    ) -> Answer:
        keys = await self._own(session, found, needs.DELETE_OWN, needs.DELETE_ANY)
        await self._caller.call(session, REMOVE, keys)
        return Answer(204)

    async def _inside(self, session: Session, found: re.Match[str], name: str) -> dict[str, str]:
        """Where a message is, for a participant. Raises Forbidden 50430."""
        held = await self._powers(session, segment(found["key"]))
        needs.check_member(member=held.participant_sid is not None)
        return {"ConversationSid": held.conversation_sid or "", name: segment(found["sid"])}

    async def _message(
        self, session: Session, asked: Asked, found: re.Match[str], base: str
    ) -> Answer:
        keys = await self._inside(session, found, "Sid")
        return Answer(200, await self._caller.call(session, READ, keys))

    async def _receipts(
        self, session: Session, asked: Asked, found: re.Match[str], base: str
    ) -> Answer:
        keys = await self._inside(session, found, "MessageSid")
        said = [("PageSize", str(asked.number("PageSize", 50, 100)))]
        if token := asked.param("PageToken"):
            said.append(("PageToken", token))
        shown = await self._caller.call(session, RECEIPTS, keys, said)
        return Answer(200, people.paged(shown))

    async def _metadata(
        self, session: Session, asked: Asked, found: re.Match[str], base: str
    ) -> Answer:
        keys = await self._inside(session, found, "MessageSid")
        return Answer(200, await self._caller.call(session, METADATA, keys))


def _check(held: Powers, any_of: tuple[str, ...]) -> None:
    member = held.participant_sid is not None
    needs.check(any_of, held.service, held.conversation, member=member)


def _given(name: str, value: Any) -> bool:
    if name not in BINDING:
        raise Invalid(BAD_REQUEST, f"Invalid messaging_binding: {name}")
    return value is not None


def _conversation(shown: dict[str, Any], base: str) -> dict[str, Any]:
    """A conversation as clients read it: with the names of its entities."""
    sid = shown["sid"]
    url = f"{base}/Conversations/{sid}"
    return {
        **shown,
        "url": url,
        "links": {"participants": f"{url}/Participants", "messages": f"{url}/Messages"},
        "sync_objects": sync_objects(sid),
    }


def sync_objects(sid: str) -> dict[str, str]:
    """The names of a conversation's entities."""
    return {
        "conversation": entities.name(CHANNEL, sid),
        "messages": entities.name(MESSAGES, sid),
        "participants": entities.name(ROSTER, sid),
    }
