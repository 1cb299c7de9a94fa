"""The shapes of a participant, and why everything else is refused ("Conversation Participant
Resource").

| shape     | Identity | Address | ProxyAddress | ProjectedAddress |
|-----------|----------|---------|--------------|------------------|
| chat      | yes      | -       | -            | -                |
| pair      | -        | yes     | yes          | -                |
| by e-mail | -        | yes     | -            | -                |
| native    | -        | yes     | -            | -                |
| projected | yes or - | -       | -            | yes              |

The last two are members of a group text (`rules/groups.py`). Who is reached by e-mail is a pair as
well: our address is the conversation's `Bindings.Email.Address`, else that of those who are in it.

Checks come in the original's order: what is given together, syntax, then ownership.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from app import ids
from app.channels import group_mms
from app.channels.address import channel_of, normalise
from app.errors import Forbidden, Invalid
from app.model import Participant
from app.rules import pools

ADDRESS = "MessagingBinding.Address"
PROXY_ADDRESS = "MessagingBinding.ProxyAddress"
PROJECTED_ADDRESS = "MessagingBinding.ProjectedAddress"
IDENTITY_CHARS_MAX = 256
ADDRESS_CHARS_MAX = 256
RESERVED = frozenset({"system"})
# Channels that people are reached on without an address of ours in a pair.
WITHOUT_PROXY = frozenset({"email"})
GROUP_MMS = "Group MMS is not enabled for this Account"
PLUS_LOST = " (in a form the plus sign is sent as %2B)"


@dataclass(frozen=True, slots=True)
class Shape:
    """A participant that may be: how it is reached, as the table above has it."""

    kind: Literal["chat", "pair", "native", "projected"]
    identity: str | None = None
    channel: str | None = None
    address: str | None = None
    proxy_address: str | None = None
    projected_address: str | None = None


@dataclass(frozen=True, slots=True)
class Ours:
    """Our own addresses: all of them, those that can be in a group MMS, the one that mails of the
    conversation come from, and those of each messaging service by its SID; and how many characters
    an address of anybody may have."""

    senders: Container[str]
    grouping: Container[str] = ()
    chars_max: int = ADDRESS_CHARS_MAX
    mailing: str | None = None
    pools: Mapping[str, Sequence[str]] = field(default_factory=dict)


def shape(
    identity: str | None,
    address: str | None,
    proxy_address: str | None,
    projected_address: str | None,
    *,
    ours: Ours,
    identity_chars_max: int = IDENTITY_CHARS_MAX,
) -> Shape:
    """The participant that these parameters describe, addresses normalised.

    None is a parameter that was not sent. Raises Invalid and Forbidden with the codes of the
    original; `details` says which parameter and why.
    """
    _refuse_empty(identity, address, proxy_address, projected_address)
    bound = address is not None or proxy_address is not None
    if identity is not None and bound:
        raise Invalid(50211, "Identity parameter not acceptable for this Participant")
    if projected_address is not None and bound:
        raise Invalid(50443, "Failed to add a projected address to a participant")
    if identity is not None:
        identity = check_identity(identity, chars_max=identity_chars_max)
    if projected_address is not None:
        projected = check_projected(projected_address, ours)
        return Shape("projected", identity, channel_of(projected), projected_address=projected)
    if identity is not None:
        return Shape("chat", identity)
    return _bound(address, proxy_address, ours)


def check_identity(identity: str, *, chars_max: int = IDENTITY_CHARS_MAX) -> str:
    """An identity that may join. Raises Invalid 50204, 50207, 50206, 50203."""
    if not identity:
        raise Invalid(50204, "Identity not provided")
    if len(identity) > chars_max:
        raise Invalid(50207, "Identity too long")
    if ids.is_sid(identity, ids.USER):
        raise Invalid(50206, "Identity should not match user SID pattern")
    if identity in RESERVED:
        raise Invalid(50203, "Identity reserved")
    return identity


def check_proxy(address: str, proxy_address: str, ours: Ours) -> str:
    """The normalised proxy address for this (normalised) address, at create and at update; or
    (ours) the SID of the messaging service that one of whose senders is to be.

    Raises Invalid 50408, 50453, 50409, 50414, 50415, Forbidden 50413, 50342.
    """
    if channel_of(address) in WITHOUT_PROXY:
        raise Invalid(50453, "Proxy Address of participant is not supported for this channel")
    if pools.is_pool(proxy_address.strip()):
        return _check_pool(address, ids.lowered(proxy_address.strip()), ours)
    refused = (50408, "Invalid participant proxy address", PROXY_ADDRESS)
    if proxy_address.strip()[:2].upper() == ids.MESSAGING_SERVICE:
        _invalid(*refused, "it is no SID of a messaging service: MG and 32 hexadecimal digits")
    proxy = _address(proxy_address, ours, refused, allow_short_code=True)
    if proxy == address:
        raise Invalid(50409, "Participant address equals proxy address")
    if channel_of(proxy) != channel_of(address):
        raise Invalid(50414, "Participant address type does not match proxy address type")
    _check_owned(proxy, ours.senders)
    return proxy


def check_projected(projected_address: str, ours: Ours) -> str:
    """The normalised projected address, at create and at update: an own number that can be in a
    group text. Raises Invalid 50407, 50435, Forbidden 50439, 50452."""
    refused = (50407, "Invalid messaging binding address", PROJECTED_ADDRESS)
    projected = _address(projected_address, ours, refused, allow_short_code=True)
    if projected not in ours.senders:
        raise Forbidden(50439, "Account is not authorized to use the projected address")
    reason = group_mms.refusal(projected)
    if reason is not None:
        _invalid(50435, "Group MMS activation failed", PROJECTED_ADDRESS, reason)
    if projected not in ours.grouping:
        reason = "does not carry mms, or its carrier does not send group texts"
        raise Forbidden(50452, f"{GROUP_MMS}: the sender {projected} {reason}")
    return projected


def new_identity(
    participant: Participant, wanted: str | None, *, chars_max: int = IDENTITY_CHARS_MAX
) -> str | None:
    """The identity after an update that wants this one (None: clears it).

    One is added only beside a projected address, and taken only from there. Raises Invalid 50444,
    50204, and what `check_identity` raises.
    """
    if wanted == participant.identity:
        return wanted
    projected = participant.projected_address is not None
    if wanted is None:
        if not projected:
            raise Invalid(50204, "Identity not provided")
        return None
    if participant.identity is not None or not projected:
        raise Invalid(50444, "Failed to add an identity to a participant")
    return check_identity(wanted, chars_max=chars_max)


def new_proxy(participant: Participant, wanted: str | None, ours: Ours) -> str | None:
    """The address of ours after an update that wants this one (None: clears it).

    The one that it has already is accepted, even if it is ours no more. Raises Invalid 50440 (it
    cannot go), 50441 (there is no address for it), and what `check_proxy` raises.
    """
    if wanted is None:
        raise Invalid(50440, "Failed to remove the proxy address of a participant")
    if participant.address is None:
        raise Invalid(50441, "Failed to add a proxy address to a participant")
    if wanted.strip() == participant.proxy_address:
        return participant.proxy_address
    if participant.proxy_address in ours.pools.get(ids.lowered(wanted.strip()), ()):
        return participant.proxy_address
    return check_proxy(participant.address, wanted, ours)


def new_projected(participant: Participant, wanted: str | None, ours: Ours) -> str | None:
    """The projected address after an update that wants this one (None: clears it), which an
    identity can do without. Raises Invalid 50442, 50443, and what `check_projected` raises."""
    now = participant.projected_address
    if wanted is None:
        if now is None or participant.identity is None:
            raise Invalid(50442, "Failed to remove the projected address of a participant")
        return None
    if wanted == now:
        return now
    if now is not None or participant.address is not None:
        raise Invalid(50443, "Failed to add a projected address to a participant")
    return check_projected(wanted, ours)


def _bound(address: str | None, proxy_address: str | None, ours: Ours) -> Shape:
    """Somebody by an address: with one of ours, or in a group."""
    if address is None and proxy_address is None:
        raise Invalid(20001, f"Missing required parameter Identity or {ADDRESS} in the post body")
    if address is None:
        raise Invalid(50411, "Participant address is empty")
    refused = (50407, "Invalid messaging binding address", ADDRESS)
    theirs = _address(address, ours, refused)
    proxy = None if proxy_address is None else check_proxy(theirs, proxy_address, ours)
    if theirs in ours.senders:
        instead = PROJECTED_ADDRESS if proxy is None else PROXY_ADDRESS
        _invalid(*refused, f"it is one of your own senders; give it as {instead}")
    if proxy is None and channel_of(theirs) in WITHOUT_PROXY:
        return Shape("pair", None, channel_of(theirs), theirs, _mailing(ours, refused))
    if proxy is None:
        _check_native(theirs, refused)
        return Shape("native", channel=channel_of(theirs), address=theirs)
    return Shape("pair", channel=channel_of(theirs), address=theirs, proxy_address=proxy)


def _refuse_empty(
    identity: str | None,
    address: str | None,
    proxy_address: str | None,
    projected_address: str | None,
) -> None:
    if identity == "":
        raise Invalid(50204, "Identity not provided")
    if address is not None and not address.strip():
        raise Invalid(50411, "Participant address is empty")
    if proxy_address is not None and not proxy_address.strip():
        raise Invalid(50412, "Participant proxy address is empty")
    if projected_address is not None and not projected_address.strip():
        raise Invalid(50434, "Participant projected address not provided")


def _address(
    text: str, ours: Ours, refused: tuple[int, str, str], *, allow_short_code: bool = False
) -> str:
    """A normalised address. Raises Invalid: code, message and parameter as given."""
    try:
        address = normalise(text, allow_short_code=allow_short_code)
    except ValueError as error:
        _invalid(*refused, f"{error}{PLUS_LOST if text.strip()[:1].isdigit() else ''}")
    if len(address) > ours.chars_max:
        _invalid(*refused, f"an address has at most {ours.chars_max} characters")
    return address


def _mailing(ours: Ours, refused: tuple[int, str, str]) -> str:
    """The address of ours that a participant on e-mail talks to."""
    if ours.mailing is None:
        reason = (
            "nothing says from where mails to it come: set the conversation's"
            " Bindings.Email.Address to one of your senders, like desk@example.com"
        )
        _invalid(*refused, reason)
    try:
        address = normalise(ours.mailing)
    except ValueError:
        address = ""
    if channel_of(address) != "email" or address not in ours.senders:
        _invalid(*refused, "the conversation's Bindings.Email.Address is not one of your senders")
    return address


def _check_native(address: str, refused: tuple[int, str, str]) -> None:
    """An address without a proxy: a native member of a group, or a parameter is missing."""
    if channel_of(address) != "sms":
        reason = "this channel needs an address of yours"
        _invalid(50412, "Participant proxy address is empty", PROXY_ADDRESS, reason)
    reason_not = group_mms.refusal(address)
    if reason_not is not None:
        _invalid(*refused, f"without {PROXY_ADDRESS} it joins a group text, and {reason_not}")


def _check_pool(address: str, sid: str, ours: Ours) -> str:
    """A messaging service of this account with a sender that can reach this address."""
    if sid not in ours.pools:
        raise Forbidden(50342, "Messaging service does not belong to account")
    if not pools.able(ours.pools[sid], address):
        message = "Participant address type does not match proxy address type"
        reason = f"no sender of this messaging service carries {channel_of(address)}"
        _invalid(50414, message, PROXY_ADDRESS, reason)
    return sid


def _check_owned(proxy: str, ours: Container[str]) -> None:
    if proxy in ours:
        return
    if proxy.startswith("whatsapp:") and proxy.removeprefix("whatsapp:") in ours:
        raise Invalid(50415, "Proxy address is not WhatsApp enabled sender")
    raise Forbidden(50413, "Account is not authorized to use proxy address")


def _invalid(code: int, message: str, parameter: str, reason: str) -> NoReturn:
    raise Invalid(code, message, {"parameter": parameter, "reason": reason})
