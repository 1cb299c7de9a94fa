"""Which sender of a messaging service somebody gets, when the caller names the service and no
address of ours.

It is chosen once, when they join a conversation: from then on the pair is what they and the
conversation know each other by, and every copy of every message to them leaves from it. With
`sticky` they get the sender that they had before, while its pair is free.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256

from app import ids
from app.channels.address import channel_of
from app.channels.place import country
from app.settings.models import Settings


def is_pool(proxy_address: str | None) -> bool:
    """Whether this names a messaging service in place of an address of ours."""
    return proxy_address is not None and ids.is_sid(proxy_address, ids.MESSAGING_SERVICE)


def pools(house: Settings) -> Mapping[str, tuple[str, ...]]:
    """The senders of each messaging service of this account, by its SID in lower-case hex."""
    found: dict[str, tuple[str, ...]] = {}
    for name in house.messaging_services:
        of = tuple(one.address for one in house.senders if one.messaging_service == name)
        found[ids.lowered(house.messaging_service_sid(name))] = of
    return found


def is_sticky(house: Settings, sid: str) -> bool:
    """Whether people keep the sender that they had of this messaging service."""
    names = house.messaging_services
    return any(
        one.sticky and ids.lowered(house.messaging_service_sid(name)) == sid
        for name, one in names.items()
    )


def able(pool: Iterable[str], address: str) -> list[str]:
    """The senders of a pool that can reach somebody at this address at all."""
    channel = channel_of(address)
    return [sender for sender in pool if channel_of(sender) == channel and sender != address]


def ranked(senders: Iterable[str], address: str, had: str | None, salt: str) -> list[str]:
    """These senders, the best for this person first: the one that they had, those of their
    country, and else as chance has it: the same for the same `salt` in every process, and evenly
    spread over people (rendezvous hashing), so that a further sender moves hardly anybody."""
    theirs = country(address)

    def rank(sender: str) -> tuple[bool, bool, bytes]:
        dice = sha256(f"{salt} {address} {sender}".encode()).digest()
        return sender != had, theirs is None or country(sender) != theirs, dice

    return sorted(senders, key=rank)
