"""decisions are found by their messages only: an index by conversation cost each message a page.

Revision 0024, after 0023.
"""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():  # the table is in use
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS decisions_conversation")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS decisions_conversation")
        op.execute(
            "CREATE INDEX CONCURRENTLY decisions_conversation ON decisions (conversation_sid, sid)"
        )
