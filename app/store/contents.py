"""Questions about content templates and their approvals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Select, delete, select, update
from sqlmodel import SQLModel

from app import ids
from app.model import Content, ContentApproval
from app.model.contents import RECEIVED
from app.model.traffic import ApprovalRequest, ApprovalStatus, ContentTemplate, Review
from app.store.database import Tx
from app.store.slices import Key, Slice, cut

CONTENTS = SQLModel.metadata.tables["contents"]
APPROVALS = SQLModel.metadata.tables["content_approvals"]
C = CONTENTS.c

CHANGEABLE = {"friendly_name", "language", "variables", "types", "carriers", "date_updated"}
CHANGEABLE |= {"ask_at"}
JUDGED = {"name", "category", "content_type", "status", "rejection_reason", "date_updated"}

TEMPLATE_OF = """(SELECT json_build_array(t.sid, t.language, t.types, t.variables, t.carriers,
    a.status, a.content_type, a.name)::text
  FROM contents t LEFT JOIN content_approvals a ON a.content_sid = t.sid
  WHERE t.sid = m.content_sid AND t.account_sid = m.account_sid)"""
"""The template that a message `m` was made of, as `template` reads it."""

DECIDED = """
UPDATE content_approvals a SET status = $4, rejection_reason = $5, date_updated = $6
FROM contents t
WHERE a.name = $1 AND a.content_sid = t.sid AND replace(t.language, '-', '_') = ANY ($2::text[])
  AND a.account_sid = ANY ($3::text[]) AND a.status <> $4 AND a.declared_as IS NULL
