"""Event types ("Event Types Resource", Event Streams): everything that can be subscribed to."""

from __future__ import annotations

from functools import partial
from typing import Any

from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.page import Listing
from app.api.scope import Links
from app.api.streaming import NO_TYPE, found, page_of
from app.store.slices import Key
from app.streams.types import LATEST, TYPES, EventType

PATH = "/Types"
SCHEMA_ID = kinds.text("SchemaId")

LISTING = Listing("types", (str,), size=50, size_max=1000)


@takes(SCHEMA_ID)
async def page(call: Call) -> dict[str, Any]:
    """The types, by name; all, or those of one schema."""
    schema = call.form.get(SCHEMA_ID)
    rows = [one for one in TYPES.values() if schema in (None, one.schema)]
    return page_of(call, LISTING, rows, _key, partial(show, links=call.links))


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One type."""
    return show(found(call, TYPES.get(call.key("Type")), NO_TYPE), call.links)


def show(kind: EventType, links: Links) -> dict[str, Any]:
    """The resource."""
    schema = links.account(f"/Schemas/{kind.schema}")
    return {
        "type": kind.type,
        "schema_id": kind.schema,
        "date_created": None,
        "date_updated": None,
        "description": kind.said,
        "status": "GA",
        "documentation_url": f"{schema}/Versions/{LATEST}/Raw",
        "url": links.account(f"{PATH}/{kind.type}"),
        "links": {"schema": schema},
    }


def _key(kind: EventType) -> Key:
    return (kind.type,)
