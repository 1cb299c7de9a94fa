"""what is kept for a while: who wrote last, where that opens a session; keys of files.

Revision 0022, after 0021.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "files",
        sa.Column("sealed_by", sa.String(), server_default="", nullable=False),
        if_not_exists=True,
    )
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS messaging_windows_age")
        op.execute(
            "CREATE INDEX CONCURRENTLY messaging_windows_age ON messaging_windows (last_inbound_at)"
        )
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS files_sealed")
        op.execute("CREATE INDEX CONCURRENTLY files_sealed ON files (sealed_by, key)")


def downgrade() -> None:
    op.drop_index("files_sealed", table_name="files")
    op.drop_column("files", "sealed_by")
    op.drop_index("messaging_windows_age", table_name="messaging_windows")
