"""Members of group texts come, change and go: each time the conversation's number group is claimed
anew, before its users and itself are locked ("Group Texting in Conversations")."""

from __future__ import annotations

from collections.abc import Sequence

from app.errors import Conflict
from app.model import Conversation, Participant
from app.rules import groups
from app.settings.models import Settings
from app.store import number_groups, participants
from app.store.database import Tx
from app.store.number_groups import Holder
from app.store.scope import Scope

HELD = "Group MMS with given participant list already exists as Conversation"


async def regroup(
    tx: Tx, before: Participant | None, after: Participant | None, settings: Settings
) -> list[Participant] | None:
    """The group after a participant came (`before` None), changed or left (`after` None), claimed;
    None when that concerns no group. To be settled once the conversation is locked.

    Raises Invalid 50436, Conflict 50437, 50438: who holds the numbers is in `details`, and the
    conversation's SID ends the text, where callers read it.
    """
    joins = after if after is not None and groups.is_member(after) else None
    leaves = before if before is not None and groups.is_member(before) else None
    subject = joins or leaves
    if subject is None:
        return None
    sid, account_sid = subject.conversation_sid, subject.account_sid
    await number_groups.hold(tx, account_sid, sid)
    others = [one for one in await number_groups.members(tx, sid) if one.sid != subject.sid]
    if joins is not None:
        most = settings.limits.participants_group_max
        groups.check_joins(others, joins, most=most)
        others.append(joins)
    await _claim(tx, account_sid, sid, others)
    return others


async def regroup_all(tx: Tx, joining: Sequence[Participant], settings: Settings) -> bool:
    """The same for all who start a conversation together; whether they are a group."""
    members = [one for one in joining if groups.is_member(one)]
    if not members:
        return False
    groups.check_alike(members[0], len(joining), len(members))
    for place, one in enumerate(joining):
        groups.check_joins(joining[:place], one, most=settings.limits.participants_group_max)
    groups.check_whole(members)
    first = members[0]
    await number_groups.hold(tx, first.account_sid, first.conversation_sid)
    await _claim(tx, first.account_sid, first.conversation_sid, members)
    return True


async def settle(tx: Tx, conversation: Conversation, group: list[Participant] | None) -> None:
    """Note on the locked conversation what `regroup` came to, when it is written. Where somebody
    else changed the same participant meanwhile, the numbers are claimed once more."""
    if group is None:
        return
    sid, members = conversation.sid, await number_groups.members(tx, conversation.sid)
    if groups.numbers(members) != groups.numbers(group):
        await _claim(tx, conversation.account_sid, sid, members)
    await number_groups.mark(tx, sid, members)


async def hold_all(tx: Tx, scope: Scope, identity: str, limit: int) -> list[str]:
    """Hold up to `limit` groups that an identity is in, before its user is locked."""
    return await number_groups.hold_all(tx, scope, identity, limit)


async def settle_all(tx: Tx, account_sid: str, conversation_sids: Sequence[str]) -> None:
    """Claim anew the numbers of held groups, whose conversations are locked, after somebody left.
    Whose numbers another conversation has now is left without: nothing arrives there."""
    for sid in conversation_sids:
        left = await number_groups.members(tx, sid)
        if await number_groups.claim(tx, account_sid, sid, groups.numbers(left)) is not None:
            await number_groups.claim(tx, account_sid, sid, None)
        await number_groups.mark(tx, sid, left)


async def check_author(tx: Tx, conversation: Conversation, author: str) -> None:
    """Whether a message to this conversation may be by this author: in a group, somebody in it.
    Raises Invalid 50513."""
    if conversation.grouped:
        groups.check_author(await number_groups.members(tx, conversation.sid), author)


async def check_alike(tx: Tx, participant: Participant) -> None:
    """Whether a locked conversation is all group or none, this participant (written already)
    included. Raises Invalid 50434, 50435."""
    count = await participants.count(tx, participant.conversation_sid)
    groups.check_alike(participant, count.total, count.grouped)


async def _claim(
    tx: Tx, account_sid: str, conversation_sid: str, members: Sequence[Participant]
) -> None:
    holder = await number_groups.claim(tx, account_sid, conversation_sid, groups.numbers(members))
    if holder is not None:
        raise Conflict(50438, f"{HELD} {holder.conversation_sid}", _held(holder))


def _held(holder: Holder) -> dict[str, str | None]:
    return {
        "conversation_sid": holder.conversation_sid,
        "participant_sid": None,
        "state": holder.state,
    }
