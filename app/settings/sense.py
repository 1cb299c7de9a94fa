"""What one part of the file says of another: names that must exist, things that go together.

All of it reads the document and not the finished settings, so that one wrong value elsewhere hides
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from pydantic import BaseModel

from app import ids
from app.settings import address
from app.settings.document import Document, Steps
from app.settings.models import DEFAULT, CarrierSettings
from app.settings.problems import did_you_mean, dotted, shown
from app.settings.shape import match

COMMON = frozenset(CarrierSettings.model_fields)
# What each type of autocreation cannot do without.
NEEDS = {"webhook": "webhook_url", "studio": "studio_flow_sid"}
IN_SESSIONS = ("whatsapp", "messenger", "instagram")
SID_AT_TWILIO = re.compile(r"HX[0-9a-f]{32}")
TEMPLATE_NAME = re.compile(r"[a-z0-9_]{1,512}")
# More names than these are not listed.
NAMES_MAX = 20


def carriers(document: Document, kinds: Mapping[str, type[BaseModel]]) -> None:
    """Every carrier is of a known kind, and its own options fit that kind."""
    for name in document.names("carriers"):
        steps = ("carriers", name)
        kind = document.text(*steps, "kind")
        if kind is None:
            continue
        if kind not in kinds:
            message = "no such kind of carrier" + _known(document, (*steps, "kind"), kinds)
            document.report((*steps, "kind"), message)
            continue
        _options(document, steps, kinds[kind])


def accounts(document: Document) -> None:
    """No account and no key is given twice, and what names an account names one of these."""
    further = list(document.items("accounts"))
    sids = [("account", "sid"), *((*steps, "sid") for steps in further)]
    _unique(document, sids, _text)
    holders: list[Steps] = [("account",), *further]
    keys = [(*key, "sid") for holder in holders for key in document.items(*holder, "api_keys")]
    _unique(document, keys, _text)
    known = [sid for steps in sids if (sid := document.text(*steps)) is not None]
    owned: list[Steps] = list(document.items("senders"))
    for section in ("messaging_services", "services", "contents", "flows"):
        owned += [(section, name) for name in document.names(section)]
    for steps in owned:
        _declared(document, (*steps, "account"), "account", known)


def senders(document: Document) -> None:
    """Every sender has its own address, a declared carrier, a messaging service and a template of
    its account, and channels that its address can have."""
    _unique(document, [(*steps, "address") for steps in document.items("senders")], address_at)
    carrier_names = document.names("carriers")
    pools = document.names("messaging_services")
    for steps in document.items("senders"):
        _declared(document, (*steps, "carrier"), "carrier", carrier_names)
        _fallback_carrier(document, steps, carrier_names)
        _declared(document, (*steps, "messaging_service"), "messaging service", pools)
        _same_account(document, steps, (*steps, "messaging_service"), "messaging_services")
        _channels(document, steps)
        _fallback_template(document, steps)


def services(document: Document) -> None:
    """One service of an account at most is its default, and it is clear which; no SID is given
    twice."""
    of_account: dict[str | None, list[str]] = {}
    for name in document.names("services"):
        of_account.setdefault(_account(document, ("services", name)), []).append(name)
    for names in of_account.values():
        _one_default(document, names)
    for section in ("services", "messaging_services"):
        sids = [(section, name, "sid") for name in document.names(section)]
        _unique(document, sids, _text)


def addresses(document: Document) -> None:
    """Every address configuration is for a sender, for another one each, and complete; its flow is
    declared."""
    _unique(document, [(*steps, "address") for steps in document.items("addresses")], address_at)
    places = [(*steps, "address") for steps in document.items("senders")]
    owned = {address_at(document, place) for place in places}
    written = [address_at(document, each) or "" for each in places if not document.is_veiled(each)]
    known = document.names("services") or [DEFAULT]
    flows = {ids.lowered(name) for name in document.names("flows")}
    holders = {address_at(document, place): place[:-1] for place in places}
    for steps in document.items("addresses"):
        mine = address_at(document, (*steps, "address"))
        if mine is not None and mine not in owned:
            near = "" if document.is_veiled(steps) else did_you_mean(mine, written)
            document.report((*steps, "address"), "is not the address of a sender" + near)
        rule = (*steps, "auto_creation")
        _declared(document, (*rule, "service"), "service", known)
        _flow(document, (*rule, "studio_flow_sid"), flows)
        if mine in holders:
            _flow_of(document, holders[mine], (*rule, "studio_flow_sid"))
            _same_account(document, holders[mine], (*rule, "service"), "services")
        _complete(document, rule)


def contents(document: Document) -> None:
    """No template's SID is given twice, carriers that call them something are declared and can call
    them so, and what was approved has a name at WhatsApp."""
    names = document.names("contents")
    _unique(document, [("contents", name, "sid") for name in names], _text)
    known = document.names("carriers")
    for name in names:
        approval = ("contents", name, "approval")
        unnamed = document.get(*approval) is not None and document.get(*approval, "name") is None
        if unnamed and not TEMPLATE_NAME.fullmatch(name):
            document.report(approval, "needs a name: WhatsApp does not take that of the template")
        for carrier in document.names("contents", name, "carriers"):
            place = ("contents", name, "carriers", carrier)
            if carrier not in known:
                near = did_you_mean(carrier, known)
                document.report(place, "no such carrier" + near, at_key=True)
            sid = document.text(*place, "sid")
            at_twilio = document.text("carriers", carrier, "kind") == "twilio"
            if at_twilio and sid is not None and not SID_AT_TWILIO.fullmatch(sid):
                document.report((*place, "sid"), "should be HX and 32 hexadecimal digits (0-9a-f)")


def _flow(document: Document, steps: Steps, known: Collection[str]) -> None:
    """A rule's flow is declared: what is told to one that is not is told to nobody."""
    sid = document.text(*steps)
    if sid is not None and ids.is_sid(sid, ids.FLOW) and ids.lowered(sid) not in known:
        document.report(steps, "no such flow" + _known(document, steps, known))


