"""gaps in what came.

Revision 0013, after 0012.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gap_looks",
        sa.Column("carrier", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("complete_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease", sa.String(), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("window_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("window_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("position", sa.String(), nullable=True),
        sa.Column("read", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("pages", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("recovered", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("carrier", name="gap_looks_pkey"),
    )
    op.create_table(
        "gap_finds",
        sa.Column("carrier", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("place", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "payload", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("carrier", "external_id", name="gap_finds_pkey"),
    )
    op.create_index(
        "gap_finds_order",
        "gap_finds",
        ["carrier", "sent_at", "place"],
        postgresql_where=sa.text("tries < 5"),
    )
    op.create_index(
        "gap_finds_age", "gap_finds", ["sent_at"], postgresql_where=sa.text("tries >= 5")
    )
    op.add_column(
        "decisions", sa.Column("recovered", sa.Boolean(), server_default="false", nullable=False)
    )
    op.add_column("decisions", sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("decisions", "sent_at")
    op.drop_column("decisions", "recovered")
    op.drop_table("gap_finds")
    op.drop_table("gap_looks")
