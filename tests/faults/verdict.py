"""The verdict: the promises, checked on what the World, the customer and the database remember."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.model.parts import reference, referred
from tests.faults import verdict_hooks
from tests.faults.load import Load
from tests.faults.town import Town, rows

SHOWN_MAX = 30

INBOUNDS = """
SELECT b.external_id, b.message_sid, m.body, m.author, m.conversation_sid,
  (SELECT count(*) FROM messages s WHERE s.body = m.body) AS copies,
  (SELECT count(*) FROM decisions d WHERE d.external_id = b.external_id
     AND d.outcome IN ('joined', 'created')) AS decisions
FROM inbox b LEFT JOIN messages m ON m.sid = b.message_sid
"""
BODIES = "SELECT body, count(*) AS copies, min(sid) AS sid FROM messages GROUP BY body"
PAIRS = """
SELECT address, proxy_address, count(*) FILTER (WHERE open) AS open,
  count(DISTINCT conversation_sid) AS conversations
FROM bindings GROUP BY address, proxy_address
"""
INDICES = """
SELECT c.sid, c.message_count, count(m.sid) AS messages, min(m.index) AS first,
  max(m.index) AS last, count(DISTINCT m.index) AS indices,
  (SELECT count(*) FROM participants p WHERE p.conversation_sid = c.sid) AS participants
FROM conversations c LEFT JOIN messages m ON m.conversation_sid = c.sid GROUP BY c.sid
"""
RECEIPTS = """
SELECT r.sid, r.status, r.external_id, r.address, r.channel, r.error_code, r.conversation_sid,
  m.index, m.body, coalesce(jsonb_array_length(r.parts), 1) AS parts
FROM receipts r JOIN messages m ON m.sid = r.message_sid
"""
MISSED = """
SELECT m.sid, m.index, m.conversation_sid, p.address
FROM messages m JOIN participants p ON p.conversation_sid = m.conversation_sid
  AND p.address IS NOT NULL AND p.sid IS DISTINCT FROM m.participant_sid
