"""Searching messages (ours: the original cannot be asked): `GET /Messages/Search?Query=`."""

from __future__ import annotations

from html import escape
from typing import Any

from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.forms import INVALID
from app.api.messages import resources
from app.api.page import Listing
from app.errors import Invalid, NotFound
from app.store import conversations, search
from app.store.search import START, STOP, Search

QUERY_CHARS_MAX = 1024
MARKS = {START: "<em>", STOP: "</em>"}


def _query(text: str) -> str:
    if not 0 < len(text) <= QUERY_CHARS_MAX:
        raise ValueError
    return text


QUERY = kinds.text("Query", _query).needed()
CONVERSATION = kinds.text("ConversationSid")
AUTHOR = kinds.text("Author")

LISTING = Listing("messages", (str,), size=50, size_max=100)


@takes(QUERY, CONVERSATION, AUTHOR)
async def page(call: Call) -> dict[str, Any]:
    """The messages that say this, newest first, each with a `highlight`."""
    async with call.begin() as (tx, scope):
        form, wanted = call.form, call.wanted(LISTING)
        query, inside = form[QUERY], None
        if await search.is_empty(tx, query):
            raise Invalid(INVALID, f"Invalid {QUERY.name}: it names no word to look for")
        if CONVERSATION in form:
            inside = await conversations.find(tx, scope, form[CONVERSATION])
            if inside is None:
                raise NotFound(50350, "Conversation not found")
        looked_for = Search(query, inside.sid if inside else None, form.get(AUTHOR))
        rows = await search.page(tx, scope, looked_for, wanted.slice)
        found = await resources(tx, rows, call.links)
        marked = await search.highlights(tx, query, list(found))
    return wanted.answer(
        rows, search.key, lambda row: found[row.sid] | {"highlight": _html(marked[row.sid])}
    )


def _html(text: str) -> str:
    """The text as HTML, in which what was found is emphasised: what people write is no markup."""
    said = escape(text)
    for mark, tag in MARKS.items():
        said = said.replace(mark, tag)
    return said
