"""Group texts: what makes a conversation one, and the set of numbers that it is known by ("Group
Texting in Conversations").

A conversation is a group as soon as somebody in it has a projected address, or an address without
a proxy address; then everybody must. Its number group is the set of all these numbers: an inbound
group message finds its conversation by it, so one open conversation of an account has it at most.
A set without a number of ours, or without one of theirs, is not complete: nothing can arrive at it.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Sequence
from dataclasses import dataclass

from app.channels import group_mms
from app.errors import Conflict, Invalid
from app.model import Participant
from app.model.conversations import number_group
from app.model.traffic import Inbound

FAILED = (50435, "Group MMS activation failed")


@dataclass(frozen=True, slots=True)
class Group:
    """An inbound group text: our numbers in it, that of the inbound first, and theirs, the author's
    first. `refusal` is why no conversation can be made of it; `echo`: the author is one of us."""

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    refusal: str | None
    echo: bool


def arriving(inbound: Inbound, senders: Container[str], most: int) -> Group:
    """What an inbound with others is, given our addresses and how many may be in a group."""
    listed = dict.fromkeys((inbound.proxy_address, *inbound.others))
    ours = tuple(one for one in listed if one in senders or one == inbound.proxy_address)
    theirs = tuple(one for one in listed if one not in ours)
    numbers = (*ours, inbound.address, *theirs)
    refusal = f"it goes to {len(numbers)} numbers, a group text to {most} at most"
    if len(numbers) <= most:
        refusals = (group_mms.refusal(one) for one in numbers)
        refusal = next((one for one in refusals if one is not None), "")
    echo = inbound.address in senders
    return Group(ours, (inbound.address, *theirs), refusal or None, echo)


def numbers_of(inbound: Inbound) -> str:
    """The number group of an inbound group text; nothing for one between two."""
    if not inbound.others:
        return ""
    return number_group((inbound.address, inbound.proxy_address, *inbound.others))


def is_member(participant: Participant) -> bool:
    """Whether this participant makes its conversation a group."""
    alone = participant.address is not None and participant.proxy_address is None
    return alone or participant.projected_address is not None


def numbers(members: Collection[Participant]) -> str | None:
    """The number group of these members of a group; None while it is not complete."""
    ours = {one.projected_address for one in members if one.projected_address is not None}
    theirs = {one.address for one in members if one.address is not None}
    return number_group(ours | theirs) if ours and theirs else None


def check_joins(members: Sequence[Participant], joining: Participant, *, most: int) -> None:
    """Whether a group that is these members takes one more. Raises Invalid 50436 (too many),
    Conflict 50437 (the number is in it; a projected address may stand for several identities)."""
    if len(members) >= most:
        raise Invalid(50436, "Participant limit exceeded for group conversation")
    for one in members:
        same = (one.address, one.projected_address) == (joining.address, joining.projected_address)
        if same and (joining.address is not None or one.identity == joining.identity):
            raise Conflict(50437, "Group Participant already exists", {"participant_sid": one.sid})


def check_alike(participant: Participant, total: int, members: int) -> None:
    """Whether `total` participants, this one among them, go together when so many of them are
    members of a group: all of them, or none is.

    Raises Invalid 50434 (an identity in a group without a projected address), 50435.
    """
    if members in (0, total):
        return
    if is_member(participant):
        reason = "everybody in a group text has either an Address alone or a ProjectedAddress"
        raise Invalid(*FAILED, {"reason": reason})
    if participant.address is None:
        raise Invalid(50434, "Participant projected address not provided")
    raise Invalid(*FAILED, {"reason": "nobody in a group text has a ProxyAddress"})


def check_whole(joining: Sequence[Participant]) -> None:
    """Whether those who start a group together can text each other. Raises Invalid 50435."""
    theirs = [one for one in joining if one.address is not None and one.proxy_address is None]
    if len(theirs) > 1 and not any(one.projected_address for one in joining):
        reason = (
            "none of your own numbers is in it: give one as ProjectedAddress,"
            " or give everybody a ProxyAddress"
        )
        raise Invalid(*FAILED, {"reason": reason})


def check_author(members: Iterable[Participant], author: str) -> None:
    """Whether this is somebody in the group: by identity, address or projected address. Raises
    Invalid 50513."""
    if not any(author in (one.identity, one.address, one.projected_address) for one in members):
        raise Invalid(50513, "Message author should be among Group MMS participants")
