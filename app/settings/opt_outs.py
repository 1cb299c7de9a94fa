"""The words by which people opt out of a sender's texts and in again, and who answers them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

import phonenumbers
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from app.settings.section import Model
from app.settings.types import PLAIN

WORD_CHARS_MAX = 40
AROUND = " \t\r\n.,;:!?\"'`*«»“”‘’"

Kind = Literal["stop", "start", "help"]
Word = Annotated[str, Field(min_length=1, max_length=WORD_CHARS_MAX)]


def known_country(text: str) -> str:
    """A country that gives out phone numbers."""
    if text not in phonenumbers.SUPPORTED_REGIONS:
        raise PydanticCustomError(PLAIN, "is no country that has phone numbers (ISO 3166, like GB)")
    return text


Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$"), AfterValidator(known_country)]
Reply = Annotated[str, Field(min_length=1, max_length=1600)]

STOP = ("STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT")
START = ("START", "YES", "UNSTOP")
HELP = ("HELP", "INFO")


class WordSettings(Model):
    """The whole of a text that is one of these, in any case, opts out, opts in or asks for help."""

    stop: tuple[Word, ...] = ()
    start: tuple[Word, ...] = ()
    help: tuple[Word, ...] = ()

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """What each word means, in the form in which words are compared."""
        meant: dict[str, Kind] = {}
        meant |= {plain(word): "help" for word in self.help}
        meant |= {plain(word): "start" for word in self.start}
        return meant | {plain(word): "stop" for word in self.stop}


FRENCH = WordSettings(stop=("ARRET", "ARRÊT"), help=("AIDE",))


class OptOutSettings(WordSettings):
    """Which words of people who text a sender count, and who answers them: its carrier, or we do.

    Without `enabled` every text is only a text. `countries` has further words for people with a
    number of that country. A reply that is not given is not sent.
    """

    enabled: bool = True
    stop: tuple[Word, ...] = STOP
    start: tuple[Word, ...] = START
    help: tuple[Word, ...] = HELP
    countries: dict[Country, WordSettings] = Field(default_factory=lambda: {"CA": FRENCH})
    replies: Literal["carrier", "parley"] = "carrier"
    stop_reply: Reply | None = None
    start_reply: Reply | None = None
    help_reply: Reply | None = "Reply STOP to get no more texts from us, START to get them again."

    def reply(self, kind: Kind) -> str | None:
        """What we answer to such a word; None: nothing, or the carrier does."""
        if self.replies == "carrier":
            return None
        return {
            "stop": self.stop_reply,
            "start": self.start_reply,
            "help": self.help_reply,
        }[kind]


def plain(text: str) -> str:
    """A text as words are compared: without case, and without what stands around it."""
    return " ".join(text.strip(AROUND).split()).casefold()
