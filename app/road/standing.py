"""What an inbound changes between a person and the sender that they wrote to, whatever becomes of
the message itself: it opens a session, and a word like STOP or START opts them out or in. Such a
word of a recovered message is as old as that: it changes nothing that was chosen since.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from app.channels.facts import FACTS
from app.road.convoy import Carriage, Load
from app.road.items import Arrival
from app.rules import opt_outs
from app.settings.models import SenderSettings, Settings
from app.settings.opt_outs import Kind
from app.store.road import Below


def note(load: Load) -> None:
    """Note it for every inbound that came for the first time: also for one that nobody wants, and
    before somebody is asked about it."""
    for carriage in load.carriages:
        item = carriage.item
        if isinstance(item, Arrival) and item.answered is None and carriage.taken is None:
            _note(load, carriage)


def open_sessions(load: Load) -> None:
    """Put the sessions that open now to what was read of the people in these conversations."""
    if load.windows:
        load.below = {
            sid: _opened(load, load.conversations[sid].account_sid, below)
            for sid, below in load.below.items()
        }


def written(load: Load) -> dict[str, list[dict[str, Any]]]:
    """What is written of it, by the table that it goes to."""
    return {
        "windows": [
            {
                "account_sid": account_sid,
                "proxy_address": proxy_address,
                "address": address,
                "last_inbound_at": at,
            }
            for (account_sid, proxy_address, address), at in load.windows.items()
        ],
        "opt_outs": [
            *(_choice(key, kind, None) for key, kind in load.chosen.items()),
            *(_choice(key, *late) for key, late in load.late.items() if key not in load.chosen),
        ],
    }


def _choice(key: tuple[str, str, str], kind: Kind, said_at: datetime | None) -> dict[str, Any]:
    account_sid, sender, address = key
    return {
        "account_sid": account_sid,
        "address": address,
        "sender": sender,
        "opted_out": kind == "stop",
        "word": kind.upper(),
        "said_at": said_at,
    }


def addressed(load: Load, carriage: Carriage) -> tuple[Settings, SenderSettings] | None:
    """The sender that an inbound came to, by the carrier that holds it, and its account's view of
    the file; None when there is no such sender."""
    house = load.settings.houses.get(carriage.arrival.account_sid)
    inbound = carriage.arrival.inbound
    sender = house.sender(inbound.proxy_address) if house else None
    if house is None or sender is None or sender.carrier != inbound.carrier:
        return None
    return house, sender


def _opened(load: Load, account_sid: str, below: Below) -> Below:
    opened: dict[str, datetime] = {}
    for one in below.members:
        at = load.windows.get((account_sid, one.proxy_address or "", one.address or ""))
        if at is not None:
            opened[one.sid] = max(at, one.last_inbound_at or at)
    if not opened:
        return below
    return replace(
        below,
        members=tuple(
            replace(one, last_inbound_at=opened.get(one.sid, one.last_inbound_at))
            for one in below.members
        ),
        targets=tuple(
            replace(one, roster=one.roster.opened(opened)) if one.roster else one
            for one in below.targets
        ),
    )


def _note(load: Load, carriage: Carriage) -> None:
    account_sid, inbound = carriage.arrival.account_sid, carriage.arrival.inbound
    found = addressed(load, carriage)
    facts = FACTS.get(inbound.channel)
    if found is None or facts is None:
        return
    if facts.session_s is not None:
        # What was long under way opened the session when it was sent.
        at = min(inbound.sent_at or load.now, load.now)
        pair = account_sid, inbound.proxy_address, inbound.address
        load.windows[pair] = max(at, load.windows.get(pair, at))
    kind = opt_outs.meant(found[1].opt_outs, inbound)
    scopes = opt_outs.scopes(*found) if kind in ("stop", "start") else ()
    for name in scopes[:1] if kind == "stop" else scopes:
        key = account_sid, name, inbound.address
        if kind is not None and inbound.recovered:
            load.late[key] = kind, min(inbound.sent_at or load.now, load.now)
        elif kind is not None:
            load.chosen[key] = kind
