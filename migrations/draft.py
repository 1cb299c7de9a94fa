"""Writes the next revision: what the models say and the revisions so far do not.

    python -m migrations.draft "what changes"

Works in a checkout, on a throwaway embedded PostgreSQL. Read what it wrote: autogenerate sees no
renames, and a revision must run while the previous release works on the database.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from app.store import embedded, schema

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


async def draft(message: str) -> None:
    """Write the revision; alembic says where."""
    with tempfile.TemporaryDirectory(prefix="parley-draft-") as folder:
        server = await embedded.start(Path(folder))
        try:
            async with schema.connection(server.dsn) as connection:
                await connection.run_sync(_draft, message)
        finally:
            await server.stop()


def _draft(connection: Connection, message: str) -> None:
    config = Config(toml_file=PYPROJECT)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    number = f"{len(schema.revisions()) + 1:04}"
    command.revision(config, message, autogenerate=True, rev_id=number)


if __name__ == "__main__":
    asyncio.run(draft(sys.argv[1]))
