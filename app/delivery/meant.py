"""What goes to a recipient, as it stands at this moment: since a message was fanned out a session
may have ended, somebody may have opted out, and where they are it may be night."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from app.carriers.contract import Carrier
from app.delivery import routes, sessions, templates
from app.errors import Permanent
from app.media import outward
from app.model.outbox import REPLY
from app.model.parts import reference
from app.model.traffic import Outgoing
from app.rules import opt_outs, quiet_hours, standing
from app.rules.content import Deliver, Fail
from app.rules.templates import fitted
from app.runtime import Runtime
from app.store import deliveries
from app.store import standing as standings
from app.store.deliveries import Parcel
from app.store.outbox import Claimed

NO_GROUPS_CODE = 21612
"""The original's "cannot be sent from this number to those"."""


async def meant(
    runtime: Runtime, item: Claimed, parcel: Parcel, at: datetime
) -> tuple[Outgoing | Permanent, str | None]:
    """What goes at this time and, when it is a template in the place of it, what that replaces."""
    session = sessions.is_open(runtime, parcel, at)
    other = await templates.instead(runtime, item, parcel, session)
    if other is None:
        return _outgoing(runtime, item, parcel, session), None
    if isinstance(other, Fail):
        return Permanent(other.reason, other.code), None
    return _to(runtime, item, parcel, other), other.dropped


async def note(runtime: Runtime, item: Claimed, instead: str | None) -> bool:
    """Write down what the template that goes now replaces: once they answer it, when they wrote
    before does not tell any more. Says whether the item is still ours to send."""
    if instead == item.instead:
        return True
    async with runtime.db.begin() as tx:
        return await deliveries.note_instead(tx.sql, item, instead)


async def went(
    runtime: Runtime, item: Claimed, parcel: Parcel, at: datetime
) -> tuple[Outgoing, str | None]:
    """What an attempt at that time sent, for a look-up: as far as it is known, when it is not to go
    any more."""
    if item.instead:  # there was no session then, whenever they wrote since
        parcel = replace(parcel, standing=parcel.standing._replace(last_inbound_at=None))
    then, other = await meant(runtime, item, parcel, at)
    if isinstance(then, Permanent):
        then = _outgoing(runtime, item, parcel, None)
    if isinstance(then, Permanent):
        then = _to(runtime, item, parcel, Deliver(parcel.channel, parcel.body, parcel.media))
    return then, item.instead or other


async def allowed(
    runtime: Runtime,
    carrier: Carrier,
    item: Claimed,
    parcel: Parcel,
    outgoing: Outgoing,
) -> Outgoing | Permanent:
    """What may go now: since it was fanned out the session may have ended (then only a template
    goes that is approved, by a carrier that can send it), or the recipient (of a group text:
    somebody in it) may have opted out."""
    if outgoing.others and not carrier.groups:
        return Permanent(f"carrier {carrier.name} does not send group texts", NO_GROUPS_CODE)
    if item.event == REPLY:
        return outgoing
    given: Deliver | Fail = Deliver(outgoing.channel, outgoing.body, outgoing.media)
    content = given
    if outgoing.others and await _opted_out_of_group(runtime, item, outgoing):
        content = standing.group_opted_out(content)
    content = standing.allowed(
        content,
        opted_out=not outgoing.others
        and _opted_out(runtime, item, parcel.standing.opted_out, outgoing.proxy_address),
        session=sessions.is_open(runtime, parcel, runtime.clock.now()) is not False,
        template=_approved(carrier, outgoing),
    )
    if content is given:
        return outgoing
    if isinstance(content, Fail):
        return Permanent(content.reason, content.code)
    return replace(outgoing, channel=content.channel, body=content.body, media=content.media)


def quiet(runtime: Runtime, item: Claimed, parcel: Parcel) -> quiet_hours.Quiet | None:
    """Whether they (of a group text: anybody in it) are to be left alone now."""
    house = runtime.settings.houses.get(item.account_sid)
    sender = house.sender(parcel.proxy_address) if house else None
    hours = quiet_hours.of(house, sender) if house and sender else ()
    if not hours or item.event == REPLY:
        return None
    everybody = {parcel.address, *routes.together(item)}
    return quiet_hours.quiet(hours, parcel.channel, everybody, runtime.clock.now())


def _approved(carrier: Carrier, outgoing: Outgoing) -> standing.Approved | None:
    """What of this needs no session."""
    template = outgoing.template
    if template is None or not template.approved:
        return None
    return standing.Approved(carrier.name, sent=sessions.starts(carrier, template.content))


async def _opted_out_of_group(runtime: Runtime, item: Claimed, outgoing: Outgoing) -> bool:
    everybody = [outgoing.address, *outgoing.others]
    async with runtime.db.read() as tx:
        senders = await standings.opted_out_by(tx.sql, item.account_sid, everybody)
    return _opted_out(runtime, item, senders, outgoing.proxy_address)


def _opted_out(runtime: Runtime, item: Claimed, out: Collection[str], proxy_address: str) -> bool:
    house = runtime.settings.houses.get(item.account_sid)
    sender = house.sender(proxy_address) if house else None
    if house is None or sender is None:
        return False
    return opt_outs.opted_out(house, sender, out)


def _outgoing(
    runtime: Runtime, item: Claimed, parcel: Parcel, session: bool | None
) -> Outgoing | Permanent:
    profile = runtime.settings.limits.profile if parcel.part is None else "relaxed"
    content = fitted(parcel.channel, parcel.body, parcel.media, profile, parcel.template, session)
    if isinstance(content, Fail):
        return Permanent(content.reason, content.code)
    return _to(runtime, item, parcel, content)


def _to(runtime: Runtime, item: Claimed, parcel: Parcel, content: Deliver) -> Outgoing:
    assert item.receipt_sid is not None
    named = reference(item.receipt_sid, parcel.part or 0)
    return Outgoing(
        reference=named,
        channel=content.channel,
        address=parcel.address,
        proxy_address=parcel.proxy_address,
        body=content.body,
        media=outward.given(runtime, content.media),
        status_url=runtime.status_url(parcel.carrier, named),
        started_at=item.unknown_since or item.started_at,
        template=content.template,
        others=tuple(one for one in routes.together(item) if one != parcel.address),
        thread=parcel.thread,
    )
