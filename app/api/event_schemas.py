"""Schemas ("Schema Resource", Event Streams): what the data of each type of event looks like, as
JSON Schema."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.page import Listing
from app.api.scope import Links
from app.api.streaming import page_of
from app.store.slices import Key
from app.streams import schemas
from app.streams.types import BY_SCHEMA, TEST_SCHEMA, VERSIONS

PATH = "/Schemas"
VERSIONS_PATH = f"{PATH}/{{Id}}/Versions"

LISTING = Listing("schema_versions", (int,), size=50, size_max=1000)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One schema."""
    schema, versions = _named(call)
    url = call.links.account(f"{PATH}/{schema}")
    return {
        "id": schema,
        "latest_version": versions[-1],
        "latest_version_date_created": None,
        "url": url,
        "links": {"versions": f"{url}/Versions"},
    }


@takes()
async def page(call: Call) -> dict[str, Any]:
    """The versions of a schema."""
    schema, versions = _named(call)
    return page_of(call, LISTING, versions, _key, partial(show, schema, links=call.links))


@takes()
async def fetch_version(call: Call) -> dict[str, Any]:
    """One version."""
    return show(*_version(call), links=call.links)


@takes()
async def fetch_raw(call: Call) -> dict[str, Any]:
    """One version, as JSON Schema."""
    return schemas.document(*_version(call))


def show(schema: str, version: int, links: Links) -> dict[str, Any]:
    """A version as a resource."""
    url = links.account(f"{PATH}/{schema}/Versions/{version}")
    return {
        "id": schema,
        "schema_version": version,
        "date_created": None,
        "url": url,
        "raw": f"{url}/Raw",
    }


def _named(call: Call) -> tuple[str, Sequence[int]]:
    schema = call.key("Id")
    if schema == TEST_SCHEMA:
        return schema, VERSIONS[:1]
    if schema not in BY_SCHEMA:
        raise call.missing()
    return schema, VERSIONS


def _version(call: Call) -> tuple[str, int]:
    schema, versions = _named(call)
    version = kinds.whole(call.key("SchemaVersion"))
    if version is None or version not in versions:
        raise call.missing()
    return schema, version


def _key(version: int) -> Key:
    return (version,)
