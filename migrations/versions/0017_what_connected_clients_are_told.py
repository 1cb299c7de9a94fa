"""what connected clients are told.

Revision 0017, after 0016.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# Participants come, change and go in many places, with conversations too: one place writes it down.
# Who came into a conversation that nobody can have seen yet is no change of it; of a conversation
# that is gone only its people must know.
CHANGED = """
CREATE OR REPLACE FUNCTION participant_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  one participants%ROWTYPE;
  its bigint;
  now_us bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
BEGIN
  IF TG_OP = 'DELETE' THEN one := OLD; ELSE one := NEW; END IF;
  SELECT c.revision + 1 INTO its FROM conversations c WHERE c.sid = one.conversation_sid;
  IF one.identity IS NULL AND (its IS NULL OR TG_OP = 'INSERT' AND its = 1) THEN
    RETURN NULL;
  END IF;
  INSERT INTO changes AS c (conversation_sid, revision, thing_sid, chat_service_sid, kind, identity,
    stamp)
  VALUES (one.conversation_sid, coalesce(its, 0), one.sid, one.chat_service_sid,
    CASE TG_OP WHEN 'INSERT' THEN 'added' WHEN 'UPDATE' THEN 'updated' ELSE 'removed' END,
    one.identity, now_us)
  ON CONFLICT (conversation_sid, revision, thing_sid) DO UPDATE
  SET kind = CASE WHEN c.kind = 'added' AND excluded.kind = 'updated' THEN 'added'
    ELSE excluded.kind END, identity = excluded.identity, stamp = excluded.stamp;
  IF TG_OP = 'UPDATE' AND OLD.identity IS DISTINCT FROM NEW.identity AND OLD.identity IS NOT NULL
  THEN
    INSERT INTO changes (conversation_sid, revision, thing_sid, chat_service_sid, kind, identity,
      stamp)
    VALUES (one.conversation_sid, coalesce(its, 0), one.conversation_sid, one.chat_service_sid,
      'removed', OLD.identity, now_us)
    ON CONFLICT (conversation_sid, revision, thing_sid) DO NOTHING;
  END IF;
  RETURN NULL;
END $$
"""
WATCHED = """
CREATE OR REPLACE TRIGGER participant_changed AFTER INSERT OR UPDATE OR DELETE ON participants
FOR EACH ROW EXECUTE FUNCTION participant_changed()
"""


def upgrade() -> None:
    op.add_column(
        "messages",
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        if_not_exists=True,
    )
    op.add_column(
        "users",
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        if_not_exists=True,
    )
    op.add_column("users", sa.Column("online_at", sa.DateTime(timezone=True)), if_not_exists=True)
    op.create_table(
        "changes",
        sa.Column("conversation_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("thing_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("chat_service_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("index", sa.Integer()),
        sa.Column("identity", sa.String()),
        sa.Column("stamp", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("conversation_sid", "revision", "thing_sid"),
    )
    op.create_index(
        "changes_of_identity",
        "changes",
        ["chat_service_sid", "identity", "stamp"],
        postgresql_where=sa.text("identity IS NOT NULL"),
    )
    op.create_index("changes_stamp", "changes", ["stamp"])
    op.create_table(
        "presences",
        sa.Column("chat_service_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("process", sa.String(), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("chat_service_sid", "identity", "process"),
    )
    op.create_index("presences_beat", "presences", ["beat_at"])
    op.create_index("presences_process", "presences", ["process"])
    op.execute(CHANGED)
    op.execute(WATCHED)


def downgrade() -> None:
    op.execute("DROP TRIGGER participant_changed ON participants")
    op.execute("DROP FUNCTION participant_changed()")
    op.drop_table("presences")
    op.drop_table("changes")
    op.drop_column("users", "online_at")
    op.drop_column("users", "revision")
    op.drop_column("messages", "revision")
