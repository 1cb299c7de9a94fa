"""Where our numbers stand with the US carriers ("A2P 10DLC Registration in Conversations").

Numbers of the United States and Canada that are neither toll-free nor short codes must be in a
registered campaign to reach people in the United States by SMS or MMS: since September 2023 the
rest is blocked, and its receipts fail with 30034. The file says how they stand; nothing is held
back for it, since the carrier is who knows.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.channels.address import masked
from app.channels.group_mms import is_long_code
from app.settings.models import RegistrationSettings, SenderSettings, Settings

NOT_REGISTERED = 30034
DONE = frozenset({"registered", "exempt"})
SIMULATED = "sandbox"
NAMED_MAX = 20
"""Senders that one warning names."""
NOTHING_SAID = RegistrationSettings()


def of(house: Settings, sender: SenderSettings) -> RegistrationSettings:
    """How a sender stands: what the file says of it, else of its messaging service."""
    pool = house.pool(sender)
    return sender.registration or (pool and pool.registration) or NOTHING_SAID


def needed(house: Settings, sender: SenderSettings) -> bool:
    """Whether what leaves from this sender may be blocked for want of a registration."""
    if house.carriers[sender.carrier].kind == SIMULATED:
        return False
    texts = {"sms", "mms"} & {*sender.effective_channels}
    return bool(texts) and is_long_code(sender.address)


def warnings(settings: Settings) -> Iterator[str]:
    """What an operator should read at the start: one text for each way to be unregistered."""
    found: dict[str, list[str]] = {}
    for sender in settings.senders:
        stands = of(settings, sender)
        if stands.status not in DONE and needed(settings, sender):
            found.setdefault(_how(stands), []).append(masked(sender.address))
    for how, addresses in found.items():
        more = f" and {len(addresses) - NAMED_MAX} more" if len(addresses) > NAMED_MAX else ""
        named = ", ".join(addresses[:NAMED_MAX]) + more
        yield f"{how}: US carriers block what {named} send to people in the United States"


def reason(settings: Settings, account_sid: str, address: str, said: str | None) -> str:
    """Why a send from this address of ours failed with 30034, in words that say what to do.
    `said` is what the carrier says of it."""
    house = settings.houses.get(account_sid)
    sender = house.sender(address) if house else None
    stands = of(house, sender) if house and sender else NOTHING_SAID
    told = f"; the carrier says: {said}" if said else ""
    if stands.status in DONE:
        doubt = f"the file says {stands.status}: ask the carrier whether this number is in it"
        return f"US carriers block this number: {_campaign(stands)}{doubt}{told}"
    return f"US carriers block this number: {_how(stands)}{told}"


def _how(stands: RegistrationSettings) -> str:
    if stands.status == "unregistered":
        return f"it is in no registered A2P 10DLC campaign ({_campaign(stands)}see registration)"
    return f"its A2P 10DLC registration is {stands.status} ({_campaign(stands)}see registration)"


def _campaign(stands: RegistrationSettings) -> str:
    return f"campaign {stands.campaign}; " if stands.campaign else ""
