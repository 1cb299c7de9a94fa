"""Alembic's way in: runs revisions on the connection that app/store/schema.py hands over.

The alembic command line, which hands over none, runs them on PARLEY_DATABASE_URL.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection
from sqlmodel import SQLModel

import app.model  # noqa: F401 - fills the metadata


def run(connection: Connection) -> None:
    """Run what alembic was asked for, one transaction per revision."""
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=True,
        render_item=_render,
        user_module_prefix="sa.",
        on_version_apply=context.config.attributes.get("on_version_apply"),
    )
    with context.begin_transaction():
        context.run_migrations()


def _render(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """SQLModel's text type is `sa.String()` in a revision: revisions depend on no model."""
    if kind == "type" and type(item).__module__.startswith("sqlmodel"):
        return "sa.String()"
    return False


async def _run_by_hand() -> None:
    from app.store import schema

    async with schema.connection(os.environ["PARLEY_DATABASE_URL"]) as connection:
        await connection.run_sync(run)


handed_over = context.config.attributes.get("connection")
if handed_over is None:
    asyncio.run(_run_by_hand())
else:
    run(handed_over)
