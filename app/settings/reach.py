"""What is said of a sender against what its address and its carriers can do at all.

Like `sense` it reads the document: one wrong value elsewhere hides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from app.settings import address
from app.settings.content_types import placeholders
from app.settings.document import Document, Steps
from app.settings.fallback import BODY
from app.settings.problems import did_you_mean, dotted
from app.settings.sense import address_at
from app.settings.types import rated

Kinds = Mapping[str, type[BaseModel]]

# Channels on which people are no numbers, so that nothing tells their country.
WITHOUT_COUNTRY = ("email", "messenger", "instagram")
KNOWN = frozenset(channel for carried in address.CARRIED.values() for channel in carried)
MARK = re.compile(r"\{[A-Za-z_]+\}")


def senders(document: Document, kinds: Kinds) -> None:
    """Every sender has carriers for its channel, an address that mails can come from, and hours,
    rates and a template that can mean something. `kinds` may say what they carry (`carries`)."""
    mailboxes: dict[str, Steps] = {}
    for steps in document.items("senders"):
        mine = address_at(document, (*steps, "address"))
        if mine is None:
            continue
        for key in ("carrier", "fallback_carrier"):
            _carried(document, (*steps, key), mine, kinds)
        if address.channel_of(mine) == "email":
            _mailbox(document, (*steps, "address"), mine, mailboxes)
        able = _able(document, steps, mine)
        _rates(document, (*steps, "rates"), mine, able)
        _hours(document, steps, able)
        _template(document, (*steps, "fallback_template"))


def _carried(document: Document, steps: Steps, mine: str, kinds: Kinds) -> None:
    name = document.text(*steps)
    if name is None:
        return
    kind = document.text("carriers", name, "kind")
    said = frozenset(document.names("carriers", name, "channels"))
    able = said or getattr(kinds.get(kind or ""), "carries", None)
    if able and able.isdisjoint(address.CARRIED[address.channel_of(mine)]):
        document.report(steps, f"carries {', '.join(sorted(able))}, and nothing from this address")


def _mailbox(document: Document, steps: Steps, mine: str, known: dict[str, Steps]) -> None:
    """Mailboxes that differ in case are one to nearly every server."""
    if not mine.isascii():
        document.report(steps, "mails cannot come from an address with letters beyond ASCII")
    first = known.setdefault(mine.lower(), steps)
    if first != steps and address_at(document, first) != mine:
        document.report(steps, f"is given twice: {dotted(first)} differs in case alone")


def _able(document: Document, steps: Steps, mine: str) -> Sequence[str]:
    """The channels of this sender."""
    own = [document.text(*place) or "" for place in document.items(*steps, "channels")]
    return own or address.CARRIED[address.channel_of(mine)]


def _rates(document: Document, steps: Steps, mine: str, able: Sequence[str]) -> None:
    """Rates of channels that it has, and of countries where its people have one."""
    of_country = False
    for key in document.names(*steps):
        channel, country = rated(key)
        of_country = of_country or country is not None
        if channel in KNOWN and channel not in able:
            message = f"this sender carries {', '.join(able)} only"
            document.report((*steps, key), message, at_key=True)
    if of_country and address.channel_of(mine) in WITHOUT_COUNTRY:
        message = "go by the country of people's numbers, which this address never writes to"
        document.report(steps, message, at_key=True)


def _hours(document: Document, steps: Steps, able: Sequence[str]) -> None:
    for hours in document.items(*steps, "quiet_hours"):
        given = {document.text(*place) for place in document.items(*hours, "channels")}
        if given and given <= KNOWN and given.isdisjoint(able):
            message = f"this sender carries {', '.join(able)} only"
            document.report((*hours, "channels"), message)


def _template(document: Document, steps: Steps) -> None:
    """What a variable stands for is known, and so is the variable where the file has the
    template."""
    types = document.get("contents", document.text(*steps, "content") or "", "types")
    used = None if types is None else set(placeholders(types))
    for name in document.names(*steps, "variables"):
        place = (*steps, "variables", name)
        if used is not None and name not in used:
            message = "the template has no such variable" + did_you_mean(name, used)
            document.report(place, message, at_key=True)
        marks = set(MARK.findall(document.text(*place) or "")) - {BODY}
        if marks:
            document.report(place, f"knows {BODY} and no other word in braces")
