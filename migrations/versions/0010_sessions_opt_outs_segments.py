"""Sessions, opt-outs, segments.

Revision 0010, after 0009.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Sessions that are open now: else nobody could be answered until they write again.
OPEN = """
INSERT INTO messaging_windows (account_sid, proxy_address, address, last_inbound_at)
SELECT account_sid, proxy_address, address, max(received_at) FROM decisions
WHERE received_at > now() - interval '1 day' AND rule <> 'sender'
  AND (address LIKE 'whatsapp:%' OR address LIKE 'messenger:%')
GROUP BY account_sid, proxy_address, address
"""


def upgrade() -> None:
    op.create_table(
        "messaging_windows",
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("proxy_address", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("last_inbound_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "account_sid", "proxy_address", "address", name="messaging_windows_pkey"
        ),
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "opt_outs",
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("opted_out", sa.Boolean(), nullable=False),
        sa.Column("word", sa.String(), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_sid", "address", "sender", name="opt_outs_pkey"),
    )
    op.add_column("attempts", sa.Column("segments", sa.Integer()))
    op.add_column("attempts", sa.Column("encoding", sa.String()))
    op.execute(OPEN)


def downgrade() -> None:
    op.drop_column("attempts", "encoding")
    op.drop_column("attempts", "segments")
    op.drop_table("opt_outs")
    op.drop_table("messaging_windows")
