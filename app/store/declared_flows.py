"""The flows whose definitions the YAML names: another definition is another revision."""

from __future__ import annotations

from pathlib import Path

from app.model import Flow
from app.model.flows import PUBLISHED
from app.settings.models import FlowSettings, Settings
from app.settings.problems import dotted
from app.store import flows
from app.store.database import Tx

MESSAGE = "declared by the configuration"
DECLARE = "UPDATE flows SET declared_as = $2 WHERE sid = $1 AND declared_as IS DISTINCT FROM $2"
END = """
UPDATE flows SET declared_as = NULL
WHERE account_sid = $1 AND declared_as IS NOT NULL AND sid <> ALL ($2)
"""


async def declare(tx: Tx, settings: Settings) -> None:
    """Publish what the file says now of this account's flows. One that the file names no more
    stays, and is the API's from then on."""
    account_sid = settings.account.sid
    mine = {sid: one for sid, one in settings.flows.items() if one.file is not None}
    for sid, declared in sorted(mine.items()):
        await _flow(tx, account_sid, sid, declared)
        await tx.sql.execute(DECLARE, sid, dotted(("flows", sid)))
    await tx.sql.execute(END, account_sid, list(mine))


async def _flow(tx: Tx, account_sid: str, sid: str, declared: FlowSettings) -> None:
    name = declared.friendly_name or Path(declared.file or "").stem
    flow = await flows.find(tx, account_sid, sid, lock=True)
    if flow is None:
        flow = Flow(
            sid=sid,
            account_sid=account_sid,
            friendly_name=name,
            status=PUBLISHED,
            revision=0,
            commit_message=MESSAGE,
            date_created=tx.now,
            date_updated=tx.now,
        )
        flows.advanced(flow, PUBLISHED)
        await flows.add(tx, flow, declared.definition)
        return
    latest = await flows.revision(tx, flow, flow.revision)
    same = latest is not None and latest.definition == declared.definition
    if same and (flow.friendly_name, flow.published) == (name, flow.revision):
        return
    flow.friendly_name, flow.commit_message, flow.date_updated = name, MESSAGE, tx.now
    flows.advanced(flow, PUBLISHED)
    await flows.revise(tx, flow, declared.definition)
