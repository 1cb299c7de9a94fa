"""Promise e): webhooks at least once, with one token per event, in order per lane."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.faults.town import HOOKED, Town, rows
from tests.support.customer import Hook

RANKS = {"queued": 0, "sent": 1, "delivered": 2, "read": 3, "failed": 9, "undelivered": 9}

MESSAGES = "SELECT sid, index, conversation_sid FROM messages"
CONVERSATIONS = """
SELECT c.sid, (SELECT max(b.proxy_address) FROM bindings b WHERE b.conversation_sid = c.sid) AS ours
FROM conversations c WHERE EXISTS (
  SELECT FROM decisions d WHERE d.conversation_sid = c.sid AND d.outcome = 'created')
"""
RECEIPTS = "SELECT sid, status FROM receipts"

Fact = tuple[str, ...]


def fact(hook: Hook) -> Fact:
    """What a webhook tells, and to whom: two that agree in it tell the same."""
    form = hook.form
    what = {
        "onMessageAdded": ("MessageSid",),
        "onConversationAdded": ("ConversationSid",),
        "onParticipantAdded": ("ParticipantSid",),
        "onDeliveryUpdated": ("DeliveryReceiptSid", "Status"),
    }[hook.event]
    return (hook.path, hook.event, *(form[name] for name in what))


async def differences(town: Town) -> list[str]:
    """What the customer was not told, or told in a wrong way."""
    hooks = town.customer.hooks
    firsts = first_deliveries(hooks)
    return [
        *[f"{hook.event} has a wrong signature" for hook in hooks if not hook.signed],
        *_tokens(hooks),
        *await _missing(town),
        *_order(firsts),
        *_steps(firsts),
    ]


def first_deliveries(hooks: Sequence[Hook]) -> list[Hook]:
    """Each event the first time that it came, whatever it was answered."""
    seen: set[str] = set()
    return [hook for hook in hooks if hook.token not in seen and not seen.add(hook.token)]


def _tokens(hooks: Sequence[Hook]) -> Iterator[str]:
    """One token per event, one event per token."""
    tokens: defaultdict[Fact, set[str]] = defaultdict(set)
    facts: defaultdict[str, set[Fact]] = defaultdict(set)
    for hook in hooks:
        tokens[fact(hook)].add(hook.token)
        facts[hook.token].add(fact(hook))
    for told, several in tokens.items():
        if len(several) != 1:
            yield f"{told} came with {len(several)} tokens"
    for token, several_facts in facts.items():
        if len(several_facts) != 1:
            yield f"the token {token} came with {sorted(several_facts)}"


async def _missing(town: Town) -> list[str]:
    """Every event was accepted at least once."""
    told = {fact(hook) for hook in town.customer.hooks if hook.status == 200}
    wanted: list[Fact] = []
    hooked = set()
    for row in await rows(town.dsn, CONVERSATIONS):
        wanted.append(("/events", "onConversationAdded", row["sid"]))
        if row["ours"] == HOOKED:
            hooked.add(row["sid"])
    for row in await rows(town.dsn, MESSAGES):
        wanted.append(("/events", "onMessageAdded", row["sid"]))
        if row["conversation_sid"] in hooked:
            wanted.append(("/scoped", "onMessageAdded", row["sid"]))
    wanted += [
        ("/events", "onDeliveryUpdated", row["sid"], row["status"])
        for row in await rows(town.dsn, RECEIPTS)
    ]
    return [f"the customer never accepted {one}" for one in wanted if one not in told]


def _order(firsts: Sequence[Hook]) -> Iterator[str]:
    """In a lane a conversation is added first, then its messages, by index without a gap."""
    last: dict[tuple[str, str], int] = {}
    for hook in firsts:
        lane = hook.path, hook.form["ConversationSid"]
        if hook.event == "onConversationAdded" and lane in last:
            yield f"{lane}: onConversationAdded came after a message"
        if hook.event == "onMessageAdded":
            index = int(hook.form["Index"])
            if index != last.get(lane, -1) + 1:
                yield f"{lane}: the message {index} came after {last.get(lane, -1)}"
            last[lane] = index


def _steps(firsts: Sequence[Hook]) -> Iterator[str]:
    """g): a receipt's statuses only move forward."""
    last: dict[str, str] = {}
    for hook in firsts:
        if hook.event == "onDeliveryUpdated":
            sid, status = hook.form["DeliveryReceiptSid"], hook.form["Status"]
            if RANKS[status] <= RANKS[last.get(sid, "queued")]:
                yield f"{sid} went from {last[sid]} to {status}"
            last[sid] = status
