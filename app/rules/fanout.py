"""Who receives a message, and what each of them gets: one planned receipt per recipient.

External participants receive; the author and chat identities do not ("Delivery Receipts in
Conversations": messages to chat participants emit none). A message to a group text goes to all of
them from its author's number of ours. This is on the road: a message to fifty recipients of one
channel is fitted once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from app.model.traffic import ContentTemplate, MediaPart, Member
from app.rules.content import Deliver, Fail, Profile
from app.rules.parts import in_parts
from app.rules.templates import fitted
from app.values import value

SESSIONS_UNKNOWN: Mapping[str, bool] = MappingProxyType({})
NOT_OURS = Fail("mms", 21606, "a group text goes from its author's number, which is none of ours")


@value(frozen=True, slots=True)
class Planned:
    """One receipt to be: who gets it from which of our addresses (empty: from none), and what (or
    why not)."""

    participant_sid: str
    address: str
    proxy_address: str
    content: Deliver | Fail


def recipients(participants: Iterable[Member], author_participant_sid: str | None) -> list[Member]:
    """The external participants but the author, in the order given."""
    return [
        member
        for member in participants
        if member.address is not None and member.sid != author_participant_sid
    ]


def plan(
    participants: Iterable[Member],
    author_participant_sid: str | None,
    body: str | None,
    media: Sequence[MediaPart],
    profile: Profile,
    template: ContentTemplate | None = None,
    sessions: Mapping[str, bool] = SESSIONS_UNKNOWN,
) -> list[Planned]:
    """One planned receipt for each recipient; the content is fitted once per channel (and, of a
    template, once within a session and once outside). `sessions` says of participants, by SID,
    whether they wrote within the last 24 hours; of who is not in it, nobody knows."""
    contents: dict[tuple[str, bool | None], Deliver | Fail] = {}
    planned: list[Planned] = []
    for member in recipients(participants, author_participant_sid):
        if member.address is None:
            continue
        if member.proxy_address is None:
            planned.append(Planned(member.sid, member.address, "", NOT_OURS))
            continue
        channel = member.channel or "sms"
        in_session = sessions.get(member.sid)
        content = contents.get((channel, in_session))
        if content is None:
            content = _content(channel, body, media, profile, template, in_session)
            contents[channel, in_session] = content
        planned.append(Planned(member.sid, member.address, member.proxy_address, content))
    return planned


def plan_group(
    members: Sequence[Member],
    author_participant_sid: str | None,
    body: str | None,
    media: Sequence[MediaPart],
    profile: Profile,
    template: ContentTemplate | None = None,
) -> list[Planned]:
    """The same for everybody in a group text: one send, so each gets what the others get."""
    ours = {one.sid: one.projected_address for one in members}
    source = ours.get(author_participant_sid or "")
    content = _content("mms", body, media, profile, template) if source else NOT_OURS
    return [
        Planned(one.sid, one.address, source or "", content)
        for one in recipients(members, author_participant_sid)
        if one.address is not None
    ]


def _content(
    channel: str,
    body: str | None,
    media: Sequence[MediaPart],
    profile: Profile,
    template: ContentTemplate | None,
    in_session: bool | None = None,
) -> Deliver | Fail:
    """What the message is on a channel: in several messages of it, where the profile allows. A
    template is always one."""
    if template is None and profile == "relaxed":
        return in_parts(channel, body, media)
    return fitted(channel, body, media, profile, template, in_session)
