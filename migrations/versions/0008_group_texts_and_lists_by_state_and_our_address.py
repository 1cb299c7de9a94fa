"""group texts and lists by state and our own address.

Revision 0008, after 0007.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "number_groups",
        sa.Column("conversation_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("numbers", sa.String()),
        sa.Column("open", sa.Boolean(), server_default="true", nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_sid"],
            ["conversations.sid"],
            name="number_groups_conversation_sid_fkey",
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("conversation_sid", name="number_groups_pkey"),
    )
    op.create_index(
        "number_groups_open",
        "number_groups",
        ["account_sid", "numbers"],
        unique=True,
        postgresql_where=sa.text("open"),
        postgresql_include=["conversation_sid"],
    )
    op.add_column(
        "conversations", sa.Column("grouped", sa.Boolean(), server_default="false", nullable=False)
    )
    op.drop_index(
        "conversations_open",
        table_name="conversations",
        postgresql_where="((state)::text <> 'closed'::text)",
    )
    op.create_index(
        "conversations_by_state",
        "conversations",
        [
            "chat_service_sid",
            "state",
            sa.literal_column("date_created DESC"),
            sa.literal_column("sid DESC"),
        ],
    )
    op.create_index(
        "participants_by_proxy",
        "participants",
        ["chat_service_sid", "proxy_address", "conversation_sid"],
        postgresql_where=sa.text("proxy_address IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "participants_by_proxy",
        table_name="participants",
        postgresql_where=sa.text("proxy_address IS NOT NULL"),
    )
    op.drop_index("conversations_by_state", table_name="conversations")
    op.create_index(
        "conversations_open",
        "conversations",
        [
            "chat_service_sid",
            "state",
            sa.literal_column("date_created DESC"),
            sa.literal_column("sid DESC"),
        ],
        postgresql_where="((state)::text <> 'closed'::text)",
    )
    op.drop_column("conversations", "grouped")
    op.drop_table("number_groups")
