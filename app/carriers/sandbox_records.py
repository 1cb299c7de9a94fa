"""What the World remembers: which phone got what, in which order, and what it sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import dropwhile, islice
from typing import Any, TypeVar

from app.carriers.sandbox_wire import Message
from app.model.traffic import MediaPart

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Received:
    """One message to a phone; a group text is one to each, and `others` got it too. `arrived_at` is
    None while the phone is off; `statuses` are those that a door of ours took, in their order."""

    external_id: str
    reference: str
    channel: str
    sender: str
    to: str
    body: str | None
    media: tuple[MediaPart, ...]
    taken_at: datetime
    others: tuple[str, ...] = ()
    arrived_at: datetime | None = None
    statuses: list[str] = field(default_factory=list)

    def view(self) -> dict[str, Any]:
        """For the pages."""
        return {
            "id": self.external_id,
            "reference": self.reference,
            "channel": self.channel,
            "from": self.sender,
            "to": self.to,
            "others": list(self.others),
            "body": self.body,
            "media": [part.url for part in self.media],
            "taken_at": self.taken_at.isoformat(),
            "arrived_at": self.arrived_at and self.arrived_at.isoformat(),
            "statuses": list(self.statuses),
        }


@dataclass(slots=True, eq=False)
class Texted:
    """One message from a phone. `tries` are the door's answers: HTTP statuses, or `lost`; none when
    it comes to no door at all."""

    message: Message
    tries: list[str] = field(default_factory=list)
    acknowledged: bool = False
    done: bool = False

    @property
    def external_id(self) -> str:
        """The World's name for it."""
        return self.message.id

    @property
    def sender(self) -> str:
        """Whose phone it is."""
        return self.message.sender

    @property
    def to(self) -> str:
        """A number of ours."""
        return self.message.to

    @property
    def body(self) -> str | None:
        """What it says."""
        return self.message.body

    def view(self) -> dict[str, Any]:
        """For the pages."""
        return {
            "id": self.external_id,
            "from": self.sender,
            "to": self.to,
            "body": self.body,
            "tries": list(self.tries),
            "acknowledged": self.acknowledged,
            "done": self.done,
        }


class Records:
    """The newest `longest` messages of all phones, either way; older ones are forgotten."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._all: deque[Received | Texted] = deque()
        self._received: dict[str, list[Received]] = {}
        self._texted: dict[str, list[Texted]] = {}
        self._by_reference: dict[str, list[Received]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def took(self, received: Received) -> None:
        """A message to a phone was taken; it may not have arrived yet."""
        self._by_reference.setdefault(received.reference, []).append(received)
        self._add(received)

    def arrived(self, received: Received) -> None:
        """It is on the phone now."""
        self._received.setdefault(received.to, []).append(received)

    def texted(self, texted: Texted) -> None:
        """A phone sent something."""
        self._texted.setdefault(texted.sender, []).append(texted)
        self._add(texted)

    def received_by(self, address: str) -> list[Received]:
        """What the phone got, in the order in which it arrived."""
        return list(self._received.get(address, ()))

    def texted_by(self, address: str) -> list[Texted]:
        """What the phone sent, in its order."""
        return list(self._texted.get(address, ()))

    def referenced(self, reference: str) -> list[Received]:
        """Every message that was taken under this reference; two to one phone are a double."""
        return list(self._by_reference.get(reference, ()))

    def taken(self) -> Iterator[Received]:
        """Every message that was taken, oldest first."""
        return (record for record in self._all if isinstance(record, Received))

    def everything(self) -> Iterator[Received | Texted]:
        """Every message, either way, oldest first."""
        return iter(self._all)

    def texts(self, after: str | None, longest: int) -> tuple[list[Message], bool]:
        """What phones wrote, newest first, behind the text with this id (None: from the first), and
        whether there is more. Behind one that is forgotten there is nothing."""
        every: Iterator[Texted] = (one for one in reversed(self._all) if isinstance(one, Texted))
        if after is not None:
            every = dropwhile(lambda texted: texted.external_id != after, every)
            next(every, None)
        found = [texted.message for texted in islice(every, longest + 1)]
        return found[:longest], len(found) > longest

    def phones(self) -> list[str]:
        """The phones that got or sent anything."""
        return sorted(self._received.keys() | self._texted.keys())

    def doubles(self) -> list[str]:
        """The references under which more than one message was taken for one phone."""
        return [
            reference
            for reference, records in self._by_reference.items()
            if reference and len(records) > len({one.to for one in records})
        ]

    def _add(self, record: Received | Texted) -> None:
        self._all.append(record)
        while len(self._all) > self._longest:
            oldest = self._all.popleft()
            if isinstance(oldest, Received):
                _drop(self._received, oldest.to, oldest)
                _drop(self._by_reference, oldest.reference, oldest)
            else:
                _drop(self._texted, oldest.sender, oldest)


def _drop(shelves: dict[str, list[T]], key: str, record: T) -> None:
    shelf = shelves.get(key, [])
    if record in shelf:
        shelf.remove(record)
    if not shelf:
        shelves.pop(key, None)
