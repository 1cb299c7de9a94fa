"""Pre-event webhooks decide.

Revision 0003, after 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "webhook_configurations",
        sa.Column("pre_on_timeout", sa.String(), server_default="open", nullable=False),
    )
    op.add_column(
        "webhook_configurations",
        sa.Column("pre_timeout_ms", sa.Integer(), server_default="5000", nullable=False),
    )


def downgrade() -> None:
    op.drop_column("webhook_configurations", "pre_timeout_ms")
    op.drop_column("webhook_configurations", "pre_on_timeout")
