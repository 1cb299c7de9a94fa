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
    op.drop_index("decisions_conversation", table_name="decisions", if_exists=True)


def downgrade() -> None:
    op.create_index(
        "decisions_conversation", "decisions", ["conversation_sid", "sid"], if_not_exists=True
    )
