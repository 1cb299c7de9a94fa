"""what is kept for a while: when somebody last wrote, where that opens a session.

Revision 0020, after 0019.
"""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS messaging_windows_age")
        op.execute(
            "CREATE INDEX CONCURRENTLY messaging_windows_age ON messaging_windows (last_inbound_at)"
        )


def downgrade() -> None:
    op.drop_index("messaging_windows_age", table_name="messaging_windows")
