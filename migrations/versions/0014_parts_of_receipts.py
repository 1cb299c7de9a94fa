"""parts of receipts.

Revision 0014, after 0013.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("receipts", sa.Column("parts", JSONB()), if_not_exists=True)
    # The table may be large: its index is made while it is in use. What is above is committed here.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS receipts_parts")
        op.execute(
            "CREATE INDEX CONCURRENTLY receipts_parts ON receipts USING gin (parts jsonb_path_ops)"
            " WITH (fastupdate = off) WHERE parts IS NOT NULL"
        )


def downgrade() -> None:
    op.drop_index(
        "receipts_parts", table_name="receipts", postgresql_where=sa.text("parts IS NOT NULL")
    )
    op.drop_column("receipts", "parts")
