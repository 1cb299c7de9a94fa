"""Column shapes that every table shares."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Integer, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

SID = Text(collation="C")

# The names that PostgreSQL itself would give; said here, so that migrations and models agree.
SQLModel.metadata.naming_convention = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
}


def sid_key() -> Any:
    """A SID as primary key; byte order, so that time-ordered keys append."""
    return Field(primary_key=True, sa_type=SID)


def sid_ref(
    table: str,
    *,
    null: bool = False,
    deferred: bool = False,
    primary_key: bool = False,
    on_delete: str = "CASCADE",
) -> Any:
    """A reference to another table's SID; goes when its parent goes, unless it says otherwise."""
    key = ForeignKey(
        f"{table}.sid",
        ondelete=on_delete,
        deferrable=True if deferred else None,
        initially="DEFERRED" if deferred else None,
    )
    if null:
        return Field(default=None, sa_type=SID, sa_column_args=[key], nullable=True)
    return Field(sa_type=SID, sa_column_args=[key], primary_key=primary_key)


def sid(*, null: bool = False) -> Any:
    """A SID without a foreign key: the thing may live elsewhere or be gone."""
    if null:
        return Field(default=None, sa_type=SID, nullable=True)
    return Field(sa_type=SID)


def moment(*, null: bool = False, now: bool = False) -> Any:
    """A point in time with its zone; `now`: the server has the present for rows that say none."""
    zoned: Any = DateTime(timezone=True)
    if null:
        return Field(default=None, sa_type=zoned, nullable=True)
    if now:
        return Field(sa_type=zoned, sa_column_kwargs={"server_default": text("now()")})
    return Field(sa_type=zoned)


def texts() -> Any:
    """A list of texts."""
    return Field(default_factory=list, sa_type=ARRAY(Text), sa_column_kwargs=_default("{}"))


def document(*, null: bool = False) -> Any:
    """A JSON document."""
    if null:
        return Field(default=None, sa_type=JSONB, nullable=True)
    return Field(default_factory=dict, sa_type=JSONB, sa_column_kwargs=_default("{}"))


def number(default: int = 0, *, big: bool = False) -> Any:
    """An integer with a default on the server as well."""
    kind: Any = BigInteger if big else Integer
    return Field(default=default, sa_type=kind, sa_column_kwargs=_default(str(default)))


def flag(default: bool) -> Any:
    """A truth value with a default on the server as well."""
    return Field(default=default, sa_column_kwargs=_default("true" if default else "false"))


def word(default: str) -> Any:
    """A short text with a default on the server as well."""
    return Field(default=default, sa_column_kwargs=_default(default))


def attributes() -> Any:
    """The caller's own JSON, kept as the text that it came in."""
    return Field(default="{}", sa_type=Text, sa_column_kwargs=_default("{}"))


def _default(value: str) -> dict[str, Any]:
    return {"server_default": value}
