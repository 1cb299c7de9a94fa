"""who begins a conversation is no change of it, also where it begins with its first message.

Revision 0025, after 0024.
"""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# Who came in the moment in which the conversation began came with it: nobody can have seen it without
# them. (Its revision alone does not tell: a message that came with them has raised it.)
CHANGED = """
CREATE OR REPLACE FUNCTION participant_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  one participants%ROWTYPE;
  its bigint;
  begun boolean;
  now_us bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
BEGIN
  IF TG_OP = 'DELETE' THEN one := OLD; ELSE one := NEW; END IF;
  SELECT c.revision + 1, c.date_created = one.date_created AND c.state_at = one.date_created
  INTO its, begun FROM conversations c WHERE c.sid = one.conversation_sid;
  IF one.identity IS NULL AND (its IS NULL OR TG_OP = 'INSERT' AND (its = 1 OR begun)) THEN
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
BEFORE = """
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


def upgrade() -> None:
    op.execute(CHANGED)


def downgrade() -> None:
    op.execute(BEFORE)