def _flow_of(document: Document, owner: Steps, place: Steps) -> None:
    """A flow that runs here belongs to the account of the sender `owner`."""
    sid = document.text(*place)
    for name in document.names("flows"):
        here = document.get("flows", name, "file") is not None
        if sid is None or ids.lowered(name) != ids.lowered(sid) or not here:
            continue
        if _account(document, ("flows", name)) != _account(document, owner):
            document.report(place, "belongs to another account than the sender")


def _one_default(document: Document, names: list[str]) -> None:
    """Of the services of one account."""
    marked = [name for name in names if document.get("services", name, "default") is True]
    for name in marked[1:]:
        message = f"only one service can be the default: services.{marked[0]} is one already"
        document.report(("services", name, "default"), message)
    if len(names) > 1 and not marked and DEFAULT not in names:
        document.report(("services",), "mark one of the services with default: true", at_key=True)


def _same_account(document: Document, owner: Steps, place: Steps, section: str) -> None:
    """What this place names in a section belongs to the account of the sender `owner`."""
    name = document.text(*place)
    if name is None or name not in document.names(section):
        return
    if _account(document, (section, name)) != _account(document, owner):
        document.report(place, "belongs to another account than the sender")


def _account(document: Document, steps: Steps) -> str | None:
    """The account that something is of."""
    return document.text(*steps, "account") or document.text("account", "sid")


def _complete(document: Document, rule: Steps) -> None:
    needed = NEEDS.get(document.text(*rule, "type") or "")
    if needed and document.get(*rule, needed) is None and (*rule, needed) not in document.broken:
        document.report((*rule, "type"), f"needs {needed} beside it")


def _options(document: Document, steps: Steps, options: type[BaseModel]) -> None:
    own = {field.alias or name for name, field in options.model_fields.items()}
    unknown = set(document.names(*steps)) - own - COMMON
    if options.model_config.get("extra") == "allow":
        unknown = set()
    for name in unknown:
        message = "unknown key" + did_you_mean(name, own | COMMON)
        document.report((*steps, name), message, at_key=True)
    without = frozenset(unknown | (COMMON - own))
    match(document, options, steps, without=without, strict=False)


def _fallback_carrier(document: Document, steps: Steps, known: Collection[str]) -> None:
    _declared(document, (*steps, "fallback_carrier"), "carrier", known)
    fallback = document.text(*steps, "fallback_carrier")
    if fallback is not None and fallback == document.text(*steps, "carrier"):
        document.report((*steps, "fallback_carrier"), "is its carrier already")


def _channels(document: Document, steps: Steps) -> None:
    mine = address_at(document, (*steps, "address"))
    if mine is None:
        return
    able = address.CARRIED[address.channel_of(mine)]
    for place in document.items(*steps, "channels"):
        channel = document.text(*place)
        if channel is not None and channel not in able:
            near = "" if document.is_veiled(place) else did_you_mean(channel, able)
            document.report(place, f"this address carries {', '.join(able)} only" + near)


def _fallback_template(document: Document, steps: Steps) -> None:
    """A template goes in the place of free words only where there are sessions."""
    place = (*steps, "fallback_template", "content")
    mine, name = address_at(document, (*steps, "address")), document.text(*place)
    if mine is not None and name is not None and address.channel_of(mine) not in IN_SESSIONS:
        message = f"only {', '.join(IN_SESSIONS)} know sessions"
        document.report((*steps, "fallback_template"), message, at_key=True)
    if name is not None and not ids.is_sid(name, ids.CONTENT):
        _declared(document, place, "template", document.names("contents"))
        _same_account(document, steps, place, "contents")


def _declared(document: Document, steps: Steps, noun: str, known: Iterable[str]) -> None:
    name = document.text(*steps)
    if name is not None and name not in known:
        document.report(steps, f"no such {noun}" + _known(document, steps, known))


def _known(document: Document, steps: Steps, known: Iterable[str]) -> str:
    """The name that was meant, or all names when none is near and they are few."""
    name = document.text(*steps)
    near = did_you_mean(name, known) if name and not document.is_veiled(steps) else ""
    names = sorted(known)
    if near or len(names) > NAMES_MAX:
        return near
    return f" (known: {', '.join(map(shown, names)) or 'none'})"


def _unique(
    document: Document, places: Iterable[Steps], read: Callable[[Document, Steps], str | None]
) -> None:
    first: dict[str, Steps] = {}
    for steps in places:
        value = read(document, steps)
        if value is not None and first.setdefault(value, steps) != steps:
            document.report(steps, f"is given twice: {dotted(first[value])} has it already")


def _text(document: Document, steps: Steps) -> str | None:
    return document.text(*steps)


def address_at(document: Document, steps: Steps) -> str | None:
    """The normalised address at these steps; None when there is none that is valid."""
    text = document.text(*steps)
    try:
        return None if text is None else address.normalise(text)
    except ValueError:
        return None
