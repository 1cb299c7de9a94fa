"""What a client may do: of what its command is about, and by which role."""

from __future__ import annotations

from collections.abc import Sequence

from app import ids
from app.errors import NotFound
from app.realtime.session import Session
from app.rules import permissions as needs
from app.runtime import Runtime
from app.store import powers
from app.store.powers import Powers

NO_CONVERSATION = (50350, "Conversation not found")
NO_PARTICIPANT = (50432, "Participant not found")
NO_MESSAGE = (50500, "Message not found")
NO_MEDIA = (50507, "Media not found")


def check(held: Powers, any_of: tuple[str, ...]) -> None:
    """Raises Forbidden 50107, 50430."""
    member = held.participant_sid is not None
    needs.check(any_of, held.service, held.conversation, member=member)


class Rights:
    """Looks up who may do what."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def of_service(self, session: Session) -> Powers:
        """What the caller's service role allows."""
        grant = session.grant
        async with self._runtime.db.read() as tx:
            return await powers.find(tx.sql, grant.service_sid, grant.identity)

    async def held(self, session: Session, key: str) -> Powers:
        """What the caller may do in a conversation, by SID or unique name. Raises NotFound
        50350."""
        if "\x00" in key:
            raise NotFound(*NO_CONVERSATION)
        grant, by_name = session.grant, not ids.is_sid(key, ids.CONVERSATION)
        key, who = key if by_name else ids.lowered(key), (grant.service_sid, grant.identity)
        async with self._runtime.db.read() as tx:
            found = await powers.find(tx.sql, *who, key, by_name=by_name)
        if found.conversation_sid is None:
            raise NotFound(*NO_CONVERSATION)
        return found

    async def inside(self, session: Session, key: str) -> Powers:
        """The same for a participant. Raises Forbidden 50430 for who is none."""
        found = await self.held(session, key)
        needs.check_member(member=found.participant_sid is not None)
        return found

    async def member(self, held: Powers, key: str) -> dict[str, str]:
        """Where the participant with this SID or identity is. Raises NotFound 50432."""
        sid, key = None, ids.lowered(key) if ids.is_sid(key, ids.PARTICIPANT) else key
        if "\x00" not in key:
            async with self._runtime.db.read() as tx:
                sid = await powers.participant(tx.sql, held.conversation_sid or "", key)
        if sid is None:
            raise NotFound(*NO_PARTICIPANT)
        return {"ConversationSid": held.conversation_sid or "", "Sid": sid}

    async def creators(self, session: Session, held: Powers) -> list[tuple[str, str]]:
        """The role of who joins what they made, as a parameter."""
        if held.created_by != session.identity:
            return []
        async with self._runtime.db.read() as tx:
            role_sid = await powers.creator_role(tx.sql, session.grant.service_sid)
        return [] if role_sid is None else [("RoleSid", role_sid)]

    async def uploaded(self, session: Session, media: Sequence[str]) -> None:
        """Files go into messages of who uploaded them. Raises NotFound 50507."""
        grant, sids = session.grant, [ids.lowered(sid) for sid in media]
        if not all(ids.is_sid(sid, ids.MEDIA) for sid in sids):
            raise NotFound(*NO_MEDIA)
        async with self._runtime.db.read() as tx:
            if not await powers.uploaded(tx.sql, grant.service_sid, grant.identity, sids):
                raise NotFound(*NO_MEDIA)

    async def message(
        self, session: Session, key: str, sid: str, own: tuple[str, ...], others: tuple[str, ...]
    ) -> dict[str, str]:
        """Where a message is that the caller may change, by what is needed for their own and for
        others'. Raises Forbidden, NotFound 50500."""
        held = await self.held(session, key)
        conversation_sid = held.conversation_sid or ""
        author = None
        if ids.is_sid(sid, ids.MESSAGE):
            async with self._runtime.db.read() as tx:
                author = await powers.author(tx.sql, conversation_sid, ids.lowered(sid))
        if author is None:
            raise NotFound(*NO_MESSAGE)
        check(held, own if author == session.identity else others)
        return {"ConversationSid": conversation_sid, "Sid": sid}
