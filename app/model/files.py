"""What lies in the file store, and what is to go from there."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from app.model import columns as c


class File(SQLModel, table=True):
    """One content, kept once however many media have it: `sha256` is of what it says, `key` its
    name in the store `shelf`. `sealed_by` is what its key is known by; empty where nobody said so,
    until somebody looks, which is when one takes the place of another. The row goes when no media
    refer to it."""

    __tablename__ = "files"
    __table_args__ = (
        Index("files_sha256", "sha256", unique=True),
        Index("files_sealed", "sealed_by", "key"),
    )

    key: str = c.sid_key()
    shelf: str
    sha256: str = c.sid()
    size: int
    sealed_by: str = Field(default="", sa_column_kwargs={"server_default": ""})
    date_created: datetime = c.moment()


class DoomedFile(SQLModel, table=True):
    """A name in the store that is to be removed when it is `due`: what nobody refers to any more
    and, from before its first byte is written, every file that comes in. Whoever keeps it takes
    the row away; a process that dies on the way leaves it, and so leaves nothing else."""

    __tablename__ = "doomed_files"
    __table_args__ = (Index("doomed_files_due", "due"),)

    key: str = c.sid_key()
    shelf: str
    due: datetime = c.moment()
