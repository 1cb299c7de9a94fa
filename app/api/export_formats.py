"""How an exported conversation is written: pure, one resource at a time."""

from __future__ import annotations

import csv
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, ClassVar

import orjson

Resource = Mapping[str, Any]


class Format(ABC):
    """One format. The pieces come in this order: head, participants, between, messages."""

    content_type: ClassVar[str]
    extension: ClassVar[str]

    def __init__(self, conversation: Resource) -> None:
        self.conversation = conversation

    @abstractmethod
    def head(self) -> bytes:
        """What comes first."""

    @abstractmethod
    def participant(self, participant: Resource) -> bytes:
        """One who is in it."""

    def between(self) -> bytes:
        """What comes between the participants and the messages."""
        return b""

    @abstractmethod
    def message(self, message: Resource) -> bytes:
        """One message, with the list of its media."""


class JsonLines(Format):
    """One JSON object per line, with the resource under the name of its kind (jsonlines.org)."""

    content_type, extension = "application/x-ndjson", "jsonl"

    def head(self) -> bytes:
        return self._line("conversation", self.conversation)

    def participant(self, participant: Resource) -> bytes:
        return self._line("participant", participant)

    def message(self, message: Resource) -> bytes:
        return self._line("message", message)

    @staticmethod
    def _line(kind: str, resource: Resource) -> bytes:
        return orjson.dumps({kind: resource}, option=orjson.OPT_APPEND_NEWLINE)


class CSV(Format):
    """One row for each participant and message (RFC 4180), with what they are in `record`."""

    content_type, extension = "text/csv", "csv"

    COLUMNS: ClassVar[Sequence[str]] = (
        *("record", "sid", "index", "date_created", "date_updated", "author", "participant_sid"),
        *("identity", "address", "proxy_address", "projected_address", "subject", "body"),
        *("media", "content_sid", "source", "attributes"),
    )

    def head(self) -> bytes:
        return self._row(self.COLUMNS)

    def participant(self, participant: Resource) -> bytes:
        bound = participant["messaging_binding"] or {}
        return self._row(self._cells("participant", {**bound, **participant}))

    def message(self, message: Resource) -> bytes:
        media = message["media"] and orjson.dumps(message["media"]).decode()
        return self._row(self._cells("message", {**message, "media": media}))

    def _cells(self, record: str, resource: Resource) -> list[Any]:
        return [record, *(resource.get(column) for column in self.COLUMNS[1:])]

    @staticmethod
    def _row(cells: Sequence[Any]) -> bytes:
        text = io.StringIO()
        csv.writer(text).writerow(cells)
        return text.getvalue().encode()


class MBOX(Format):
    """One letter for each message, in the mbox that quotes every `From ` line (RFC 4155, mboxrd).
    The first letter says who is in the conversation."""

    content_type, extension = "application/mbox", "mbox"

    QUOTED: ClassVar[re.Pattern[bytes]] = re.compile(rb"^(>*From )", re.MULTILINE)
    NOT_HEADER: ClassVar[re.Pattern[str]] = re.compile(r"[\x00-\x1f\x7f-\x9f]+")

    def head(self) -> bytes:
        letter = self._letter(self.conversation, "parley", self._title())
        letter.set_content("Participants, one JSON object per line:", cte="8bit")
        return self._written(letter, self.conversation["date_created"]).removesuffix(b"\n")

    def participant(self, participant: Resource) -> bytes:
        return orjson.dumps(participant, option=orjson.OPT_APPEND_NEWLINE)

    def between(self) -> bytes:
        return b"\n"

    def message(self, message: Resource) -> bytes:
        subject = message["subject"] or self._title()
        letter = self._letter(message, message["author"] or "system", subject)
        letter["X-Parley-Index"] = str(message["index"])
        for item in message["media"] or ():
            letter["X-Parley-Media"] = self._plain(orjson.dumps(item).decode())
        letter.set_content(message["body"] or "", cte="8bit")
        return self._written(letter, message["date_created"])

    def _letter(self, resource: Resource, author: str, subject: str) -> EmailMessage:
        domain = f"{self.conversation['sid'].lower()}.invalid"
        letter = EmailMessage(policy=SMTP.clone(linesep="\n", utf8=True, max_line_length=0))
        letter["Date"] = format_datetime(_moment(resource["date_created"]))
        letter["From"] = Address(self._plain(author), "author", domain)
        letter["To"] = Address("", "conversation", domain)
        letter["Subject"] = self._plain(subject)
        letter["Message-ID"] = f"<{resource['sid']}@{domain}>"
        return letter

    def _title(self) -> str:
        named = self.conversation["friendly_name"] or self.conversation["unique_name"]
        return named or str(self.conversation["sid"])

    def _plain(self, text: str) -> str:
        """Text that a header can hold."""
        return self.NOT_HEADER.sub(" ", text)

    def _written(self, letter: EmailMessage, date: str) -> bytes:
        sent = _moment(date).strftime("%a %b %d %H:%M:%S %Y")
        quoted = self.QUOTED.sub(rb">\1", letter.as_bytes())
        return f"From author@{self.conversation['sid'].lower()}.invalid {sent}\n".encode() + (
            quoted.rstrip(b"\n") + b"\n\n"
        )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
