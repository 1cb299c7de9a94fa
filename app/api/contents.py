"""Content templates (the original's Content API, docs/45): what messages are made of.

They belong to the account; their requests are JSON."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from app import ids
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.declared import owned
from app.api.page import Listing
from app.api.scope import Links
from app.carriers.contract import Reviewing
from app.clock import iso_seconds
from app.errors import Invalid
from app.model import Content, ContentApproval
from app.model.contents import UNSUBMITTED
from app.settings import content_types
from app.settings.content_types import BAD_FIELD, NO_LANGUAGE, NO_TYPES
from app.store import contents
from app.store.database import Tx

PATH = "/Content"
APPROVALS_PATH, LEGACY_PATH = "/ContentAndApprovals", "/LegacyContent"
FRIENDLY_NAME_CHARS_MAX = 256
CARRIERS_MAX = 50
CALLED = {"sid": 64, "name": 512, "language": 20}
"""How a carrier may call a template, and how long that may be."""
OBJECT: Mapping[str, Any] = {"type": "object"}


def _friendly_name(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value or len(value) > FRIENDLY_NAME_CHARS_MAX:
        raise ValueError
    return value


def _carriers(value: Any) -> dict[str, dict[str, str]]:
    """What carriers of the YAML call the template: {"twilio": {"sid": "HX..."}}."""
    if not isinstance(value, dict) or len(value) > CARRIERS_MAX:
        raise ValueError
    return {name: _called(called) for name, called in value.items() if _plain(name, 64)}


def _called(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not value or not set(value) <= set(CALLED):
        raise ValueError
    return {name: text for name, text in value.items() if _plain(text, CALLED[name])}


def _plain(value: Any, longest: int) -> bool:
    if not isinstance(value, str) or not value or "\x00" in value or len(value) > longest:
        raise ValueError
    return True


FRIENDLY_NAME = kinds.member("friendly_name", _friendly_name, {"type": "string"})
LANGUAGE = kinds.member("language", content_types.check_language, {"type": "string"})
VARIABLES = kinds.member(
    "variables",
    content_types.check_samples,
    {**OBJECT, "additionalProperties": {"type": "string"}},
)
TYPES = kinds.member("types", content_types.check_types, OBJECT)
CARRIERS = kinds.member("carriers", _carriers, OBJECT)
FIELDS = (FRIENDLY_NAME, LANGUAGE, VARIABLES, TYPES, CARRIERS)

LISTING = Listing("contents", (str,), size=50, size_max=1000)


@takes()
async def page(call: Call) -> dict[str, Any]:
    """The account's templates, in the order in which they were made."""
    wanted = call.wanted(LISTING)
    async with call.begin() as (tx, scope):
        rows = await contents.page(tx, scope.account_sid, wanted.slice)
    return wanted.answer(rows, contents.key, partial(show, links=call.links))


