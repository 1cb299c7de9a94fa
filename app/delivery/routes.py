"""By whom a message goes: the sender's carrier, or its fallback while that one cannot be reached or
does not let the sender in.

Never by another one while nobody knows what the first one did with it: then it could come twice.
"""

from __future__ import annotations

from app.carriers.contract import Carrier
from app.delivery import sessions
from app.model.outbox import route
from app.runtime import Runtime
from app.store import deliveries
from app.store.deliveries import Parcel
from app.store.outbox import Claimed


def carriers(runtime: Runtime, item: Claimed, parcel: Parcel, last: Carrier) -> list[Carrier]:
    """Who may have this parcel, the first of choice first. `last` is by whom it was to go before:
    nobody else may have it while the outcome of that is unknown, when that one has its first parts,
    or when the file says by now that its sender has other carriers."""
    sender = runtime.settings.sender_of(item.account_sid, parcel.proxy_address)
    fixed = item.unknown_since is not None or item.part > 0
    if fixed or sender is None or last.name not in sender.carriers:
        return [last]
    known = [one for name in sender.carriers if (one := runtime.carriers.get(name)) is not None]
    able = [one for one in known if _carries(runtime, one, item, parcel)] if known[1:] else known
    return able or [last]


def whole(runtime: Runtime, item: Claimed, parcel: Parcel) -> str:
    """The name of the route of this parcel's lane: all carriers of its sender."""
    sender = runtime.settings.sender_of(item.account_sid, parcel.proxy_address)
    return route(sender.carriers if sender else (parcel.carrier,))


def together(item: Claimed) -> list[str]:
    """Whom a group text goes to."""
    return (item.params or {}).get("to", "").split()


async def change(runtime: Runtime, item: Claimed, parcel: Parcel, carrier: str) -> bool:
    """Write down that it goes by this carrier from now on; says whether it is still ours to send
    and nothing was heard of it."""
    async with runtime.db.begin() as tx:
        return await deliveries.reroute(tx.sql, item, parcel, carrier)


def _carries(runtime: Runtime, carrier: Carrier, item: Claimed, parcel: Parcel) -> bool:
    if parcel.channel not in carrier.channels or (together(item) and not carrier.groups):
        return False
    template = parcel.template
    if template is None or sessions.is_open(runtime, parcel, runtime.clock.now()) is not False:
        return True
    return sessions.starts(carrier, template)
