"""flows and their executions.

Revision 0016, after 0015.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "flows",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("friendly_name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("published", sa.Integer()),
        sa.Column("commit_message", sa.String()),
        sa.Column("test_users", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("declared_as", sa.String()),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_sid"], ["accounts.sid"], name="flows_account_sid_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sid", name="flows_pkey"),
    )
    op.create_index("flows_listing", "flows", ["account_sid", "sid"])
    op.create_table(
        "flow_revisions",
        sa.Column("flow_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("friendly_name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("commit_message", sa.String()),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["flow_sid"], ["flows.sid"], name="flow_revisions_flow_sid_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("flow_sid", "revision", name="flow_revisions_pkey"),
    )
    op.create_table(
        "executions",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("flow_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("conversation_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("flow_version", sa.Integer(), nullable=False),
        sa.Column("contact_channel_address", sa.String()),
        sa.Column("initiated_by", sa.String()),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("memory", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True)),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_sid"],
            ["conversations.sid"],
            name="executions_conversation_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["flow_sid"], ["flows.sid"], name="executions_flow_sid_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sid", name="executions_pkey"),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(
        "executions_active",
        "executions",
        ["flow_sid", "conversation_sid"],
        unique=True,
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index(
        "executions_age",
        "executions",
        ["date_updated"],
        postgresql_where=sa.text("status = 'ended'"),
    )
    op.create_index(
        "executions_conversation", "executions", ["conversation_sid", "flow_sid", "taken"]
    )
    op.create_index(
        "executions_due", "executions", ["due"], postgresql_where=sa.text("due IS NOT NULL")
    )
    op.create_index("executions_listing", "executions", ["flow_sid", "date_created", "sid"])
    op.create_index(
        "executions_status", "executions", ["flow_sid", "status", "date_created", "sid"]
    )
    op.create_table(
        "execution_steps",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("execution_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("parent_step_sid", sa.Text(collation="C")),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("transitioned_from", sa.String(), nullable=False),
        sa.Column("transitioned_to", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("context", sa.Text(), nullable=False),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_sid"],
            ["executions.sid"],
            name="execution_steps_execution_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sid", name="execution_steps_pkey"),
    )
    op.create_index("execution_steps_listing", "execution_steps", ["execution_sid", "sid"])


def downgrade() -> None:
    op.drop_table("execution_steps")
    op.drop_table("executions")
    op.drop_table("flow_revisions")
    op.drop_table("flows")
