"""What a text means for whether its author is written to: STOP, START, HELP, or nothing of it.

The words are those of the sender ("Messaging opt-out keywords"). Where Twilio's Advanced Opt-Out
has decided, its mark on the inbound (`OptOutType`) decides.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

import phonenumbers

from app.channels.facts import FACTS
from app.model.traffic import Inbound
from app.settings.models import SenderSettings, Settings
from app.settings.opt_outs import WORD_CHARS_MAX, Kind, OptOutSettings, plain

MARK = "OptOutType"


def meant(settings: OptOutSettings, inbound: Inbound) -> Kind | None:
    """What this inbound means; None: it is a text like any other."""
    facts = FACTS.get(inbound.channel)
    if facts is None or not facts.keywords or not settings.enabled:
        return None
    mark = inbound.form.get(MARK)
    if mark:
        return next((kind for kind in get_args(Kind) if kind == mark.lower()), None)
    if not inbound.body or len(inbound.body) > 2 * WORD_CHARS_MAX:
        return None
    return _word(settings, plain(inbound.body), inbound.address)


def scopes(house: Settings, sender: SenderSettings) -> tuple[str, ...]:
    """What somebody may have opted out of who is not to hear from this sender: first what they opt
    out of now, all senders of its messaging service, which are one to people, or it alone."""
    name = sender.messaging_service
    alone = (sender.address,)
    return (house.messaging_service_sid(name), *alone) if name else alone


def opted_out(house: Settings, sender: SenderSettings, of: Collection[str]) -> bool:
    """Whether somebody who opted `of` these hears nothing from this sender."""
    if not of or not sender.opt_outs.enabled:
        return False
    return any(name in of for name in scopes(house, sender))


def _word(settings: OptOutSettings, word: str, address: str) -> Kind | None:
    kind = settings.kinds.get(word)
    if kind is not None:
        return kind
    if not any(word in one.kinds for one in settings.countries.values()):
        return None
    country = settings.countries.get(_country(address) or "")
    return country.kinds.get(word) if country else None


def _country(address: str) -> str | None:
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(address))
    except phonenumbers.NumberParseException:
        return None
