"""copies of group texts.

Revision 0012, after 0011.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decisions", sa.Column("digest", sa.Text(collation="C")), if_not_exists=True)
    # The table may be large: its index is made while it is in use. What is above is committed here.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS decisions_digest")
        op.execute(
            "CREATE INDEX CONCURRENTLY decisions_digest ON decisions (digest)"
            " WHERE digest IS NOT NULL"
        )


def downgrade() -> None:
    op.drop_index(
        "decisions_digest", table_name="decisions", postgresql_where=sa.text("digest IS NOT NULL")
    )
    op.drop_column("decisions", "digest")
