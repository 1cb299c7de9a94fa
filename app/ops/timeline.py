"""From the rows that are kept to the entries of a timeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import orjson

from app.channels.address import masked
from app.clock import iso_millis
from app.model.flows import FLOW
from app.model.outbox import ASK, HOOK
from app.ops.hiding import hidden, person, plain_url
from app.rules.standing import expires_at
from app.store.trace import Found, Row

T = TypeVar("T")

NAMES: Mapping[str, str] = {HOOK: "hook", ASK: "pre-event", FLOW: "flow"}
"""What an attempt at an item is called, by its kind."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. what: received, rule, decided, conversation, joined, message,
    fan-out, attempt, hook, pre-event, flow, status, state, waiting, dead letter, early status."""

    at: datetime
    what: str
    details: Mapping[str, Any]


def entries(found: Found) -> Iterator[Entry]:
    """All entries; of those at one moment, what came first comes first."""
    for row in found.decisions:
        yield from _decision(row, steps=found.message_sid is not None or not found.conversation_sid)
    if not found.decisions:
        yield from (_entered(row) for row in found.entered)
    for row in found.conversation:
        yield from _conversation(row)
    yield from (_participant(row) for row in reversed(found.participants))
    yield from (_message(row) for row in reversed(found.messages))
    yield from (_receipt(row) for row in reversed(found.receipts))
    yield from (_attempt(row) for row in reversed(found.attempts))
    yield from (_status(row) for row in found.receipts if row["status"] != "queued")
    yield from (_early(row) for row in found.early)
    yield from (_dead(row) for row in found.dead)
    yield from (_waiting(row) for row in reversed(found.waiting))


def _decision(row: Row, *, steps: bool) -> Iterator[Entry]:
    at = row["received_at"]
    yield _entry(
        at,
        "received",
        carrier=row["carrier"],
        external_id=row["external_id"],
        address=masked(row["address"]),
        proxy_address=masked(row["proxy_address"]),
        signature=row["signature"],
        recovered=row["recovered"] or None,
        sent_at=_maybe(iso_millis, row["sent_at"]),
    )
    for rule, said in orjson.loads(row["said"]) if steps else ():
        yield _entry(at, "rule", rule=rule, said=said)
    yield _entry(
        at,
        "decided",
        rule=row["rule"],
        outcome=row["outcome"],
        reason=row["reason"],
        conversation_sid=row["conversation_sid"],
        message_sid=row["message_sid"],
    )


def _entered(row: Row) -> Entry:
    """An inbound whose decision is no longer kept."""
    return _entry(
        row["received_at"],
        "received",
        carrier=row["carrier"],
        external_id=row["external_id"],
        message_sid=row["message_sid"],
    )


def _conversation(row: Row) -> Iterator[Entry]:
    yield _entry(
        row["date_created"],
        "conversation",
        sid=row["sid"],
        chat_service_sid=row["chat_service_sid"],
    )
    if row["state_at"] != row["date_created"] or row["state"] != "active":
        due = row["next_timer_at"]
        timer = iso_millis(due) if due else None
        yield _entry(row["state_at"], "state", state=row["state"], next_timer=timer)


def _participant(row: Row) -> Entry:
    return _entry(
        row["date_created"],
        "joined",
        sid=row["sid"],
        identity=_maybe(person, row["identity"]),
        channel=row["channel"],
        address=_maybe(person, row["address"]),
        proxy_address=_maybe(person, row["proxy_address"]),
        messaging_window=_window(row),
        projected_address=_maybe(person, row["projected_address"]),
    )


def _window(row: Row) -> str | None:
    """Until when this person may be written to freely, or could be."""
    end = expires_at(row["channel"] or "chat", row["last_inbound_at"])
    return f"until {iso_millis(end)}" if end else None


def _message(row: Row) -> Entry:
    return _entry(
        row["date_created"],
        "message",
        sid=row["sid"],
        index=row["index"],
        author=_maybe(person, row["author"]),
        source=row["source"],
        characters=row["characters"],
        media=row["media"] or None,
    )


def _receipt(row: Row) -> Entry:
    return _entry(
        row["date_created"],
        "fan-out",
        sid=row["sid"],
        channel=row["channel"],
        address=masked(row["address"]),
        proxy_address=masked(row["proxy_address"]),
        carrier=row["carrier"] or None,
        dropped=row["dropped"],
        parts=row["parts_count"],
    )


def _status(row: Row) -> Entry:
    return _entry(
        row["date_updated"],
        "status",
        sid=row["sid"],
        status=row["status"],
        error_code=row["error_code"],
        error_message=_maybe(hidden, row["error_message"]),
        external_id=row["external_id"],
        channel_message_sid=row["channel_message_sid"],
    )


def _attempt(row: Row) -> Entry:
    return _entry(
        row["finished_at"],
        NAMES.get(row["kind"], "attempt"),
        number=row["number"],
        event=row["event"],
        target=_maybe(plain_url, row["target"]),
        sid=row["receipt_sid"],
        outcome=row["outcome"],
        status_code=row["status_code"],
        error_code=row["error_code"],
        detail=_maybe(hidden, row["detail"]),
        external_id=row["external_id"],
        segments=row["segments"],
        encoding=row["encoding"],
        took_s=round((row["finished_at"] - row["started_at"]).total_seconds(), 3),
    )


def _early(row: Row) -> Entry:
    return _entry(
        row["received_at"],
        "early status",
        carrier=row["carrier"],
        external_id=row["external_id"],
        status=row["status"],
        error_code=row["error_code"],
    )


def _dead(row: Row) -> Entry:
    return _entry(
        row["died_at"],
        "dead letter",
        kind=row["kind"],
        event=row["event"],
        target=_maybe(plain_url, row["url"]),
        sid=row["receipt_sid"],
        attempts=row["attempts"],
        reason=_maybe(hidden, row["reason"]),
    )


def _waiting(row: Row) -> Entry:
    """Something still to be done, at the time when it is due (for the head of a lane); held: its
    target is paused, or has all the places that it may have."""
    state = "behind others in its lane"
    if row["head"]:
        state = "under way" if row["leased"] else "held" if row["held"] else "due"
    return _entry(
        row["due"] if row["head"] else row["created_at"],
        "waiting",
        kind=row["kind"],
        state=state,
        event=row["event"],
        target=_maybe(plain_url, row["url"]),
        sid=row["receipt_sid"],
        attempts=row["attempts"],
        unknown_since=iso_millis(row["started_at"]) if row["started_at"] else None,
    )


def _entry(at: datetime, what: str, **details: Any) -> Entry:
    return Entry(at, what, {name: value for name, value in details.items() if value is not None})


def _maybe(shown: Callable[[T], str], given: T | None) -> str | None:
    return None if given is None else shown(given)
