"""content templates.

Revision 0009, after 0008.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "contents",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("friendly_name", sa.String()),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("variables", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("types", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("carriers", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("declared_as", sa.String()),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_sid"], ["accounts.sid"], name="contents_account_sid_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sid", name="contents_pkey"),
    )
    op.create_index("contents_listing", "contents", ["account_sid", "sid"])
    op.create_table(
        "content_approvals",
        sa.Column("content_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("rejection_reason", sa.String(), server_default="", nullable=False),
        sa.Column("allow_category_change", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("declared_as", sa.String()),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["content_sid"],
            ["contents.sid"],
            name="content_approvals_content_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("content_sid", name="content_approvals_pkey"),
    )
    op.create_index("content_approvals_name", "content_approvals", ["name"])


def downgrade() -> None:
    op.drop_table("content_approvals")
    op.drop_table("contents")
