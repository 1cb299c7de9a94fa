"""One attempt at one recipient, or at everybody in a group text.

A send is repeated only when it is known not to have happened. When an earlier attempt's outcome is
unknown (a lost answer, a crash in between), the carrier is asked first; where it cannot be asked,
the carrier's `on_unknown` setting decides.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta

from app.carriers.contract import Carrier
from app.channels.segments import segments
from app.delivery import routes
from app.delivery.pauses import Pauses
from app.delivery.tried import Heard, Tried
from app.errors import CarrierError, Permanent, Temporary, Unknown
from app.media import outward
from app.model.outbox import REPLY
from app.model.traffic import Accepted, Outgoing
from app.rules import opt_outs, quiet_hours, standing
from app.rules.content import Deliver, Fail
from app.rules.templates import fitted
from app.runtime import Runtime
from app.store import deliveries
from app.store import standing as standings
from app.store.deliveries import Parcel
from app.store.outbox import Claimed

UNKNOWN_CODE = 30008
"""The original's "unknown error": what a receipt gets when nobody can say what happened."""
NO_GROUPS_CODE = 21612
"""The original's "cannot be sent from this number to those"."""


async def attempt(runtime: Runtime, pauses: Pauses, item: Claimed, parcel: Parcel | None) -> Tried:
    """Try to hand this parcel to its carrier; never raises a CarrierError."""
    if parcel is None:
        return Tried(item, "gone")
    if parcel.external_id is not None or parcel.status != "queued":
        return Tried(item, "settled", channel=parcel.channel, carrier=parcel.carrier)
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
    first = carriers[0].name
    pauses_end = {one.name: pauses.until(one.name, item) for one in carriers}
    if ends := [end for end in pauses_end.values() if end is not None]:
        carriers = [one for one in carriers if pauses_end[one.name] is None]
        if not carriers:
            reason = f"{' and '.join(pauses_end)} paused"
            return Tried(item, "postponed", not_before=min(ends), reason=reason)
    if item.unknown_since is not None:
        settled = await _settled(runtime, carrier, item, parcel)
        if settled is not None:
            return settled
    quiet = _quiet(runtime, item, parcel)
    if quiet is not None:
        return Tried(item, "postponed", not_before=quiet.until, reason=quiet.reason)
    tried = await _by_one_of(runtime, carriers, item, parcel)
    return tried if tried.carrier == first else replace(tried, reason=f"by {tried.carrier}")


async def _settled(
    runtime: Runtime, carrier: Carrier, item: Claimed, parcel: Parcel
) -> Tried | None:
    """What became of an earlier attempt. What may go now says nothing of what went then: the
    session may have ended since."""
    outgoing = _outgoing(runtime, item, parcel, _in_session(runtime, parcel))
    then = outgoing if isinstance(outgoing, Outgoing) else _as_it_went(runtime, item, parcel)
    return await _settle_unknown(runtime, carrier, item, then)


async def _by_one_of(
    runtime: Runtime, carriers: Sequence[Carrier], item: Claimed, parcel: Parcel
) -> Tried:
    """Hand it to the first of these that can be reached. To another one than before only after it
    is written down by whom it goes: whoever has to ask, asks that one."""
    heard: tuple[Heard, ...] = ()
    tried = Tried(item, "temporary")
    for carrier in carriers:
        if carrier.name != parcel.carrier:
            if not await routes.change(runtime, item, parcel, carrier.name):
                tried = Tried(item, "postponed", not_before=runtime.clock.now())
                break
            parcel = replace(parcel, carrier=carrier.name)
        tried = await _by(runtime, carrier, item, parcel)
        heard += tried.heard
        if tried.outcome != "temporary" or not (tried.error and tried.error.down):
            break
    return replace(tried, heard=heard, carrier=parcel.carrier)


async def _by(runtime: Runtime, carrier: Carrier, item: Claimed, parcel: Parcel) -> Tried:
    outgoing = _outgoing(runtime, item, parcel, _in_session(runtime, parcel))
    if isinstance(outgoing, Outgoing):
        outgoing = await _now(runtime, carrier, item, parcel, outgoing)
    if isinstance(outgoing, Permanent):
        return Tried(item, "permanent", error=outgoing)
    cut = segments(outgoing.body or "") if outgoing.channel == "sms" else None
    return replace(await _send(runtime, carrier, item, outgoing), segments=cut)


