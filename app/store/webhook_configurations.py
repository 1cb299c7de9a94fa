"""Questions about the webhooks of an account, or of one of its services."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import SQLModel

from app.model import WebhookConfiguration
from app.store.database import Tx

CONFIGURATIONS = SQLModel.metadata.tables["webhook_configurations"]
W = CONFIGURATIONS.c

SCOPE = (W.account_sid, text("coalesce(chat_service_sid, '')"))
CHANGEABLE = {"pre_url", "pre_on_timeout", "pre_timeout_ms", "echo", "payload"}
CHANGEABLE |= {"post_url", "method", "filters", "date_updated"}


async def find(tx: Tx, account_sid: str, service_sid: str | None) -> WebhookConfiguration | None:
    """What is configured for this service (None: for the account)."""
    return await tx.first(WebhookConfiguration, _named(account_sid, service_sid))


async def claim(tx: Tx, fresh: WebhookConfiguration) -> WebhookConfiguration:
    """What is configured in this place, locked for a change; `fresh` when nothing was."""
    statement = insert(CONFIGURATIONS).values(fresh.model_dump())
    await tx.run(statement.on_conflict_do_nothing(index_elements=SCOPE))
    named = _named(fresh.account_sid, fresh.chat_service_sid).with_for_update()
    found = await tx.first(WebhookConfiguration, named)
    assert found is not None
    return found


async def write(tx: Tx, configuration: WebhookConfiguration) -> None:
    """Keep what changed in a locked configuration."""
    changed = configuration.model_dump(include=CHANGEABLE)
    await tx.run(update(CONFIGURATIONS).where(W.sid == configuration.sid).values(changed))


def _named(account_sid: str, service_sid: str | None) -> Select[Any]:
    # The unique index is on this expression.
    place = func.coalesce(W.chat_service_sid, text("''"))
    return select(CONFIGURATIONS).where(W.account_sid == account_sid, place == (service_sid or ""))
