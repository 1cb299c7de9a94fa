"""How fast messages leave: a sender's own pace, and another one for people of some countries."""

from __future__ import annotations

from app.channels.place import country
from app.settings.models import SenderSettings, Settings, per_s


def pace(sender: SenderSettings, account_sid: str, address: str) -> str | None:
    """The name of the pace at which this person is written to; None: as fast as may be."""
    pair = f"{account_sid} {sender.address}"
    theirs = country(address) if sender.rates else None
    if theirs in sender.rates:
        return f"{pair} {theirs}"
    return pair if sender.rate is not None else None


def rates(settings: Settings) -> dict[str, float]:
    """Sends per second of every pace that there is, by its name."""
    found: dict[str, float] = {}
    for sender in settings.senders:
        pair = f"{settings.owner(sender.address)} {sender.address}"
        if sender.rate is not None:
            found[pair] = per_s(sender.rate)
        found |= {f"{pair} {name}": per_s(rate) for name, rate in sender.rates.items()}
    return found
