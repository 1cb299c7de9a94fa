"""Who may call the API besides the account's token, and what was answered to keyed requests."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from app.model import columns as c

READ, WRITE, OPERATOR = "read", "write", "operator"
SCOPES = frozenset({READ, WRITE, OPERATOR})


class ApiKey(SQLModel, table=True):
    """A key made by `parley keys create`. A hash of its secret is kept and, of one that may write,
    the secret itself, sealed (`app/vault.py`): access tokens are signed with it. scopes: read,
    write, operator."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("api_keys_listing", "account_sid", "sid"),)

    sid: str = c.sid_key()
    account_sid: str = c.sid_ref("accounts")
    friendly_name: str | None = None
    secret_hash: str
    sealed_secret: str | None = None
    scopes: list[str] = c.texts()
    date_created: datetime = c.moment()
    revoked_at: datetime | None = c.moment(null=True)


class IdempotencyKey(SQLModel, table=True):
    """The answer to a create that carried an Idempotency-Key, kept for a day. `fingerprint` is a
    hash of the request: the same key with another request is refused."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("idempotency_keys_age", "created_at"),)

    account_sid: str = c.sid_ref("accounts", primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    status: int
    answer: str
    created_at: datetime = c.moment()