"""


DUE = """
WITH due AS (
  SELECT sid FROM contents WHERE carriers <> '{}'::jsonb AND ask_at <= $1
  ORDER BY ask_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE contents t SET ask_at = $2
FROM due d LEFT JOIN content_approvals a ON a.content_sid = d.sid
WHERE t.sid = d.sid
RETURNING t.sid, t.types::text, t.carriers::text, a.status, a.name, a.category,
  a.allow_category_change, a.declared_as
"""
REVIEWED = """
INSERT INTO content_approvals AS a (content_sid, account_sid, name, category, content_type, status,
  rejection_reason, allow_category_change, date_created, date_updated)
SELECT sid, account_sid, $2, $3, $4, $5, $6, $7, $8, $8 FROM contents WHERE sid = $1
ON CONFLICT (content_sid) DO UPDATE SET status = excluded.status,
  rejection_reason = excluded.rejection_reason, date_updated = excluded.date_updated
WHERE a.declared_as IS NULL
  AND (a.status, a.rejection_reason) <> (excluded.status, excluded.rejection_reason)
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A template that its carriers are asked about: what they call it, its types, and how its
    approval stands here (None: it has none). `request`: it was submitted here and nothing came of
    that yet. `declared`: the file says how it stands. `until`: nobody else asks before."""

    sid: str
    until: datetime
    names: Mapping[str, Mapping[str, str]]
    types: Mapping[str, Mapping[str, Any]]
    request: ApprovalRequest | None
    declared: bool


async def find(tx: Tx, account_sid: str, sid: str, *, lock: bool = False) -> Content | None:
    """The template of this account with this SID; locked for a change."""
    if not ids.is_sid(sid, ids.CONTENT):
        return None
    statement = _within(account_sid).where(C.sid == ids.lowered(sid))
    if lock:
        statement = statement.with_for_update(key_share=True)
    return await tx.first(Content, statement)


async def page(tx: Tx, account_sid: str, wanted: Slice) -> list[Content]:
    """A slice of an account's templates, in the order in which they were made."""
    return await tx.every(Content, cut(_within(account_sid), (C.sid,), wanted))


def key(content: Content) -> Key:
    """Its place in `page`."""
    return (content.sid,)


async def write(tx: Tx, content: Content) -> None:
    """Keep what changed in a locked template."""
    changed = content.model_dump(include=CHANGEABLE)
    await tx.run(update(CONTENTS).where(C.sid == content.sid).values(changed))


async def remove(tx: Tx, sid: str) -> int:
    """Delete a template with its approval; gives how many there were."""
    return await tx.run(delete(CONTENTS).where(C.sid == sid))


async def approvals(tx: Tx, content_sids: Sequence[str]) -> dict[str, ContentApproval]:
    """The approvals of these templates, by SID; one that was never submitted has none."""
    statement = select(APPROVALS).where(APPROVALS.c.content_sid.in_(content_sids))
    return {one.content_sid: one for one in await tx.every(ContentApproval, statement)}


async def judge(tx: Tx, approval: ContentApproval, *, known: bool) -> None:
    """Keep the approval of a locked template; `known` says whether it has one already. Its carriers
    are asked soon."""
    of = C.sid == approval.content_sid
    await tx.run(update(CONTENTS).where(of).values(ask_at=tx.now))
    if not known:
        await tx.add(approval)
        return
    changed = approval.model_dump(include=JUDGED)
    known_by = APPROVALS.c.content_sid == approval.content_sid
    await tx.run(update(APPROVALS).where(known_by).values(changed))


async def decided(tx: Tx, accounts: Sequence[str], found: Sequence[ApprovalStatus]) -> None:
    """Keep what WhatsApp decided on templates of these accounts. What the YAML says of one stays;
    a language without its country is meant, too (`en_US` is our `en`)."""
    for one in sorted(found, key=lambda one: one.name):
        whole = one.language.replace("-", "_")
        languages = [whole, whole.partition("_")[0]]
        await tx.sql.execute(DECIDED, one.name, languages, accounts, one.status, one.reason, tx.now)


async def due(tx: Tx, lease_s: float, count: int) -> list[Asked]:
    """Templates that carriers may be asked about now; nobody else asks until the lease is over."""
    found, until = [], _in(tx, lease_s)
    for row in await tx.sql.fetch(DUE, tx.now, until, count):
        sid, types, names, status, name, category, changing, declared_as = row
        declared = declared_as is not None
        request = ApprovalRequest(name, category, changing) if status == RECEIVED else None
        wanted = None if declared else request
        found.append(Asked(sid, until, orjson.loads(names), orjson.loads(types), wanted, declared))
    return found


async def reviewed(tx: Tx, sid: str, kind: str, review: Review) -> bool:
    """Keep what WhatsApp thinks of a template, of its type `kind`; whether that is news. What the
    YAML says of one stays."""
    said = await tx.sql.execute(
        REVIEWED,
        sid,
        review.name,
        review.category,
        kind,
        review.status,
        review.reason,
        review.allow_category_change,
        tx.now,
    )
    return bool(said != "INSERT 0 0")


async def ask_again(tx: Tx, one: Asked, wait_s: float) -> None:
    """When a template is asked about next: earlier, if there was a reason meanwhile."""
    mine = C.sid == one.sid, C.ask_at == one.until
    await tx.run(update(CONTENTS).where(*mine).values(ask_at=_in(tx, wait_s)))


async def forget_approval(tx: Tx, content_sid: str) -> None:
    """The template is another one than what was submitted."""
    await tx.run(delete(APPROVALS).where(APPROVALS.c.content_sid == content_sid))


def template(text: str | None, variables: str | None) -> ContentTemplate | None:
    """What TEMPLATE_OF gave, with the variables that the message keeps as it was sent them."""
    if text is None:
        return None
    sid, language, types, samples, names, status, kind, name = orjson.loads(text)
    given: dict[str, str] = orjson.loads(variables) if variables else {}
    return ContentTemplate(
        sid=sid,
        language=language,
        types=types,
        samples=samples,
        variables=given,
        approval=status or "unsubmitted",
        approved_type=kind or "",
        approved_name=name or "",
        names=names,
    )


def as_template(
    content: Content, approval: ContentApproval | None, variables: dict[str, str]
) -> ContentTemplate:
    """A template as a new message is made of it."""
    return ContentTemplate(
        sid=content.sid,
        language=content.language,
        types=content.types,
        samples=content.variables,
        variables=variables,
        approval=approval.status if approval else "unsubmitted",
        approved_type=approval.content_type if approval else "",
        approved_name=approval.name if approval else "",
        names=content.carriers,
    )


def _in(tx: Tx, seconds: float) -> datetime:
    return tx.now + timedelta(seconds=seconds)


def _within(account_sid: str) -> Select[Any]:
    return select(CONTENTS).where(C.account_sid == account_sid)