WHERE NOT EXISTS (SELECT FROM receipts r WHERE r.message_sid = m.sid AND r.participant_sid = p.sid)
"""
REST = """
SELECT 'item' AS what, lane AS name FROM outbox UNION ALL
SELECT 'lane', lane FROM lanes UNION ALL
SELECT 'dead letter', lane || ': ' || reason FROM dead_letters UNION ALL
SELECT 'early status', external_id FROM early_statuses e
WHERE EXISTS (SELECT FROM receipts r WHERE r.external_id = e.external_id AND r.status = 'sent')
"""


async def judge(town: Town, load: Load) -> None:
    """Every promise; raises AssertionError with all that differs, SIDs, seed and logs."""
    wrong = [
        *await _inbounds(town, load),
        *await _posts(town, load),
        *await _conversations(town, load),
        *await _receipts(town),
        *await verdict_hooks.differences(town),
        *[f"left over: {row['what']} {row['name']}" for row in await rows(town.dsn, REST)],
    ]
    more = [f"... and {len(wrong) - SHOWN_MAX} more"] if len(wrong) > SHOWN_MAX else []
    assert not wrong, town.story("\n".join([*wrong[:SHOWN_MAX], *more]))
    print(_numbers(town, load))


def _numbers(town: Town, load: Load) -> str:
    lost = sum(post.status != 201 for post in load.posts)
    retried = sum(len(text.tries) > 1 for text in load.texts)
    return (
        f"seed {town.seed}: {len(load.texts)} texts ({retried} tried again), {len(load.posts)} "
        f"posts ({lost} not acknowledged), {town.world.counts['taken']} sends, "
        f"{len(town.customer.hooks)} webhooks, {sum(one.starts for one in town.services)} starts"
    )


async def _inbounds(town: Town, load: Load) -> list[str]:
    """a) and b): what was acknowledged is there, once, and so is what came to no door at all (the
    carrier's list has it); what was not is there once at most."""
    kept = {row["external_id"]: row for row in await rows(town.dsn, INBOUNDS)}
    wrong = []
    for text in load.texts:
        row = kept.pop(text.external_id, None)
        if not text.acknowledged and text.tries:
            wrong.append(f"{text.external_id} was never acknowledged: {text.tries[-5:]}")
        elif row is None or row["message_sid"] is None:
            wrong.append(f"{text.external_id} ({text.body}) is lost: {text.tries[-5:]}")
        elif (row["body"], row["author"]) != (text.body, text.sender):
            wrong.append(f"{text.external_id} became {row['message_sid']}, which is another's")
        if row is not None and row["message_sid"] and (row["copies"], row["decisions"]) != (1, 1):
            numbers = f"{row['copies']} messages, {row['decisions']} decisions"
            wrong.append(f"{text.external_id} has {numbers}")
    return wrong + [f"{external_id} was never sent" for external_id in kept]


async def _posts(town: Town, load: Load) -> list[str]:
    """a) for agents: a 201 is kept; without one there is one message at most."""
    kept = {row["body"]: row for row in await rows(town.dsn, BODIES)}
    wrong = []
    for post in load.posts:
        row = kept.get(post.body)
        if row is not None and row["copies"] != 1:
            wrong.append(f"{post.body} in {post.conversation_sid}: {row['copies']} copies")
        if post.status == 201 and (row is None or row["sid"] != post.sid):
            wrong.append(f"{post.sid} ({post.body}) was answered 201 and is lost")
        if post.status not in (201, 503, 0):
            wrong.append(f"{post.body} was answered {post.status}")
    return wrong


async def _conversations(town: Town, load: Load) -> list[str]:
    """c) and d): one conversation per pair, indices without a gap."""
    wrong = []
    texted = {(text.sender, text.to) for text in load.texts}
    for row in await rows(town.dsn, PAIRS):
        pair = row["address"], row["proxy_address"]
        if (row["open"], row["conversations"]) != (1, 1):
            wrong.append(f"the pair {pair}: {row['open']} open of {row['conversations']}")
        texted.discard(pair)
    wrong += [f"the pair {pair} has no conversation" for pair in texted]
    for row in await rows(town.dsn, INDICES):
        number = row["message_count"]
        seen = (row["messages"], row["indices"], (row["last"] or 0) + 1 if number else 0)
        if seen != (number, number, number) or row["first"] not in (0, None):
            wrong.append(f"indices of {row['sid']} have gaps: {dict(row)}")
        if row["participants"] == 0:
            wrong.append(f"{row['sid']} has nobody in it")
    return wrong


async def _receipts(town: Town) -> list[str]:
    """f) and g), and order: every send once, settled, and to each phone in the order of indices."""
    found = await rows(town.dsn, RECEIPTS)
    by_sid = {row["sid"]: row for row in found}
    wrong = [f"{reference} was delivered twice" for reference in town.world.records.doubles()]
    wrong += [
        f"{row['sid']} for index {row['index']} of {row['conversation_sid']} is missing"
        for row in await rows(town.dsn, MISSED)
    ]
    for row in found:
        wrong += _receipt(town, row)
    for address in town.world.records.phones():
        wrong += _order(town, address, by_sid)
    return wrong


def _receipt(town: Town, row: dict[str, object]) -> Iterator[str]:
    sid = str(row["sid"])
    end = "read" if row["channel"] == "whatsapp" else "delivered"
    if row["status"] != end:
        yield f"{sid} is {row['status']} ({row['error_code']}), not {end}"
    taken = town.world.records.referenced(sid)
    if not taken:
        yield f"{sid} ({row['body']}) never reached {row['address']}"
    elif taken[0].external_id != row["external_id"]:
        yield f"{sid} is called {row['external_id']}, the carrier says {taken[0].external_id}"
    for part in range(1, int(str(row["parts"]))):
        if not town.world.records.referenced(reference(sid, part)):
            yield f"part {part} of {sid} never reached {row['address']}"


def _order(town: Town, address: str, by_sid: dict[str, dict[str, object]]) -> Sequence[str]:
    """A phone got each conversation's messages in the order of their indices, and of each its
    parts one after the other."""
    last: dict[object, tuple[int, int]] = {}
    wrong = []
    for received in town.world.records.received_by(address):
        sid, part = referred(received.reference)
        row = by_sid.get(sid)
        if row is None:
            wrong.append(f"{address} got {received.reference}, which is no receipt")
            continue
        place = int(str(row["index"])), part
        before = last.get(row["conversation_sid"], (-1, 0))
        if place <= before or (part and place != (before[0], before[1] + 1)):
            wrong.append(f"{address} got {row['conversation_sid']} {place} after {before}")
        last[row["conversation_sid"]] = max(place, before)
    return wrong
