"""Decisions are found by their message.

Revision 0002, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("decisions_external", table_name="decisions")
    op.create_index(
        "decisions_without_message",
        "decisions",
        ["carrier", "external_id"],
        postgresql_where=sa.text("message_sid IS NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "decisions_without_message",
        table_name="decisions",
        postgresql_where=sa.text("message_sid IS NULL"),
    )
    op.create_index("decisions_external", "decisions", ["carrier", "external_id"])
