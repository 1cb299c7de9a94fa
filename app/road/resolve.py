"""Which rule takes an inbound message: a pure decision over what is known of its pair.

In this order ("Inbound Message Handling & Autocreation"): a sender of ours (and no mail that a
machine wrote); the conversation that
holds the pair, or the number group of a group text; the address configuration of the To address;
the sender's messaging service with autocreation; the sender's own messaging webhook; else it is
dropped, with a reason. `steps` keeps what every rule said, for the operator who asks why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from app.model import AddressConfiguration
from app.model.traffic import Inbound
from app.rules import groups
from app.rules.groups import Group
from app.settings.models import SenderSettings, Settings
from app.values import value


@value(frozen=True, slots=True)
class Bound:
    """The participant that holds the pair in a conversation that is not closed; `grouped`: that is
    a group text, and the numbers are its."""

    conversation_sid: str
    participant_sid: str
    grouped: bool = False


@value(frozen=True, slots=True)
class Create:
    """What a conversation is created with. type: default, webhook or studio; service None: the
    account's default one."""

    type: str = "default"
    service_sid: str | None = None
    messaging_service_sid: str | None = None
    webhook_url: str | None = None
    webhook_method: str = "POST"
    webhook_filters: tuple[str, ...] = ()
    webhook_echo: bool = False
    webhook_payload: str = "twilio"
    flow_sid: str | None = None
    retry_count: int | None = None
    identities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forward:
    """The sender's own webhook gets the original form."""

    url: str
    method: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Nobody wants it."""

    reason: str


@value(frozen=True, slots=True)
class Decision:
    """The rule that took it, what it does, and what every rule said on the way."""

    rule: str
    action: Bound | Create | Forward | Drop
    steps: tuple[tuple[str, str], ...] = field(default=())


def decide(
    settings: Settings,
    inbound: Inbound,
    holder: tuple[str, str] | None,
    grouped: bool,
    configuration: AddressConfiguration | None,
) -> Decision:
    """The decision on an inbound of this account, given who holds its pair or number group and how
    our address is configured."""
    bound = Bound(*holder, grouped) if holder else None
    group = _group(settings, inbound) if inbound.others else None
    carrier, guard = inbound.carrier, inbound.guard
    proxy_address = inbound.proxy_address
    return resolve(settings, carrier, proxy_address, bound, configuration, group, guard)


def _group(settings: Settings, inbound: Inbound) -> Group:
    senders, most = settings.senders_by_address, settings.limits.participants_group_max
    return groups.arriving(inbound, senders, most)


class Case(NamedTuple):
    """What is known of a pair whose message came by `carrier`, and of the `sender` (None: it is not
    ours) that it came to. With a `guard` nobody gets it: a machine wrote it."""

    settings: Settings
    sender: SenderSettings | None
    carrier: str
    bound: Bound | None
    configuration: AddressConfiguration | None
    group: Group | None
    guard: str | None


Verdict = tuple[Bound | Create | Forward | Drop | None, str]
"""What a rule does (None: the next one is asked), and what it says."""


def resolve(
    settings: Settings,
    carrier: str,
    proxy_address: str,
    bound: Bound | None,
    configuration: AddressConfiguration | None,
    group: Group | None = None,
    guard: str | None = None,
) -> Decision:
    """The decision on one pair, given who holds it and how its To address is configured; the same
    on a group text."""
    sender = settings.sender(proxy_address)
    case = Case(settings, sender, carrier, bound, configuration, group, guard)
    steps: list[tuple[str, str]] = []
    for rule, judge in RULES:
        verdict = judge(case)
        if verdict is None:
            continue
        action, said = verdict
        steps.append((rule, said))
        if action is not None:
            return Decision(rule, action, tuple(steps))
    reason = "no rule takes messages to this address from somebody without a conversation"
    return Decision("none", Drop(reason), tuple(steps))


def _sender(case: Case) -> Verdict:
    sender, carrier = case.sender, case.carrier
    if sender is None:
        return Drop("unknown sender"), "the To address is not one of our senders"
    if sender.carrier != carrier:
        said = f"the To address belongs to carrier {sender.carrier}, not to {carrier}"
        return Drop("wrong carrier"), said
    if case.group is not None and case.group.echo:
        return Drop("echo"), "it is from a number of ours: a text of ours that came back"
    return None, f"the To address is ours, held by {carrier}"


def _loop_guard(case: Case) -> Verdict | None:
    return None if case.guard is None else (Drop(case.guard), case.guard)


def _binding(case: Case) -> Verdict:
    bound = case.bound
    if bound is None:
        what = "this pair" if case.group is None else "this number group"
        return None, f"no open conversation holds {what}"
    what = "number group" if bound.grouped else "pair"
    return bound, f"the {what} is held in {bound.conversation_sid} by {bound.participant_sid}"


def _address(case: Case) -> Verdict:
    configuration, group = case.configuration, case.group
    if configuration is None:
        return None, "the To address has no address configuration"
    if not configuration.auto_enabled:
        return None, f"address configuration {configuration.sid} is disabled"
    if group is not None and group.refusal is not None:
        return None, group.refusal
    create = Create(
        service_sid=configuration.auto_service_sid,
        messaging_service_sid=_messaging_service_sid(case),
        identities=tuple(configuration.default_identities),
    )
    create = _attached(create, configuration)
    return create, f"address configuration {configuration.sid} creates by {create.type} rule"


def _attached(create: Create, configuration: AddressConfiguration) -> Create:
    """With the webhook that the rule attaches to every conversation that it creates."""
    if configuration.auto_type == "webhook":
        return replace(
            create,
            type="webhook",
            webhook_url=configuration.auto_webhook_url,
            webhook_method=configuration.auto_webhook_method or "POST",
            webhook_filters=tuple(configuration.auto_webhook_filters),
            webhook_echo=configuration.auto_webhook_echo,
            webhook_payload=configuration.auto_webhook_payload,
        )
    if configuration.auto_type == "studio":
        return replace(
            create,
            type="studio",
            flow_sid=configuration.auto_studio_flow_sid,
            retry_count=configuration.auto_studio_retry_count,
        )
    return create


def _messaging_service(case: Case) -> Verdict:
    name = case.sender.messaging_service if case.sender else None
    service = case.settings.messaging_services.get(name) if name else None
    if service is None:
        return None, "the sender is in no messaging service"
    if not service.autocreate:
        return None, f"messaging service {name} does not create conversations"
    if case.group is not None and case.group.refusal is not None:
        return None, case.group.refusal
    create = Create(messaging_service_sid=_messaging_service_sid(case))
    return create, f"messaging service {name} creates by default rule"


def _sender_webhook(case: Case) -> Verdict:
    webhook = case.sender.webhook if case.sender else None
    if webhook is None:
        return None, "the sender has no messaging webhook of its own"
    forward = Forward(webhook.url, webhook.method)
    return forward, "the sender's own messaging webhook gets the original form"


def _messaging_service_sid(case: Case) -> str | None:
    if case.sender is None or case.sender.messaging_service is None:
        return None
    return case.settings.messaging_service_sid(case.sender.messaging_service)


RULES: tuple[tuple[str, Callable[[Case], Verdict | None]], ...] = (
    ("sender", _sender),
    ("loop_guard", _loop_guard),
    ("binding", _binding),
    ("address", _address),
    ("messaging_service", _messaging_service),
    ("sender_webhook", _sender_webhook),
)
"""In the order in which they are asked."""
