"""The shapes of a participant, and why everything else is refused ("Conversation Participant
Resource").

| shape | Identity | Address | ProxyAddress | ProjectedAddress |          |
|-------|----------|---------|--------------|------------------|----------|
| chat  | yes      | -       | -            | -                |          |
| pair  | -        | yes     | yes          | -                |          |
| group | -        | yes     | -            | -                | 50452    |
| group | yes or - | -       | -            | yes              | 50452    |

Checks come in the original's order: what is given together, syntax, then ownership.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Literal, NoReturn

from app import ids
from app.channels.address import channel_of, normalise
from app.errors import Forbidden, Invalid
from app.model import Participant

ADDRESS = "MessagingBinding.Address"
PROXY_ADDRESS = "MessagingBinding.ProxyAddress"
PROJECTED_ADDRESS = "MessagingBinding.ProjectedAddress"
IDENTITY_CHARS_MAX = 256
RESERVED = frozenset({"system"})
# Channels that people are reached on without an address of ours in a pair.
WITHOUT_PROXY = frozenset({"email"})
GROUP_MMS = "Group MMS is not enabled for this Account"


@dataclass(frozen=True, slots=True)
class Shape:
    """A participant that may be: chat has an identity, pair a channel and two addresses."""

    kind: Literal["chat", "pair"]
    identity: str | None = None
    channel: str | None = None
    address: str | None = None
    proxy_address: str | None = None


def shape(
    identity: str | None,
    address: str | None,
    proxy_address: str | None,
    projected_address: str | None,
    *,
    ours: Container[str],
    identity_chars_max: int = IDENTITY_CHARS_MAX,
) -> Shape:
    """The participant that these parameters describe, addresses normalised.

    None is a parameter that was not sent. `ours` holds our sender addresses. Raises Invalid and
    Forbidden with the codes of the original; `details` says which parameter and why.
    """
    _refuse_empty(identity, address, proxy_address)
    if identity is not None and (address is not None or proxy_address is not None):
        raise Invalid(50211, "Identity parameter not acceptable for this Participant")
    if projected_address is not None:
        raise Forbidden(
            50452,
            f"{GROUP_MMS}: leave out {PROJECTED_ADDRESS}, and bind each phone number"
            f" with {ADDRESS} and {PROXY_ADDRESS}",
        )
    if identity is not None:
        return Shape("chat", identity=check_identity(identity, chars_max=identity_chars_max))
    return _pair(address, proxy_address, ours)


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


def check_proxy(address: str, proxy_address: str, ours: Container[str]) -> str:
    """The normalised proxy address for this (normalised) address, at create and at update.

    Raises Invalid 50408, 50453, 50409, 50414, 50415, Forbidden 50413.
    """
    if channel_of(address) in WITHOUT_PROXY:
        raise Invalid(50453, "Proxy Address of participant is not supported for this channel")
    try:
        proxy = normalise(proxy_address, allow_short_code=True)
    except ValueError as error:
        _invalid(50408, "Invalid participant proxy address", PROXY_ADDRESS, str(error))
    if proxy == address:
        raise Invalid(50409, "Participant address equals proxy address")
    if channel_of(proxy) != channel_of(address):
        raise Invalid(50414, "Participant address type does not match proxy address type")
    _check_owned(proxy, ours)
    return proxy


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


def new_proxy(participant: Participant, wanted: str | None, ours: Container[str]) -> str | None:
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
    return check_proxy(participant.address, wanted, ours)


def new_projected(participant: Participant, wanted: str | None) -> str | None:
    """The projected address after an update that wants this one (None: clears it), which an
    identity can do without. Raises Invalid 50442, 50443, Forbidden 50452."""
    now = participant.projected_address
    if wanted is None:
        if now is None or participant.identity is None:
            raise Invalid(50442, "Failed to remove the projected address of a participant")
        return None
    if wanted == now:
        return now
    if now is not None or participant.address is not None:
        raise Invalid(50443, "Failed to add a projected address to a participant")
    raise Forbidden(50452, f"{GROUP_MMS}: leave out {PROJECTED_ADDRESS}")


def _pair(address: str | None, proxy_address: str | None, ours: Container[str]) -> Shape:
    if address is None and proxy_address is None:
        raise Invalid(20001, f"Missing required parameter Identity or {ADDRESS} in the post body")
    if address is None:
        raise Invalid(50411, "Participant address is empty")
    theirs = _address(address)
    if proxy_address is None:
        _refuse_alone(theirs)
    proxy = check_proxy(theirs, proxy_address, ours)
    if theirs in ours:
        reason = "it is one of your own senders; give it as MessagingBinding.ProxyAddress"
        _invalid(50407, "Invalid messaging binding address", ADDRESS, reason)
    return Shape("pair", channel=channel_of(theirs), address=theirs, proxy_address=proxy)


def _refuse_empty(identity: str | None, address: str | None, proxy_address: str | None) -> None:
    if identity == "":
        raise Invalid(50204, "Identity not provided")
    if address is not None and not address.strip():
        raise Invalid(50411, "Participant address is empty")
    if proxy_address is not None and not proxy_address.strip():
        raise Invalid(50412, "Participant proxy address is empty")


def _address(address: str) -> str:
    try:
        return normalise(address)
    except ValueError as error:
        _invalid(50407, "Invalid messaging binding address", ADDRESS, str(error))


def _refuse_alone(address: str) -> NoReturn:
    """An address without a proxy: a native member of a group, or a parameter is missing."""
    if channel_of(address) in WITHOUT_PROXY:
        reason = "participants on e-mail are not supported"
        _invalid(50407, "Invalid messaging binding address", ADDRESS, reason)
    if channel_of(address) != "sms":
        reason = "this channel needs an address of yours"
        _invalid(50412, "Participant proxy address is empty", PROXY_ADDRESS, reason)
    raise Forbidden(
        50452,
        f"{GROUP_MMS}: add {PROXY_ADDRESS}, your own number that talks to this participant",
    )


def _check_owned(proxy: str, ours: Container[str]) -> None:
    if proxy in ours:
        return
    if proxy.startswith("whatsapp:") and proxy.removeprefix("whatsapp:") in ours:
        raise Invalid(50415, "Proxy address is not WhatsApp enabled sender")
    raise Forbidden(50413, "Account is not authorized to use proxy address")


def _invalid(code: int, message: str, parameter: str, reason: str) -> NoReturn:
    raise Invalid(code, message, {"parameter": parameter, "reason": reason})
