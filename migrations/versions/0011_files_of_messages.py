"""files of messages.

Revision 0011, after 0010.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "doomed_files",
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("shelf", sa.String(), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="doomed_files_pkey"),
    )
    op.create_index("doomed_files_due", "doomed_files", ["due"])
    op.create_table(
        "files",
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("shelf", sa.String(), nullable=False),
        sa.Column("sha256", sa.Text(collation="C"), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="files_pkey"),
    )
    op.create_index("files_sha256", "files", ["sha256"], unique=True)
    op.add_column("media", sa.Column("conversation_sid", sa.Text(collation="C")))
    op.execute(
        "UPDATE media SET conversation_sid = m.conversation_sid"
        " FROM messages m WHERE m.sid = media.message_sid"
    )
    op.add_column(
        "media", sa.Column("status", sa.String(), server_default="linked", nullable=False)
    )
    op.add_column("media", sa.Column("error", sa.String()))
    op.add_column("media", sa.Column("file_key", sa.Text(collation="C")))
    op.create_index(
        "media_file", "media", ["file_key"], postgresql_where=sa.text("file_key IS NOT NULL")
    )
    op.create_index(
        "media_unattached",
        "media",
        ["date_created"],
        postgresql_where=sa.text("message_sid IS NULL"),
    )
    op.drop_constraint("media_message_sid_fkey", "media", type_="foreignkey")
    op.create_foreign_key(
        "media_message_sid_fkey", "media", "messages", ["message_sid"], ["sid"], ondelete="SET NULL"
    )


def downgrade() -> None:
    op.drop_constraint("media_message_sid_fkey", "media", type_="foreignkey")
    op.create_foreign_key(
        "media_message_sid_fkey", "media", "messages", ["message_sid"], ["sid"], ondelete="CASCADE"
    )
    op.drop_index(
        "media_unattached", table_name="media", postgresql_where=sa.text("message_sid IS NULL")
    )
    op.drop_index(
        "media_file", table_name="media", postgresql_where=sa.text("file_key IS NOT NULL")
    )
    op.drop_column("media", "file_key")
    op.drop_column("media", "error")
    op.drop_column("media", "status")
    op.drop_column("media", "conversation_sid")
    op.drop_table("files")
    op.drop_table("doomed_files")
