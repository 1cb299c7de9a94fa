"""Flows that run here: their definitions, and what runs of them (executions, step by step)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, Text, text
from sqlmodel import Field, SQLModel

from app.model import columns as c

FLOW = "flow"
"""The kind of the items that flows take in: messages, requests, and waits that are over."""
PLACE = "flow:"
"""What stands before a flow's SID where webhooks have their URL."""

DRAFT, PUBLISHED = "draft", "published"
ACTIVE, ENDED = "active", "ended"

REQUEST, TIMEOUT, UNDELIVERED = "request", "timeout", "undelivered"
"""Events of items that are no message: an execution by REST; nobody replied in time; what a flow
said did not arrive."""
EXECUTION, VERSION = "execution", "version"
"""Parameters of these: which execution, and (of a timeout) which version of it waited. A message
has the first when the execution that took it in was deleted."""


def flow_lane(flow_sid: str, conversation_sid: str) -> str:
    """The lane of everything that one flow takes in of one conversation (b as in bot: who settles
    one also adds to lanes of others, and these come before them in the order of names)."""
    return f"b:{flow_sid}:{conversation_sid}"


class Flow(SQLModel, table=True):
    """A flow, as its latest revision describes it. `published` is the latest revision that
    messages run; None: there are only drafts. `test_users` run the latest one, draft or not."""

    __tablename__ = "flows"
    __table_args__ = (Index("flows_listing", "account_sid", "sid"),)

    sid: str = c.sid_key()
    account_sid: str = c.sid_ref("accounts")
    friendly_name: str
    status: str
    revision: int
    published: int | None = None
    commit_message: str | None = None
    test_users: list[str] = c.texts()
    declared_as: str | None = None
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()


class FlowRevision(SQLModel, table=True):
    """One definition of a flow: it never changes. `definition` is the JSON as it was sent."""

    __tablename__ = "flow_revisions"

    flow_sid: str = c.sid_ref("flows", primary_key=True)
    revision: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    friendly_name: str
    status: str
    definition: str = Field(sa_type=Text)
    commit_message: str | None = None
    date_created: datetime = c.moment()


class Execution(SQLModel, table=True):
    """A run of a flow in a conversation; one at most is active. It goes with its conversation.

    `memory` is what the run knows and asks for, as JSON in a text (people write U+0000, too).
    `version` is the fence: who changes the row names the one that was read. `taken` is the last
    item of the lane that the memory knows of: after a crash nothing is taken in twice. `due` is
    when a wait is over. `reason` is why it ended, where that was not the end of the flow.
    """

    __tablename__ = "executions"
    __table_args__ = (
        Index(
            "executions_active",
            "flow_sid",
            "conversation_sid",
            unique=True,
            postgresql_where=text("status = 'active'"),
        ),
        Index("executions_due", "due", postgresql_where=text("due IS NOT NULL")),
        Index("executions_listing", "flow_sid", "date_created", "sid"),
        Index("executions_status", "flow_sid", "status", "date_created", "sid"),
        Index("executions_conversation", "conversation_sid", "flow_sid", "taken"),
        Index("executions_age", "date_updated", postgresql_where=text("status = 'ended'")),
        {"postgresql_with": {"fillfactor": 80}},
    )

    sid: str = c.sid_key()
    account_sid: str = c.sid()
    flow_sid: str = c.sid_ref("flows")
    conversation_sid: str = c.sid_ref("conversations")
    flow_version: int
    contact_channel_address: str | None = None
    initiated_by: str | None = None
    status: str
    reason: str | None = None
    memory: str = Field(sa_type=Text)
    version: int = c.number(1)
    taken: int = Field(sa_type=BigInteger)
    due: datetime | None = c.moment(null=True)
    date_created: datetime = c.moment()
    date_updated: datetime = c.moment()


class ExecutionStep(SQLModel, table=True):
    """One transition of an execution: `name` is the event that made it, `context` what the run
    knew then (JSON)."""

    __tablename__ = "execution_steps"
    __table_args__ = (Index("execution_steps_listing", "execution_sid", "sid"),)

    sid: str = c.sid_key()
    execution_sid: str = c.sid_ref("executions")
    parent_step_sid: str | None = c.sid(null=True)
    name: str
    transitioned_from: str
    transitioned_to: str
    type: str
    context: str = Field(sa_type=Text)
    date_created: datetime = c.moment()
