"""How fast messages leave: a sender's own pace, and others on some channels or for people of some
countries.

A lane keeps the pace of its head. Where the pace depends on the channel (a number sends SMS and
MMS, and both keep their place in one lane) the lane says so (`BY_HEAD`), and whose turn comes is
asked what its head is.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.channels.place import country
from app.settings.models import SenderSettings, Settings, per_s

BY_HEAD = "*"
"""The end of a pace's name that stands for every pace of its sender: which one, the head tells."""


def pace(sender: SenderSettings, account_sid: str, address: str) -> str | None:
    """The name of the pace at which this person is written to; None: as fast as may be."""
    if sender.rated_by_channel:
        return f"{account_sid} {sender.address} {BY_HEAD}"
    return pace_on(sender, account_sid, "", address)


def pace_on(sender: SenderSettings, account_sid: str, channel: str, address: str) -> str | None:
    """The same for what goes on this channel: what is said of it and their country goes first, then
    what is said of the channel, of the country, of the sender."""
    pair = f"{account_sid} {sender.address}"
    theirs = country(address) if sender.rates else None
    for key in _keys(channel, theirs):
        if key in sender.rates:
            return f"{pair} {key}"
    return pair if sender.rate is not None else None


def by_head(pace: str | None) -> bool:
    """Whether the head of the lane tells its pace."""
    return pace is not None and pace.endswith(f" {BY_HEAD}")


def rates(settings: Settings) -> dict[str, float]:
    """Sends per second of every pace that there is, by its name."""
    found: dict[str, float] = {}
    for sender in settings.senders:
        pair = f"{settings.owner(sender.address)} {sender.address}"
        if sender.rate is not None:
            found[pair] = per_s(sender.rate)
        found |= {f"{pair} {name}": per_s(rate) for name, rate in sender.rates.items()}
    return found


def _keys(channel: str, theirs: str | None) -> Iterator[str]:
    if theirs:
        yield f"{channel} {theirs}"
    yield channel
    if theirs:
        yield theirs
