"""The template that a sender sends in the place of what may not go: free words to somebody whose
session is over.

It is decided at each attempt, since a message may wait while a session ends or begins. Where the
template cannot go either, the receipt fails as it would without one.
"""

from __future__ import annotations

from app.channels.facts import FACTS
from app.ids import CONTENT, is_sid, lowered
from app.model.outbox import REPLY
from app.rules.content import Deliver, Fail, left_out, named
from app.rules.standing import SESSION_CLOSED
from app.rules.templates import fitted
from app.runtime import Runtime
from app.settings.fallback import BODY, FallbackSettings
from app.settings.models import Settings
from app.store import contents
from app.store.declared_contents import content_sid
from app.store.deliveries import Parcel
from app.store.outbox import Claimed


async def instead(
    runtime: Runtime, item: Claimed, parcel: Parcel, in_session: bool | None
) -> Deliver | Fail | None:
    """What goes in the place of this parcel; None when it goes itself, or nothing is configured. It
    stands for all parts of a message, so that none follows it, and it follows none. What it is sent
    in the place of is named in `dropped`."""
    if in_session is not False or parcel.template is not None or parcel.part or item.event == REPLY:
        return None
    house = runtime.settings.houses.get(item.account_sid)
    sender = house.sender(parcel.proxy_address) if house else None
    if house is None or sender is None or sender.fallback_template is None:
        return None
    if parcel.channel not in FACTS or FACTS[parcel.channel].session_s is None:
        return None
    return await _rendered(runtime, house, parcel.whole or parcel, sender.fallback_template)


async def _rendered(
    runtime: Runtime, house: Settings, parcel: Parcel, fallback: FallbackSettings
) -> Deliver | Fail:
    sid = _sid(house, fallback.content)
    given = _variables(fallback, parcel.body or "", house)
    async with runtime.db.read() as tx:
        found = await contents.find(tx, house.account.sid, sid)
        approved = await contents.approvals(tx, [sid]) if found else {}
    if found is None:
        return _neither(parcel, "there is no such template")
    template = contents.as_template(found, approved.get(sid), given)
    fitting = fitted(parcel.channel, None, (), "relaxed", template, in_session=False)
    if isinstance(fitting, Fail):
        return _neither(parcel, fitting.reason)
    files = [named(at, part) for at, part in enumerate(parcel.media, 1)]
    lost = left_out(parcel.body, files)
    return Deliver(
        fitting.channel,
        fitting.body,
        fitting.media,
        f"{lost} (the template {sid} in their place)",
        fitting.template,
    )


def _neither(parcel: Parcel, reason: str) -> Fail:
    said = f"the session is over, and its template cannot be sent: {reason}"
    return Fail(parcel.channel, SESSION_CLOSED, said)


def _sid(house: Settings, name: str) -> str:
    if name in house.contents:
        return content_sid(house, name)
    return lowered(name) if is_sid(name, CONTENT) else name


def _variables(fallback: FallbackSettings, body: str, house: Settings) -> dict[str, str]:
    """Those that come out empty are left to their samples."""
    most = house.limits.content_variable_value_chars_max
    words = " ".join(body.split())
    filled = {name: value.replace(BODY, words) for name, value in fallback.variables.items()}
    return {
        name: value if len(value) <= most else f"{value[: most - 1]}…"
        for name, value in filled.items()
        if value
    }
