"""Commands of clients: what each needs, and which resource does it.

What a command changes, the client sees by the events alone. Of an answer it reads little: where a
new conversation is, the index of a message, how much is unread.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from app.api import conversations, participants
from app.api.errors import NOT_FOUND
from app.api.limits import Buckets
from app.errors import Invalid, NotFound
from app.realtime import configuration, entities, people, posting
from app.realtime.asked import BAD_REQUEST, Answer, Asked
from app.realtime.calling import Caller, Errand, Operation, sent
from app.realtime.entities import CHANNEL, MESSAGES, ROSTER
from app.realtime.rights import Rights, check
from app.realtime.session import Session
from app.road.items import Road
from app.rules import permissions as needs
from app.runtime import Runtime

ITSELF = "/Conversations/{Sid}"
INSIDE = "/Conversations/{ConversationSid}"
CREATE = Operation("POST", "/Conversations", conversations.create)
FETCH = Operation("GET", ITSELF, conversations.fetch)
UPDATE = Operation("POST", ITSELF, conversations.update)
DELETE = Operation("DELETE", ITSELF, conversations.delete)
JOIN = Operation("POST", INSIDE + "/Participants", participants.create)
CHANGE = Operation("POST", INSIDE + "/Participants/{Sid}", participants.update)
LEAVE = Operation("DELETE", INSIDE + "/Participants/{Sid}", participants.delete)

BINDING: Mapping[str, str] = {
    "address": "MessagingBinding.Address",
    "proxy_address": "MessagingBinding.ProxyAddress",
    "projected_address": "MessagingBinding.ProjectedAddress",
    "name": "MessagingBinding.Name",
    "level": "MessagingBinding.Level",
}


Command = Callable[[Errand], Awaitable[Answer]]


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
        self._rights = Rights(runtime)
        self._people = people.People(runtime, self._caller, self._rights, typed)
        conversation, key = r"Conversations/(?P<key>[^/]+)", r"/(?P<sid>[^/]+)"
        member, message = conversation + "/Participants", conversation + "/Messages"
        mine, posts = self._people, posting.Posting(runtime, self._caller, self._rights)
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
                ("POST", message, posts.post),
                ("GET", message + key, posts.one),
                ("POST", message + key, posts.edit),
                ("DELETE", message + key, posts.remove),
                ("GET", message + key + "/Receipts", posts.receipts),
                ("GET", message + key + "/ChannelMetadata", posts.metadata),
                ("GET", conversation + "/MessageRecipients", posts.recipients),
            )
        ]

    async def run(self, session: Session, asked: Asked, path: str, base: str) -> Answer:
        """Do it. `base` is the URL of what is before `/Client/v2`. Raises Refused, Unavailable."""
        for method, pattern, command in self._routes:
            if method == asked.method and (found := pattern.fullmatch(path)):
                errand = Errand(session, asked, f"{base}/Client/v2", found)
                return await command(errand)
        raise NotFound(NOT_FOUND, f"The requested resource /{path} was not found")

    async def register(self, session: Session, asked: Asked, sid: str) -> Answer:
        """Register a device for push notifications, or forget one."""
        return await self._people.register(session, asked, sid)

    async def _configuration(self, errand: Errand) -> Answer:
        async with self._runtime.db.read() as tx:
            shown = await configuration.shown(
                self._runtime, tx.sql, errand.session.person, errand.base
            )
        return Answer(200, shown)

    async def _create(self, errand: Errand) -> Answer:
        held = await self._rights.of_service(errand.session)
        needs.check_service(needs.CREATE, held.service)
        said = sent(errand.asked.json, "friendly_name", "unique_name", "attributes")
        shown = await self._caller.call(errand.session, CREATE, {}, said)
        return Answer(201, _conversation(shown, errand.base))

    async def _fetch(self, errand: Errand) -> Answer:
        held = await self._rights.held(errand.session, errand.key)
        if held.participant_sid is None and held.created_by != errand.session.identity:
            check(held, needs.JOIN)
        shown = await self._caller.call(errand.session, FETCH, {"Sid": held.conversation_sid or ""})
        async with self._runtime.db.read() as tx:
            counts = await people.counts(tx, held.conversation_sid or "")
        return Answer(200, {**_conversation(shown, errand.base), **counts})

    async def _update(self, errand: Errand) -> Answer:
        held, body = await self._rights.held(errand.session, errand.key), errand.asked.json
        if "friendly_name" in body or "unique_name" in body or "attributes" not in body:
            check(held, needs.RENAME)
        if "attributes" in body:
            check(held, needs.REDESCRIBE)
        said = sent(body, "friendly_name", "unique_name", "attributes")
        shown = await self._caller.call(
            errand.session, UPDATE, {"Sid": held.conversation_sid or ""}, said
        )
        return Answer(200, _conversation(shown, errand.base))

    async def _delete(self, errand: Errand) -> Answer:
        held = await self._rights.held(errand.session, errand.key)
        check(held, needs.DELETE)
        await self._caller.call(errand.session, DELETE, {"Sid": held.conversation_sid or ""})
        return Answer(204)

    async def _join(self, errand: Errand) -> Answer:
        held, body = await self._rights.held(errand.session, errand.key), errand.asked.json
        identity, binding = body.get("identity"), body.get("messaging_binding")
        said = sent(body, "attributes")
        if isinstance(binding, dict):
            check(held, needs.ADD_NON_CHAT)
            said += [
                (BINDING[name], str(value))
                for name, value in binding.items()
                if _given(name, value)
            ]
        elif identity == errand.session.identity:
            needs.check_service(needs.JOIN, held.service | held.conversation)
            said += await self._rights.creators(errand.session, held)
        else:
            check(held, needs.ADD)
        if identity is not None:
            said.append(("Identity", str(identity)))
        keys = {"ConversationSid": held.conversation_sid or ""}
        return Answer(201, await self._caller.call(errand.session, JOIN, keys, said))

    async def _change(self, errand: Errand) -> Answer:
        held = await self._rights.held(errand.session, errand.key)
        keys = await self._rights.member(held, errand.sid)
        own = keys["Sid"] == held.participant_sid
        check(held, needs.PARTICIPANT_OWN if own else needs.PARTICIPANT_ANY)
        said = sent(errand.asked.json, "attributes")
        return Answer(200, await self._caller.call(errand.session, CHANGE, keys, said))

    async def _leave(self, errand: Errand) -> Answer:
        held = await self._rights.held(errand.session, errand.key)
        keys = await self._rights.member(held, errand.sid)
        check(held, needs.LEAVE if keys["Sid"] == held.participant_sid else needs.REMOVE)
        await self._caller.call(errand.session, LEAVE, keys)
        return Answer(204)


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
