"""Accounts that are asked.

Revision 0004, after 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "webhook_configurations_asking",
        "webhook_configurations",
        ["account_sid"],
        postgresql_where=sa.text("pre_url IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "webhook_configurations_asking",
        table_name="webhook_configurations",
        postgresql_where=sa.text("pre_url IS NOT NULL"),
    )
