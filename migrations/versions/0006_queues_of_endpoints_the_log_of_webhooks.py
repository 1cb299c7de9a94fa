"""Queues of endpoints, the log of webhooks.

Revision 0006, after 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


# Of tables that may be large: made while they are in use. (index, table, columns, where)
INDEXES = (
    ("attempts_account", "attempts", "account_sid, outcome, id", "account_sid IS NOT NULL"),
    ("attempts_endpoint", "attempts", "endpoint, outcome, id", "endpoint IS NOT NULL"),
    ("dead_letters_age", "dead_letters", "died_at", None),
    ("dead_letters_endpoint", "dead_letters", "endpoint, seq", "endpoint IS NOT NULL"),
    ("dead_letters_listing", "dead_letters", "kind, account_sid, seq", None),
    ("inbox_payload_age", "inbox", "received_at", "payload IS NOT NULL"),
    ("lanes_held", "lanes", "endpoint, due", "kind = 'held'"),
)


def upgrade() -> None:
    op.create_table(
        "hook_endpoints",
        sa.Column("endpoint", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paused_until", sa.DateTime(timezone=True)),
        sa.Column("paused_at", sa.DateTime(timezone=True)),
        sa.Column("pauses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("probe", sa.Text(collation="C")),
        sa.Column("reason", sa.String()),
        sa.PrimaryKeyConstraint("endpoint", name="hook_endpoints_pkey"),
        if_not_exists=True,
    )
    for name, columns, where in (
        ("hook_endpoints_account", ["account_sid", "endpoint"], None),
        ("hook_endpoints_next", ["next_at"], None),
        ("hook_endpoints_paused", ["paused_at"], sa.text("paused_at IS NOT NULL")),
    ):
        op.create_index(name, "hook_endpoints", columns, postgresql_where=where, if_not_exists=True)
    for table, column in (
        ("attempts", sa.Column("account_sid", sa.Text(collation="C"))),
        ("attempts", sa.Column("endpoint", sa.Text(collation="C"))),
        ("attempts", sa.Column("exchange", postgresql.JSONB())),
        ("attempts", sa.Column("next_at", sa.DateTime(timezone=True))),
        ("dead_letters", sa.Column("endpoint", sa.Text(collation="C"))),
        ("lanes", sa.Column("endpoint", sa.Text(collation="C"))),
    ):
        op.add_column(table, column, if_not_exists=True)
    # What is above is committed here: a revision that is cut short below is run again from the top.
    with op.get_context().autocommit_block():
        for index, table, listed, condition in INDEXES:
            only = f" WHERE {condition}" if condition else ""
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")
            op.execute(f"CREATE INDEX CONCURRENTLY {index} ON {table} ({listed}){only}")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS dead_letters_kind")


def downgrade() -> None:
    op.drop_index("lanes_held", table_name="lanes", postgresql_where=sa.text("kind = 'held'"))
    op.drop_column("lanes", "endpoint")
    op.drop_index(
        "inbox_payload_age", table_name="inbox", postgresql_where=sa.text("payload IS NOT NULL")
    )
    op.drop_index("dead_letters_listing", table_name="dead_letters")
    op.drop_index(
        "dead_letters_endpoint",
        table_name="dead_letters",
        postgresql_where=sa.text("endpoint IS NOT NULL"),
    )
    op.drop_index("dead_letters_age", table_name="dead_letters")
    op.create_index("dead_letters_kind", "dead_letters", ["kind"])
    op.drop_column("dead_letters", "endpoint")
    op.drop_index(
        "attempts_endpoint", table_name="attempts", postgresql_where=sa.text("endpoint IS NOT NULL")
    )
    op.drop_index(
        "attempts_account",
        table_name="attempts",
        postgresql_where=sa.text("account_sid IS NOT NULL"),
    )
    op.drop_column("attempts", "next_at")
    op.drop_column("attempts", "exchange")
    op.drop_column("attempts", "endpoint")
    op.drop_column("attempts", "account_sid")
    op.drop_table("hook_endpoints")
