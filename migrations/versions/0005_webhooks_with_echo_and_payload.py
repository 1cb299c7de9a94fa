"""Webhooks with echo and payload.

Revision 0005, after 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "address_configurations",
        sa.Column("auto_webhook_echo", sa.Boolean(), server_default="false", nullable=False),
    )
    op.add_column(
        "address_configurations",
        sa.Column("auto_webhook_payload", sa.String(), server_default="twilio", nullable=False),
    )
    op.add_column(
        "scoped_webhooks", sa.Column("echo", sa.Boolean(), server_default="false", nullable=False)
    )
    op.add_column(
        "scoped_webhooks",
        sa.Column("payload", sa.String(), server_default="twilio", nullable=False),
    )
    op.create_index(
        "scoped_webhooks_echo", "scoped_webhooks", ["account_sid"], postgresql_where=sa.text("echo")
    )
    op.add_column(
        "webhook_configurations",
        sa.Column("echo", sa.Boolean(), server_default="false", nullable=False),
    )
    op.add_column(
        "webhook_configurations",
        sa.Column("payload", sa.String(), server_default="twilio", nullable=False),
    )
    op.create_index(
        "webhook_configurations_echo",
        "webhook_configurations",
        ["account_sid"],
        postgresql_where=sa.text("echo"),
    )


def downgrade() -> None:
    op.drop_index(
        "webhook_configurations_echo",
        table_name="webhook_configurations",
        postgresql_where=sa.text("echo"),
    )
    op.drop_column("webhook_configurations", "payload")
    op.drop_column("webhook_configurations", "echo")
    op.drop_index(
        "scoped_webhooks_echo", table_name="scoped_webhooks", postgresql_where=sa.text("echo")
    )
    op.drop_column("scoped_webhooks", "payload")
    op.drop_column("scoped_webhooks", "echo")
    op.drop_column("address_configurations", "auto_webhook_payload")
    op.drop_column("address_configurations", "auto_webhook_echo")
