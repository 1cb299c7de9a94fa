"""Event streams.

Revision 0007, after 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stream_events",
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("type", sa.Text(collation="C"), nullable=False),
        sa.Column("about", sa.Text(collation="C"), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("logged_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_sid", "position", name="stream_events_pkey"),
    )
    op.create_table(
        "stream_heads",
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("account_sid", name="stream_heads_pkey"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "stream_intake",
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("type", sa.Text(collation="C"), nullable=False),
        sa.Column("about", sa.Text(collation="C"), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("serial", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.PrimaryKeyConstraint("serial", name="stream_intake_pkey"),
    )
    op.create_table(
        "stream_losses",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("sink_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("subscription_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("died_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="stream_losses_pkey"),
    )
    op.create_table(
        "sinks",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("configuration", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("test_id", sa.Text(collation="C")),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_sid"], ["accounts.sid"], name="sinks_account_sid_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sid", name="sinks_pkey"),
    )
    op.create_index("sinks_listing", "sinks", ["account_sid", "sid"])
    op.create_table(
        "subscriptions",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("sink_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_sid"],
            ["accounts.sid"],
            name="subscriptions_account_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["sink_sid"], ["sinks.sid"], name="subscriptions_sink_sid_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sid", name="subscriptions_pkey"),
    )
    op.create_index("subscriptions_listing", "subscriptions", ["account_sid", "sid"])
    op.create_index("subscriptions_sink", "subscriptions", ["sink_sid", "sid"])
    op.create_table(
        "stream_followers",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("sink_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("subscription_sid", sa.Text(collation="C")),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("upto", sa.BigInteger()),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease", sa.String()),
        sa.Column("due", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["sink_sid"], ["sinks.sid"], name="stream_followers_sink_sid_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subscription_sid"],
            ["subscriptions.sid"],
            name="stream_followers_subscription_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sid", name="stream_followers_pkey"),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index("stream_followers_account", "stream_followers", ["account_sid"])
    op.create_index(
        "stream_followers_due",
        "stream_followers",
        ["due"],
        postgresql_where=sa.text("due IS NOT NULL"),
    )
    op.create_index("stream_followers_sink", "stream_followers", ["sink_sid"])
    op.create_index("stream_followers_subscription", "stream_followers", ["subscription_sid"])
    op.create_table(
        "subscribed_events",
        sa.Column("subscription_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("type", sa.Text(collation="C"), nullable=False),
        sa.Column("schema_version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_sid"],
            ["subscriptions.sid"],
            name="subscribed_events_subscription_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("subscription_sid", "type", name="subscribed_events_pkey"),
    )
    op.add_column(
        "accounts",
        sa.Column("streamed", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )


def downgrade() -> None:
    op.drop_column("accounts", "streamed")
    op.drop_table("subscribed_events")
    op.drop_table("stream_followers")
    op.drop_table("subscriptions")
    op.drop_table("sinks")
    op.drop_table("stream_losses")
    op.drop_table("stream_intake")
    op.drop_table("stream_heads")
    op.drop_table("stream_events")