async def _send(runtime: Runtime, carrier: Carrier, item: Claimed, outgoing: Outgoing) -> Tried:
    try:
        accepted = await carrier.send(outgoing, runtime.context)
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
        others = await deliveries.others(tx.sql, carrier.name, names, item.receipt_sid)
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


async def _now(
    runtime: Runtime, carrier: Carrier, item: Claimed, parcel: Parcel, outgoing: Outgoing
) -> Outgoing | Permanent:
    """What may go now: since it was fanned out the session may have ended, or the recipient (of a
    group text: somebody in it) may have opted out."""
    if outgoing.others and not carrier.groups:
        return Permanent(f"carrier {carrier.name} does not send group texts", NO_GROUPS_CODE)
    if item.event == REPLY:
        return outgoing
    content: Deliver | Fail = Deliver(outgoing.channel, outgoing.body, outgoing.media)
    if outgoing.others and await _opted_out_of_group(runtime, item, outgoing):
        content = standing.group_opted_out(content)
    content = standing.allowed(
        content,
        opted_out=not outgoing.others
        and _opted_out(runtime, item, parcel.standing.opted_out, outgoing.proxy_address),
        session=parcel.template is not None or _in_session(runtime, parcel) in (None, True),
    )
    if isinstance(content, Fail):
        return Permanent(content.reason, content.code)
    return replace(outgoing, channel=content.channel, body=content.body, media=content.media)


async def _opted_out_of_group(runtime: Runtime, item: Claimed, outgoing: Outgoing) -> bool:
    everybody = [outgoing.address, *outgoing.others]
    async with runtime.db.read() as tx:
        senders = await standings.opted_out_by(tx.sql, item.account_sid, everybody)
    return _opted_out(runtime, item, senders, outgoing.proxy_address)


def _quiet(runtime: Runtime, item: Claimed, parcel: Parcel) -> quiet_hours.Quiet | None:
    """Whether they (of a group text: anybody in it) are to be left alone now."""
    house = runtime.settings.houses.get(item.account_sid)
    sender = house.sender(parcel.proxy_address) if house else None
    hours = quiet_hours.of(house, sender) if house and sender else ()
    if not hours or item.event == REPLY:
        return None
    everybody = {parcel.address, *routes.together(item)}
    return quiet_hours.quiet(hours, parcel.channel, everybody, runtime.clock.now())


def _in_session(runtime: Runtime, parcel: Parcel) -> bool | None:
    """Whether they may be written to freely now; None: that is left to the carrier."""
    if runtime.settings.limits.session == "carrier":
        return None
    last, now = parcel.standing.last_inbound_at, runtime.clock.now()
    return standing.is_open(parcel.channel, last, now)


def _opted_out(runtime: Runtime, item: Claimed, out: Collection[str], proxy_address: str) -> bool:
    house = runtime.settings.houses.get(item.account_sid)
    sender = house.sender(proxy_address) if house else None
    if house is None or sender is None:
        return False
    return opt_outs.opted_out(house, sender, out)


def _as_it_went(runtime: Runtime, item: Claimed, parcel: Parcel) -> Outgoing:
    """What an earlier attempt sent, for a look-up: as far as it is known, when it is not to go any
    more."""
    went = _outgoing(runtime, item, parcel, None)
    if isinstance(went, Outgoing):
        return went
    return _to(runtime, item, parcel, Deliver(parcel.channel, parcel.body, parcel.media))


def _outgoing(
    runtime: Runtime, item: Claimed, parcel: Parcel, session: bool | None
) -> Outgoing | Permanent:
    profile = runtime.settings.limits.profile
    content = fitted(parcel.channel, parcel.body, parcel.media, profile, parcel.template, session)
    if isinstance(content, Fail):
        return Permanent(content.reason, content.code)
    return _to(runtime, item, parcel, content)


def _to(runtime: Runtime, item: Claimed, parcel: Parcel, content: Deliver) -> Outgoing:
    assert item.receipt_sid is not None
    return Outgoing(
        reference=item.receipt_sid,
        channel=content.channel,
        address=parcel.address,
        proxy_address=parcel.proxy_address,
        body=content.body,
        media=outward.given(runtime, content.media),
        status_url=runtime.status_url(parcel.carrier, item.receipt_sid),
        started_at=item.unknown_since or item.started_at,
        template=content.template,
        others=tuple(one for one in routes.together(item) if one != parcel.address),
    )
