"""Approval requests of content templates: what WhatsApp is to think, and thinks, of one.

Who really decides is WhatsApp, and its word comes by its carrier. Where that is somebody else's
business, `status` (ours) says in the request what was decided.
"""

from __future__ import annotations

from typing import Any

from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.contents import PATH, named, show_approval
from app.api.declared import owned
from app.errors import Conflict
from app.model import ContentApproval
from app.model.contents import APPROVAL_STATUSES, CATEGORIES, RECEIVED, REJECTED, UNSUBMITTED
from app.rules.approvals import approvable, is_template_name, objection
from app.store import contents

SUBMITTED = 20409
REASON_CHARS_MAX = 1024


def _name(value: Any) -> str:
    if not isinstance(value, str) or not is_template_name(value):
        raise ValueError
    return value


def _word(value: Any, words: tuple[str, ...]) -> str:
    if value not in words:
        raise ValueError
    return str(value)


def _reason(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value or len(value) > REASON_CHARS_MAX:
        raise ValueError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


NAME = kinds.member("name", _name, {"type": "string"}).needed()
CATEGORY = kinds.member(
    "category", lambda value: _word(value, CATEGORIES), {"type": "string", "enum": [*CATEGORIES]}
).needed()
STATUS = kinds.member(
    "status",
    lambda value: _word(value, APPROVAL_STATUSES),
    {"type": "string", "enum": [*APPROVAL_STATUSES]},
)
REASON = kinds.member("rejection_reason", _reason, {"type": "string"})
CHANGING = kinds.member("allow_category_change", _flag, {"type": "boolean"})


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """What WhatsApp thinks of a template."""
    async with call.begin() as (tx, scope):
        content = await named(call, tx, scope.account_sid)
        approval = (await contents.approvals(tx, [content.sid])).get(content.sid)
    return {
        "sid": content.sid,
        "account_sid": content.account_sid,
        "whatsapp": {"type": "whatsapp", **show_approval(approval)},
        "url": call.links.account(f"{PATH}/{content.sid}/ApprovalRequests"),
    }


@takes(NAME, CATEGORY, STATUS, REASON, CHANGING, json=True)
async def create(call: Call) -> dict[str, Any]:
    """Submit a template, or say what became of it. What WhatsApp would surely refuse is rejected at
    once, with the reason."""
    form = call.form
    async with call.begin() as (tx, scope):
        content = await named(call, tx, scope.account_sid, lock=True)
        before = (await contents.approvals(tx, [content.sid])).get(content.sid)
        if before is not None and before.declared_as is not None:
            raise owned("This approval", before.declared_as)
        if STATUS not in form and before and before.status not in (UNSUBMITTED, REJECTED):
            raise Conflict(SUBMITTED, f"The template was submitted before: it is {before.status}")
        against = objection(content.types)
        approval = ContentApproval(
            content_sid=content.sid,
            account_sid=content.account_sid,
            name=form[NAME],
            category=form[CATEGORY],
            content_type=approvable(content.types),
            status=form.get(STATUS) or (REJECTED if against else RECEIVED),
            rejection_reason=form.get(REASON, "" if STATUS in form else against),
            allow_category_change=form.get(CHANGING, True),
            date_created=tx.now,
            date_updated=tx.now,
        )
        await contents.judge(tx, approval, known=before is not None)
    return show_approval(approval)
