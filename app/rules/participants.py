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
        return Shape("chat", identity=check_identity(identity))
    return _pair(address, proxy_address, ours)


def check_identity(identity: str) -> str:
    """An identity that may join. Raises Invalid 50204, 50207, 50206, 50203."""
    if not identity:
        raise Invalid(50204, "Identity not provided")
    if len(identity) > IDENTITY_CHARS_MAX:
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
