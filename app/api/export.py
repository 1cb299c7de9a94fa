"""A whole conversation to take away (ours; the conversation's `export` link): who is in it and
every message, as JSON lines, CSV or mbox.

It is read in pages and written as it is read: memory does not grow with the conversation, and who
reads slowly keeps no transaction open. Messages that are added meanwhile are left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web

from app.api import conversations, participants
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.export_formats import CSV, MBOX, Format, JsonLines
from app.api.forms import INVALID
from app.api.messages import resources
from app.api.parent import named
from app.model import Conversation
from app.observe import Failed
from app.store import messages
from app.store import participants as members
from app.store.database import Tx
from app.store.slices import Slice

ROWS_MAX = 200  # of a page

FORMATS: Mapping[str, type[Format]] = {"jsonl": JsonLines, "csv": CSV, "mbox": MBOX}
BY_TYPE = {made.content_type: made for made in FORMATS.values()}
FORMAT = kinds.choice("Format", {name: name for name in FORMATS}, INVALID, "Invalid Format")


@takes(FORMAT)
async def fetch(call: Call) -> web.StreamResponse:
    """The conversation in the format that `Format` or the Accept header asks for: JSON lines."""
    async with call.begin() as (tx, scope):
        conversation = await named(call, tx, scope)
        written = _format(call)(conversations.show(conversation, call.links))
    response = web.StreamResponse(headers={"Content-Disposition": _disposition(written)})
    response.content_type, response.charset = written.content_type, "utf-8"
    await response.prepare(call.request)
    try:
        async for chunk in _chunks(call, conversation, written):
            await response.write(chunk)
        await response.write_eof()
    except Exception as error:  # the answer has begun: all that can be said is that it broke off
        if not isinstance(error, ConnectionError):
            call.runtime.observe(Failed("api GET export", error))
        if call.request.transport is not None:
            call.request.transport.abort()
    return response


async def _chunks(call: Call, conversation: Conversation, written: Format) -> AsyncIterator[bytes]:
    """The export, page by page."""
    yield written.head()
    mark: tuple[str | int, ...] | None = None
    more = True
    while more:
        async with call.transaction() as tx:
            people = await members.page(tx, conversation.sid, Slice(ROWS_MAX, mark))
        more, people = len(people) > ROWS_MAX, people[:ROWS_MAX]
        mark = (people[-1].sid,) if people else mark
        shown = [participants.show(one, call.links) for one in people]
        yield b"".join(map(written.participant, shown))
    yield written.between()
    mark, more = None, True
    while more:
        async with call.transaction() as tx:
            said, mark, more = await _messages(call, tx, conversation, mark)
        yield b"".join(map(written.message, said))


async def _messages(
    call: Call, tx: Tx, conversation: Conversation, mark: tuple[str | int, ...] | None
) -> tuple[list[dict[str, Any]], tuple[str | int, ...] | None, bool]:
    """The next messages, the mark of the last of them, and whether there are more."""
    rows = await messages.page(tx, conversation.sid, Slice(ROWS_MAX, mark), descending=False)
    more, rows = len(rows) > ROWS_MAX, rows[:ROWS_MAX]
    kept = [row for row in rows if row.index < conversation.message_count]
    found = await resources(tx, kept, call.links)
    extra = {row.sid: {"subject": row.subject, "source": row.source} for row in kept}
    said = [shown | extra[sid] for sid, shown in found.items()]
    return said, (rows[-1].index,) if rows else mark, more and len(kept) == len(rows)


def _format(call: Call) -> type[Format]:
    if FORMAT in call.form:
        return FORMATS[call.form[FORMAT]]
    for accepted in call.request.headers.get("Accept", "").split(","):
        found = BY_TYPE.get(accepted.partition(";")[0].strip().lower())
        if found is not None:
            return found
    return JsonLines


def _disposition(written: Format) -> str:
    return f'attachment; filename="{written.conversation["sid"]}.{written.extension}"'
