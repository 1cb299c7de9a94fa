"""One attempt at one recipient, or at everybody in a group text.

A send is repeated only when it is known not to have happened. When an earlier attempt's outcome is
unknown (a lost answer, a crash in between), the carrier is asked first; where it cannot be asked,
the carrier's `on_unknown` setting decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from app.carriers.contract import Carrier
from app.channels.segments import segments
from app.delivery import meant, routes
from app.delivery.pauses import Pauses
from app.delivery.throttles import Throttles
from app.delivery.tried import Heard, Tried
from app.errors import CarrierError, Permanent, Temporary, Unknown
from app.media import carried, outward
from app.model.outbox import narrowed
from app.model.traffic import Accepted, Outgoing
from app.runtime import Runtime
from app.store import deliveries
from app.store.deliveries import Parcel
from app.store.outbox import Claimed

UNKNOWN_CODE = 30008
"""The original's "unknown error": what a receipt gets when nobody can say what happened."""


async def attempt(runtime: Runtime, pauses: Pauses, item: Claimed, parcel: Parcel | None) -> Tried:
    """Try to hand this parcel to its carrier; never raises a CarrierError."""
    if parcel is None:
        return Tried(item, "gone")
    if parcel.external_id is not None or parcel.status != "queued":
        channel, carrier, instead = parcel.channel, parcel.carrier, item.instead
        return Tried(item, "settled", channel=channel, carrier=carrier, instead=instead)
    started = runtime.clock.monotonic()
    tried = await _try(runtime, pauses, item, parcel)
    return replace(
        tried,
        channel=parcel.channel,
        carrier=tried.carrier or parcel.carrier,
        took_s=runtime.clock.monotonic() - started,
        lag_s=max(0.0, (runtime.clock.now() - item.created_at).total_seconds()),
    )


def broken(runtime: Runtime, item: Claimed, parcel: Parcel | None, error: Exception) -> Tried:
    """An attempt that was cut, or that broke where it should not: nobody knows what it did."""
    if parcel is None:
        return Tried(item, "gone")
    carrier = runtime.carriers.get(parcel.carrier)
    wait_s = carrier.look_up_after_s if carrier is not None else 0.0
    return Tried(
        item,
        "unknown",
        error=Unknown(str(error) or type(error).__name__, down=False),
        not_before=runtime.clock.now() + timedelta(seconds=wait_s),
        channel=parcel.channel,
        carrier=parcel.carrier,
        broken=True,
    )


async def _try(runtime: Runtime, pauses: Pauses, item: Claimed, parcel: Parcel) -> Tried:
    carrier = runtime.carriers.get(parcel.carrier)
    if carrier is None:
        missing = Temporary(f"carrier {parcel.carrier} is not in the configuration")
        return Tried(item, "temporary", error=missing)
    wait_s = outward.wait_s(parcel.media, (runtime.clock.now() - item.created_at).total_seconds())
    if wait_s and item.unknown_since is None:
        later = runtime.clock.now() + timedelta(seconds=wait_s)
        return Tried(item, "postponed", not_before=later)
    carriers = routes.carriers(runtime, item, parcel, carrier)
    names = [one.name for one in carriers]
    carriers = [one for one in carriers if pauses.open_to(one.name, item)]
    if not carriers and (trying := pauses.try_instead(names, item)) is not None:
        carriers = [runtime.carriers[trying]]
    if not carriers:
        held = narrowed(routes.whole(runtime, item, parcel), names)
        reason = f"{' and '.join(names)} paused"
        return Tried(item, "postponed", not_before=runtime.clock.now(), reason=reason, held=held)
    if item.unknown_since is not None:
        settled = await _settled(runtime, carrier, item, parcel)
        if settled is not None:
            return settled
    quiet = meant.quiet(runtime, item, parcel)
    if quiet is not None:
        return Tried(item, "postponed", not_before=quiet.until, reason=quiet.reason)
    tried = await _by_one_of(runtime, pauses.throttles, carriers, item, parcel)
    return _told(names[0], tried)


async def _settled(
    runtime: Runtime, carrier: Carrier, item: Claimed, parcel: Parcel
) -> Tried | None:
    """What became of an earlier attempt. What may go now says nothing of what went then: the
    session may have ended since."""
    assert item.unknown_since is not None
    then, other = await meant.went(runtime, item, parcel, item.unknown_since)
    settled = await _settle_unknown(runtime, carrier, item, then)
    return settled and replace(settled, instead=other)


