"""What connected clients must be told of: the changes in conversations that no row shows any more,
and who is connected."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from app.model import columns as c


class Change(SQLModel, table=True):
    """One thing in a conversation, a participant or a message, that came, changed or left.

    `revision` is the conversation's that shows it: it is written under the conversation's row lock,
    before the revision grows to it. 0: the conversation went, too. `stamp` orders the changes of
    one identity's memberships: microseconds since 1970 by the database's clock, taken before the
    commit, so that who follows it looks back a little. `index` is the place of a message that is
    gone. New messages are no changes: they are found by their index. Participants' changes are
    written by a trigger of their table. kind: added, updated or removed; where an identity was
    taken from a participant that stays, `thing_sid` is the conversation.
    """

    __tablename__ = "changes"
    __table_args__ = (
        Index(
            "changes_of_identity",
            "chat_service_sid",
            "identity",
            "stamp",
            postgresql_where=text("identity IS NOT NULL"),
        ),
        Index("changes_stamp", "stamp"),
    )

    conversation_sid: str = c.sid_key()
    revision: int = Field(primary_key=True, sa_type=BigInteger)
    thing_sid: str = c.sid_key()
    chat_service_sid: str = c.sid()
    kind: str
    index: int | None = None
    identity: str | None = None
    stamp: int = c.number(big=True)


class Presence(SQLModel, table=True):
    """Somebody is connected to one of our processes, which says so again and again: one that says
    it no more is gone, and whoever was connected to it is not."""

    __tablename__ = "presences"
    __table_args__ = (
        Index("presences_beat", "beat_at"),
        Index("presences_process", "process"),
    )

    chat_service_sid: str = c.sid_key()
    identity: str = Field(primary_key=True)
    process: str = Field(primary_key=True)
    beat_at: datetime = c.moment()
