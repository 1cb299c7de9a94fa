"""What one part of the file says of another: names that must exist, things that go together.

All of it reads the document and not the finished settings, so that one wrong value elsewhere hides
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pydantic import BaseModel

from app.settings import address
from app.settings.document import Document, Steps
from app.settings.models import DEFAULT, CarrierSettings
from app.settings.problems import did_you_mean, dotted, shown
from app.settings.shape import match

COMMON = frozenset(CarrierSettings.model_fields)
# What each type of autocreation cannot do without.
NEEDS = {"webhook": "webhook_url", "studio": "studio_flow_sid"}
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


def senders(document: Document) -> None:
    """Every sender has its own address, a declared carrier and messaging service, and channels that
    its address can have."""
    _unique(document, [(*steps, "address") for steps in document.items("senders")], _address)
    carrier_names = document.names("carriers")
    pools = document.names("messaging_services")
    for steps in document.items("senders"):
        _declared(document, (*steps, "carrier"), "carrier", carrier_names)
        _declared(document, (*steps, "messaging_service"), "messaging service", pools)
        _channels(document, steps)


def services(document: Document) -> None:
    """One service at most is the default, and it is clear which; no SID is given twice."""
    names = document.names("services")
    marked = [name for name in names if document.get("services", name, "default") is True]
    for name in marked[1:]:
        message = f"only one service can be the default: services.{marked[0]} is one already"
        document.report(("services", name, "default"), message)
    if len(names) > 1 and not marked and DEFAULT not in names:
        document.report(("services",), "mark one of the services with default: true", at_key=True)
    for section in ("services", "messaging_services"):
        sids = [(section, name, "sid") for name in document.names(section)]
        _unique(document, sids, _text)
    keys = [(*steps, "sid") for steps in document.items("account", "api_keys")]
    _unique(document, keys, _text)


def addresses(document: Document) -> None:
    """Every address configuration is for a sender, for another one each, and complete."""
    _unique(document, [(*steps, "address") for steps in document.items("addresses")], _address)
    places = [(*steps, "address") for steps in document.items("senders")]
    owned = {_address(document, place) for place in places}
    written = [_address(document, each) or "" for each in places if not document.is_veiled(each)]
    known = document.names("services") or [DEFAULT]
    for steps in document.items("addresses"):
        mine = _address(document, (*steps, "address"))
        if mine is not None and mine not in owned:
            near = "" if document.is_veiled(steps) else did_you_mean(mine, written)
            document.report((*steps, "address"), "is not the address of a sender" + near)
        rule = (*steps, "auto_creation")
        _declared(document, (*rule, "service"), "service", known)
        _complete(document, rule)


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


def _channels(document: Document, steps: Steps) -> None:
    mine = _address(document, (*steps, "address"))
    if mine is None:
        return
    able = address.CHANNELS[address.form(mine)]
    for place in document.items(*steps, "channels"):
        channel = document.text(*place)
        if channel is not None and channel not in able:
            near = "" if document.is_veiled(place) else did_you_mean(channel, able)
            document.report(place, f"this address carries {', '.join(able)} only" + near)


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


def _address(document: Document, steps: Steps) -> str | None:
    """The normalised address at these steps; None when there is none that is valid."""
    text = document.text(*steps)
    try:
        return None if text is None else address.normalise(text)
    except ValueError:
        return None