async def _by_one_of(
    runtime: Runtime,
    throttles: Throttles,
    carriers: Sequence[Carrier],
    item: Claimed,
    parcel: Parcel,
) -> Tried:
    """Hand it to the first of these that can be reached and lets its sender in. To another one than
    before only after it is written down by whom it goes: whoever has to ask, asks that one."""
    heard: tuple[Heard, ...] = ()
    tried = Tried(item, "temporary")
    for carrier in carriers:
        began_at = runtime.clock.now()
        wait_until = throttles.wait_until(carrier.name, parcel.proxy_address, began_at)
        if wait_until is not None:
            reason = f"{carrier.name} told the sender to wait"
            tried = Tried(item, "postponed", not_before=wait_until, reason=reason)
            break
        if carrier.name != parcel.carrier:
            if not await routes.change(runtime, item, parcel, carrier.name):
                tried = Tried(item, "postponed", not_before=runtime.clock.now())
                break
            parcel = replace(parcel, carrier=carrier.name)
        tried = await _by(runtime, carrier, item, parcel)
        throttles.heard(carrier.name, parcel.proxy_address, tried, began_at, runtime.clock.now())
        heard += tried.heard
        if tried.outcome != "temporary" or not (tried.error and tried.error.barred):
            break
    return replace(tried, heard=heard, carrier=parcel.carrier)


def _told(first: str, tried: Tried) -> Tried:
    """With by whom it went, or was to go, and why not by the first of choice."""
    if tried.carrier == first:
        return tried
    refused = next((one.reason for one in tried.heard if one.carrier == first), None)
    why = f"{first} is paused" if refused is None else f"{first}: {refused}"
    return replace(tried, reason=f"by {tried.carrier} ({why})")


async def _by(runtime: Runtime, carrier: Carrier, item: Claimed, parcel: Parcel) -> Tried:
    outgoing, instead = await meant.meant(runtime, item, parcel, runtime.clock.now())
    if isinstance(outgoing, Outgoing):
        outgoing = await meant.allowed(runtime, carrier, item, parcel, outgoing)
    if isinstance(outgoing, Permanent):
        return Tried(item, "permanent", error=outgoing)
    if not await meant.note(runtime, item, instead):
        return Tried(item, "postponed", not_before=runtime.clock.now())
    cut = segments(outgoing.body or "") if outgoing.channel == "sms" else None
    return replace(await _send(runtime, carrier, item, outgoing), segments=cut, instead=instead)


async def _send(runtime: Runtime, carrier: Carrier, item: Claimed, outgoing: Outgoing) -> Tried:
    try:
        accepted = await carrier.send(outgoing, carried.context(runtime))
    except Temporary as error:
        return Tried(item, "temporary", error=error, heard=_heard(carrier, error))
    except Permanent as error:
        return Tried(item, "permanent", error=error, heard=_heard(carrier, error))
    except Unknown as error:
        return _unknown(runtime, carrier, item, error)
    return Tried(item, "accepted", accepted=accepted, heard=_heard(carrier))


def _heard(carrier: Carrier, error: CarrierError | None = None) -> tuple[Heard, ...]:
    """What an answer, or none, says of the carrier."""
    down = error is not None and error.down
    return (Heard(carrier.name, not down, error.message if error else ""),)


async def _settle_unknown(
    runtime: Runtime, carrier: Carrier, item: Claimed, outgoing: Outgoing
) -> Tried | None:
    """What became of the earlier attempt; None when it is safe to send (again)."""
    if not carrier.can_look_up:
        return _by_policy(runtime, carrier, item)
    assert item.unknown_since is not None
    trusted_from = item.unknown_since + timedelta(seconds=carrier.look_up_after_s)
    if runtime.clock.now() < trusted_from:
        return Tried(item, "postponed", not_before=trusted_from)
    try:
        found = await carrier.look_up(outgoing, runtime.context)
    except CarrierError as error:
        lost = Unknown(f"look-up: {error.message}", down=error.down)
        return _unknown(runtime, carrier, item, lost)
    ours = await _not_others(runtime, item, carrier, found)
    if ours is None or len(ours) > 1:
        return _by_policy(runtime, carrier, item)
    if not ours:
        return None
    return Tried(item, "accepted", accepted=ours[0], heard=_heard(carrier))


async def _not_others(
    runtime: Runtime, item: Claimed, carrier: Carrier, found: Sequence[Accepted] | None
) -> list[Accepted] | None:
    """What a look-up found, without the sends that other receipts of ours are known to be."""
    if not found:
        return None if found is None else []
    names = [one.external_id for one in found]
    async with runtime.db.begin() as tx:
        others = await deliveries.others(
            tx.sql, carrier.name, names, item.receipt_sid or "", item.part
        )
    return [one for one in found if one.external_id not in others]


def _by_policy(runtime: Runtime, carrier: Carrier, item: Claimed) -> Tried | None:
    if runtime.settings.carriers[carrier.name].on_unknown == "resend":
        return None
    lost = Permanent("the outcome of the send is not known", UNKNOWN_CODE)
    return Tried(item, "permanent", error=lost)


def _unknown(runtime: Runtime, carrier: Carrier, item: Claimed, error: Unknown) -> Tried:
    """The carrier is asked later. The wait counts from now, the end of this attempt: an earlier
    one, asked about before, says nothing about when this one shows."""
    after = runtime.clock.now() + timedelta(seconds=carrier.look_up_after_s)
    return Tried(item, "unknown", error=error, not_before=after, heard=_heard(carrier, error))
