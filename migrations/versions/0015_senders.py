"""Senders: who was given which, how fast they are by country, and carriers that fail.

Revision 0015, after 0014.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sticky_senders",
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("messaging_service_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "account_sid", "messaging_service_sid", "address", name="sticky_senders_pkey"
        ),
    )
    op.create_table(
        "carrier_pauses",
        sa.Column("carrier", sa.Text(collation="C"), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("pauses", sa.Integer(), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("probe", sa.Text(collation="C")),
        sa.PrimaryKeyConstraint("carrier", name="carrier_pauses_pkey"),
    )
    op.create_table(
        "sender_paces",
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("country", sa.String(), nullable=False),
        sa.Column("next_slot_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_sid", "address", "country", name="sender_paces_pkey"),
    )


def downgrade() -> None:
    # The release before looks at no deliveries that are held.
    op.execute(
        "UPDATE lanes SET kind = 'delivery', endpoint = NULL"
        " WHERE kind = 'held' AND endpoint >= 'd:' AND endpoint < 'd;'"
    )
    op.drop_table("sender_paces")
    op.drop_table("carrier_pauses")
    op.drop_table("sticky_senders")