@takes(*FIELDS, json=True)
async def create(call: Call) -> dict[str, Any]:
    """A new template."""
    form = call.form
    if LANGUAGE not in form:
        raise Invalid(NO_LANGUAGE, "language is missing")
    async with call.begin() as (tx, scope):
        content = Content(
            sid=ids.new(ids.CONTENT),
            account_sid=scope.account_sid,
            friendly_name=form.get(FRIENDLY_NAME),
            language=form[LANGUAGE],
            variables=form.get(VARIABLES, {}),
            types=_types(call),
            carriers=_called_there(call) or {},
            ask_at=tx.now,
            date_created=tx.now,
            date_updated=tx.now,
        )
        await tx.add(content)
    return show(content, call.links)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One template."""
    async with call.begin() as (tx, scope):
        content = await named(call, tx, scope.account_sid)
    return show(content, call.links)


@takes(*FIELDS, json=True)
async def replace(call: Call) -> dict[str, Any]:
    """Give a template other types, and another name, language or samples if they are sent. When
    other words come of it, what was submitted for approval counts no more."""
    form, types, called = call.form, _types(call), _called_there(call)
    async with call.begin() as (tx, scope):
        content = await named(call, tx, scope.account_sid, lock=True)
        _check_ours(content)
        before = content.types, content.language
        content.types = types
        content.language = form.get(LANGUAGE, content.language)
        content.friendly_name = form.get(FRIENDLY_NAME, content.friendly_name)
        content.variables = form.get(VARIABLES, content.variables)
        content.carriers = content.carriers if called is None else called
        content.ask_at = content.date_updated = tx.now
        await contents.write(tx, content)
        if before != (content.types, content.language):
            await contents.forget_approval(tx, content.sid)
    return show(content, call.links)


@takes()
async def delete(call: Call) -> None:
    """Delete a template; messages that were made of it stay."""
    async with call.begin() as (tx, scope):
        content = await named(call, tx, scope.account_sid, lock=True)
        _check_ours(content)
        await contents.remove(tx, content.sid)


@takes()
async def page_with_approvals(call: Call) -> dict[str, Any]:
    """The account's templates, with what WhatsApp thinks of them."""
    wanted = call.wanted(LISTING)
    async with call.begin() as (tx, scope):
        rows = await contents.page(tx, scope.account_sid, wanted.slice)
        approvals = await contents.approvals(tx, [row.sid for row in rows])

    def shown(content: Content) -> dict[str, Any]:
        return {
            **_shown(content),
            "approval_requests": show_approval(approvals.get(content.sid)),
        }

    return wanted.answer(rows, contents.key, shown)


@takes()
async def page_legacy(call: Call) -> dict[str, Any]:
    """Templates from before there was a Content API: none was ever made here."""
    return call.wanted(LISTING).answer([], contents.key, _shown)


async def named(call: Call, tx: Tx, account_sid: str, *, lock: bool = False) -> Content:
    """The template that the path leads to. Raises NotFound."""
    return call.found(await contents.find(tx, account_sid, call.key("Sid"), lock=lock))


def show(content: Content, links: Links) -> dict[str, Any]:
    """The resource."""
    url = links.account(f"{PATH}/{content.sid}")
    return {
        **_shown(content),
        "url": url,
        "links": {
            "approval_create": f"{url}/ApprovalRequests/whatsapp",
            "approval_fetch": f"{url}/ApprovalRequests",
        },
    }


def show_approval(approval: ContentApproval | None) -> dict[str, Any]:
    """An approval request; of what was never submitted, that it was not."""
    return {
        "name": approval.name if approval else "",
        "category": approval.category if approval else "",
        "content_type": approval.content_type if approval else "",
        "status": approval.status if approval else UNSUBMITTED,
        "rejection_reason": approval.rejection_reason if approval else "",
        "allow_category_change": approval.allow_category_change if approval else True,
    }


def _shown(content: Content) -> dict[str, Any]:
    return {
        "sid": content.sid,
        "account_sid": content.account_sid,
        "friendly_name": content.friendly_name,
        "language": content.language,
        "variables": content.variables,
        "types": content.types,
        "date_created": iso_seconds(content.date_created),
        "date_updated": iso_seconds(content.date_updated),
    }


def _types(call: Call) -> dict[str, Any]:
    types = call.form.get(TYPES)
    if types is None:
        raise Invalid(NO_TYPES, "types names no content type")
    return types


def _called_there(call: Call) -> dict[str, dict[str, str]] | None:
    """What carriers call it, where that is sent. Raises Invalid for what a carrier of the YAML can
    call nothing so."""
    given = call.form.get(CARRIERS)
    for name, names in (given or {}).items():
        carrier = call.runtime.carriers.get(name)
        wrong = carrier.misnamed(names) if isinstance(carrier, Reviewing) else None
        if wrong is not None:
            raise Invalid(BAD_FIELD, f"carriers.{name}.{wrong}")
    return given


def _check_ours(content: Content) -> None:
    if content.declared_as is not None:
        raise owned("This content template", content.declared_as)
