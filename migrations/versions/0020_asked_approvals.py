"""Approvals that carriers are asked for: when a template is asked about next.

Revision 0020, after 0019.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "contents",
        sa.Column(
            "ask_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        if_not_exists=True,
    )
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS contents_asked")
        op.execute(
            "CREATE INDEX CONCURRENTLY contents_asked ON contents (ask_at)"
            " WHERE carriers <> '{}'::jsonb"
        )


def downgrade() -> None:
    op.drop_index("contents_asked", table_name="contents")
    op.drop_column("contents", "ask_at")
