"""removed messages are counted: how many a conversation has is known without reading them.

Revision 0023, after 0022.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# So many conversations at once: each batch is a transaction, and who is done stays done.
BATCH = """
WITH counted AS (
  SELECT c.sid, c.message_count
    - (SELECT count(*) FROM messages m WHERE m.conversation_sid = c.sid) AS removed
  FROM (SELECT sid, message_count FROM conversations WHERE sid > :after ORDER BY sid LIMIT 500) c
), held AS (
  SELECT n.sid, n.removed FROM counted n JOIN conversations c ON c.sid = n.sid
  WHERE c.removed_count <> n.removed ORDER BY c.sid FOR NO KEY UPDATE OF c
), kept AS (
  UPDATE conversations c SET removed_count = h.removed FROM held h WHERE c.sid = h.sid
)
SELECT max(sid) FROM counted
"""


def upgrade() -> None:
    op.add_column(
        "conversations",
        sa.Column("removed_count", sa.Integer(), server_default="0", nullable=False),
        if_not_exists=True,
    )
    with op.get_context().autocommit_block():
        last: str | None = ""
        while last is not None:
            last = op.get_bind().scalar(sa.text(BATCH), {"after": last})


def downgrade() -> None:
    op.drop_column("conversations", "removed_count")
