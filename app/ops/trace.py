"""The timeline of one message or conversation, by any SID or carrier's id.

For people who ask where a message went: addresses are masked, bodies are not shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from app.clock import iso_millis
from app.ops import timeline
from app.ops.render import table
from app.ops.timeline import Entry
from app.store import trace as store

ENTRIES_MAX = store.ENTRIES_MAX
_MESSAGE_ID = re.compile(r"^<([^<>]+)>(?=/|$)")
"""As a mail has it; it is kept without the brackets."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The last entries about `name`, by time; `more` when there were others before them."""

    name: str
    conversation_sid: str | None
    message_sid: str | None
    entries: tuple[Entry, ...]
    more: bool


async def trace(sql: asyncpg.Connection, name: str, account_sid: str | None = None) -> Trace | None:
    """What happened to the thing of this name; None when nothing is known of it, or (with an
    account) when it is not that account's."""
    name = _MESSAGE_ID.sub(r"\1", name.strip())
    found = await store.find(sql, name)
    if found is not None and account_sid is not None:
        found = found if account_sid in await store.owners(sql, found) else None
    entries = sorted(timeline.entries(found), key=lambda entry: entry.at) if found else []
    if found is None or not entries:
        return None
    more = found.more or len(entries) > ENTRIES_MAX
    last = tuple(entries[-ENTRIES_MAX:])
    return Trace(name, found.conversation_sid, found.message_sid, last, more)


def text(found: Trace) -> str:
    """The timeline for a terminal."""
    about = [f"message {found.message_sid}"] if found.message_sid else []
    about += [f"conversation {found.conversation_sid}"] if found.conversation_sid else []
    title = ", ".join(about) or f"the inbound {found.name}"
    rows = ((iso_millis(entry.at), entry.what, _told(entry.details)) for entry in found.entries)
    lines = [title, *table(rows)]
    if found.more:
        lines.append(f"Only the last {len(found.entries)} entries are shown.")
    return "\n".join(lines)


def as_json(found: Trace) -> dict[str, Any]:
    """The timeline for programs."""
    return {
        "name": found.name,
        "conversation_sid": found.conversation_sid,
        "message_sid": found.message_sid,
        "more": found.more,
        "entries": [
            {"at": iso_millis(entry.at), "what": entry.what, **entry.details}
            for entry in found.entries
        ],
    }


def _told(details: Mapping[str, Any]) -> str:
    if set(details) == {"rule", "said"}:
        return f"{details['rule']}: {details['said']}"
    return "  ".join(f"{name}={value}" for name, value in details.items())
